import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BpfAssembler, wire16 } from '../../src/sys/bpf-assembler.js';

/** Instructions as hexadecimal text, eight bytes each. */
function assembled(build: (assembler: BpfAssembler) => BpfAssembler): string[] {
  const code = Buffer.from(build(new BpfAssembler()).assemble());
  return code.toString('hex').match(/.{16}/g) ?? [];
}

// Golden bytes: the macros of the kernel's include/linux/filter.h (BPF_MOV64_REG and so on), compiled
// with gcc on x86-64 and printed.
test('every instruction is encoded as the kernel defines it', () => {
  assert.deepEqual(
    assembled((a) => a.mov('r6', 'r1').mov('r2', 14).mov('r10', -1)),
    ['bf16000000000000', 'b70200000e000000', 'b70a0000ffffffff'],
  );
  assert.deepEqual(
    assembled((a) => a.add('r3', -24).add('r4', 'r5').sub('r1', 'r2').sub('r1', 2)),
    ['07030000e8ffffff', '0f54000000000000', '1f21000000000000', '1701000002000000'],
  );
  assert.deepEqual(
    assembled((a) => a.and('r4', 0xf0).or('r4', 'r5').lsh('r5', 2).rsh('r5', 'r1')),
    ['57040000f0000000', '4f54000000000000', '6705000002000000', '7f15000000000000'],
  );
  assert.deepEqual(
    assembled((a) =>
      a
        .load('u8', 'r5', 'r2', 14)
        .load('u16', 'r5', 'r2', 12)
        .load('u32', 'r2', 'r6', 4)
        .load('u64', 'r4', 'r10', -8),
    ),
    ['71250e0000000000', '69250c0000000000', '6162040000000000', '79a4f8ff00000000'],
  );
  assert.deepEqual(
    assembled((a) =>
      a
        .store('u8', 'r10', -1, 1)
        .store('u16', 'r10', -2, 'r3')
        .store('u32', 'r6', 8, 'r2')
        .store('u64', 'r10', -40, 'r4')
        .store('u64', 'r10', -32, 0)
        .store('u32', 'r10', -24, -65536)
        .atomicAdd('r0', 8, 'r1'),
    ),
    [
      '720affff01000000',
      '6b3afeff00000000',
      '6326080000000000',
      '7b4ad8ff00000000',
      '7a0ae0ff00000000',
      '620ae8ff0000ffff',
      'db10080000000000',
    ],
  );
  assert.deepEqual(
    assembled((a) => a.loadMap('r1', 7).call(51).exit()),
    ['1811000007000000', '0000000000000000', '8500000033000000', '9500000000000000'],
  );
});

test('jumps lead to their labels, counted from the instruction behind them', () => {
  assert.deepEqual(
    assembled((a) =>
      a
        .jumpIf('r4', 'gt', 'r3', 'end')
        .jumpIf('r5', 'eq', 8, 'end')
        .jumpIf('r5', 'ne', 8, 'middle')
        .loadMap('r1', 3)
        .label('middle')
        .jumpIf('r1', 'ge', 1, 'end')
        .jumpIf('r1', 'lt', 'r2', 'end')
        .jumpIf('r1', 'le', 1, 'end')
        .jumpIf('r1', 'set', 1, 'end')
        .jump('end')
        .label('end')
        .exit(),
    ),
    [
      '2d34090000000000',
      '1505080008000000',
      '5505020008000000',
      '1811000003000000',
      '0000000000000000',
      '3501040001000000',
      'ad21030000000000',
      'b501020001000000',
      '4501010001000000',
      '0500000000000000',
      '9500000000000000',
    ],
  );
});

test('a label that is missing, doubled or behind its jump is refused', () => {
  assert.throws(() => new BpfAssembler().jump('nowhere').assemble(), /no label nowhere/);
  assert.throws(() => new BpfAssembler().label('a').label('a'), /twice/);
  assert.throws(() => new BpfAssembler().label('a').exit().jump('a').assemble(), /behind its jump/);
  assert.throws(() => new BpfAssembler().mov('r1', 2 ** 31), /32-bit/);
});

test('a wire field is compared as a little-endian load sees it', () => {
  assert.equal(wire16(0x0800), 0x0008);
  assert.equal(wire16(4754), 0x9212);
});
