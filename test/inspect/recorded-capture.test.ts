// Recorded packets as blocks of pcapng, and the count of them as they pass.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DIRECTION_DECAP, DIRECTION_ENCAP } from '../../asm/layout.js';
import { REASON_GRE_CHECKSUM, REASON_LOCAL, REASON_NONE } from '../../asm/reason.js';
import { ByteSource } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import { CaptureCount } from '../../src/inspect/capture-count.js';
import { CaptureWriter, LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../src/inspect/pcapng-writer.js';
import { RecordedCapture } from '../../src/inspect/recorded-capture.js';
import type { RecordedPacket } from '../../src/ring/recorded.js';
import { memoryReader } from './capture-files.js';

const SENT: RecordedPacket = {
  ...{ record: 1, direction: DIRECTION_ENCAP, reason: REASON_NONE, timeMs: 1.7e12 },
  ...{ codecNs: 2100, endNs: 40_300, length: 200, inner: 24, packets: 1 },
  bytes: new Uint8Array(128).map((_, index) => index),
};

function encode(packets: readonly RecordedPacket[], isEthernet = false) {
  const blocks: Uint8Array[] = [];
  const writer = new CaptureWriter((block) => blocks.push(block), 'grebe test');
  const capture = new RecordedCapture(writer, (record) =>
    record === 1 ? { name: 'gre1', isEthernet } : undefined,
  );
  for (const packet of packets) capture.add(packet);
  return { blocks, capture, bytes: () => Buffer.concat(blocks) };
}

function read(bytes: Uint8Array) {
  return [...readCapture(new ByteSource(memoryReader(bytes).read))];
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

test('what was sent is there as the host sent it and as it left, with its true lengths', () => {
  const file = encode([SENT]).bytes();
  const [inner, outer] = read(file);
  assert.deepEqual([inner?.bytes.length, inner?.originalLength], [104, 176]);
  assert.deepEqual([outer?.bytes, outer?.originalLength], [SENT.bytes, 200]);
  assert.match(text(file), /gre1 encap inner.*forwarded; codec after 2\.1 us; end after 40\.3 us/s);
});

test('a drop is there once, in the form that it came in, with its reason; so is what ended here', () => {
  const received = { ...SENT, direction: DIRECTION_DECAP, inner: 0 };
  for (const [reason, comment] of [
    [REASON_GRE_CHECKSUM, 'drop: gre-checksum; codec after'],
    [REASON_LOCAL, 'for the router itself; codec after'],
    [200, 'drop: codec-fault; codec after'],
    [undefined, 'under way; codec after'],
  ] as const) {
    const file = encode([{ ...received, reason }]).bytes();
    assert.equal(read(file).length, 1);
    assert.ok(text(file).includes(comment), comment);
    assert.ok(text(file).includes('gre1 decap outer'));
  }
  const refused = encode([{ ...SENT, inner: 0, reason: REASON_GRE_CHECKSUM, packets: 3 }]).bytes();
  assert.match(text(refused), /gre1 encap inner.*; stands for 3 packets/s);
  assert.equal(read(refused).length, 1);
});

test('frames inside have the link type of Ethernet, and packets of no tunnel a name of their own', () => {
  const types = read(encode([SENT], true).bytes()).map(({ linkType }) => linkType);
  assert.deepEqual(types, [LINKTYPE_ETHERNET, LINKTYPE_RAW]);
  const stray = encode([{ ...SENT, record: 0, direction: DIRECTION_DECAP, inner: 0 }]).bytes();
  assert.ok(text(stray).includes('no-tunnel decap outer'));
});

test('impossible lengths, as a wrong codec leaves them, make no impossible blocks', () => {
  for (const broken of [
    { ...SENT, length: 10 },
    { ...SENT, inner: 127, bytes: new Uint8Array(4) },
    { ...SENT, length: 0xffffffff },
  ]) {
    for (const { bytes, originalLength } of read(encode([broken]).bytes())) {
      assert.ok(originalLength >= bytes.length);
    }
  }
});

test('a stream cut anywhere is put together again: whole blocks, packets counted once, losses told', () => {
  const packets = Array.from({ length: 9 }, (_, n) => (n % 2 ? SENT : { ...SENT, inner: 0 }));
  const { capture, bytes } = encode(packets);
  capture.addLost('gre1', false, { encap: 5, decap: 0 });
  capture.addLost('gre1', false, { encap: 7, decap: 2 });
  const all = bytes();
  fc.assert(
    fc.property(fc.array(fc.nat(all.length)), (cuts) => {
      const count = new CaptureCount();
      const edges = [0, ...cuts.sort((a, b) => a - b), all.length];
      const out = edges.slice(1).map((end, index) => count.take(all.subarray(edges[index], end)));
      assert.deepEqual(Buffer.concat(out), all);
      assert.deepEqual([count.packets, count.lost], [9, 9]);
    }),
  );
});
