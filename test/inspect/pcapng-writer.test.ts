import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ByteSource } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import { CaptureFile, CaptureWriter, LINKTYPE_RAW } from '../../src/inspect/pcapng-writer.js';
import { memoryReader } from './capture-files.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'grebe-writer-'));
after(() => rmSync(FOLDER, { recursive: true }));

test('what is written is read back: interface, time to the nanosecond, bytes, lengths', () => {
  const packet = fc.record({
    interfaceId: fc.nat(1),
    timestampNs: fc.bigInt(0n, 2n ** 64n - 1n),
    bytes: fc.uint8Array({ maxLength: 200 }),
    extra: fc.nat(2000),
    direction: fc.constantFrom('rx' as const, 'tx' as const),
    comment: fc.string(),
  });
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 8 }), (packets) => {
      const blocks: Uint8Array[] = [];
      const writer = new CaptureWriter((block) => blocks.push(block), 'grebe test');
      assert.equal(writer.addInterface({ name: 'eth0', linkType: 1 }), 0);
      assert.equal(writer.addInterface({ name: 'gre1', linkType: LINKTYPE_RAW }), 1);
      for (const { extra, ...fields } of packets) {
        writer.add({ ...fields, originalLength: fields.bytes.length + extra });
      }
      assert.deepEqual(
        read(Buffer.concat(blocks)),
        packets.map(({ interfaceId, timestampNs, bytes, extra }, index) => ({
          number: index + 1,
          timestampNs,
          linkType: interfaceId === 0 ? 1 : LINKTYPE_RAW,
          bytes,
          originalLength: bytes.length + extra,
        })),
      );
    }),
  );
});

test('a comment longer than an option holds is cut, between characters', () => {
  for (const comment of ['x'.repeat(70_000), 'é'.repeat(40_000), `x${'ñ'.repeat(40_000)}`]) {
    const blocks: Uint8Array[] = [];
    const writer = new CaptureWriter((block) => blocks.push(block), 'grebe test');
    const interfaceId = writer.addInterface({ name: 'eth0', linkType: 1 });
    writer.add({ interfaceId, timestampNs: 0n, bytes: Uint8Array.of(1), comment });
    assert.equal(read(Buffer.concat(blocks)).length, 1);
    assert.ok((blocks.at(-1)?.length ?? 0) < 65_535 + 60);
  }
});

test('a file holds everything once it is closed', () => {
  const path = join(FOLDER, 'all.pcapng');
  const file = new CaptureFile(path, 'grebe test');
  const interfaceId = file.addInterface({ name: 'gre1', linkType: LINKTYPE_RAW });
  for (let count = 0; count < 3000; count++) {
    file.add({ interfaceId, timestampNs: BigInt(count), bytes: new Uint8Array(1500) });
  }
  file.close();
  assert.equal(read(readFileSync(path)).length, 3000);
});

test('a file that cannot be made is a failure with its name', () => {
  const path = join(FOLDER, 'absent', 'a.pcapng');
  assert.throws(() => new CaptureFile(path, 'grebe test'), {
    exitCode: 1,
    message: `${path}: cannot be written (ENOENT)`,
  });
});

test('a full disk is a failure with the name of the file', {
  skip: existsSync('/dev/full') ? false : 'needs /dev/full',
}, () => {
  const file = new CaptureFile('/dev/full', 'grebe test');
  assert.throws(() => file.close(), { message: '/dev/full: cannot be written (ENOSPC)' });
});

function read(bytes: Uint8Array) {
  return [...readCapture(new ByteSource(memoryReader(bytes).read))];
}
