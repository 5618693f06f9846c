import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteSource, CaptureError } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import {
  concat,
  enhancedPacket,
  interfaceBlock,
  memoryReader,
  pcap,
  section,
  simplePacket,
} from './capture-files.js';

const BYTES = new Uint8Array(50).fill(0x45);
const SOUND: readonly Uint8Array[] = [
  pcap(
    { magic: 0xa1b2c3d4, little: true },
    new Array(3).fill({ seconds: 1, fraction: 0, bytes: BYTES }),
  ),
  pcap({ magic: 0xa1b23c4d, little: false }, [{ seconds: 1, fraction: 0, bytes: BYTES }]),
  ...[true, false].map((little) =>
    concat([
      section({ little }),
      interfaceBlock({ little }, 101),
      enhancedPacket({ little }, BYTES),
      simplePacket({ little }, BYTES),
    ]),
  ),
];

test('what is no capture is called by its name', () => {
  const files: [string, RegExp][] = [
    ['', /^the file is empty$/],
    ['0a0d', /^the file ends after 2 bytes, before any capture header$/],
    ['1f8b0800aabbccdd', /^the file is compressed with gzip$/],
    ['28b52ffd00000000', /compressed with zstd/],
    ['fd377a585a000000', /compressed with xz/],
    ['04224d1800000000', /compressed with lz4/],
    ['425a683931415926', /compressed with bzip2/],
    ['7f454c4602010100', /^not a capture file: it begins with 7f454c46, neither pcap nor pcapng$/],
  ];
  for (const [hex, message] of files) {
    assert.throws(() => read(Buffer.from(hex, 'hex')), { name: 'CaptureError', message });
  }
});

test('any bytes behind any magic give packets or one clear error, in bounded memory', () => {
  const starts = SOUND.map((file) => file.subarray(0, 4));
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 400 }), (start, rest) => {
      survives(concat([start, rest]));
    }),
    { numRuns: 2000 },
  );
});

test('a sound file with some bytes changed gives packets or one clear error, in bounded memory', () => {
  const change = fc.tuple(fc.nat(400), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff));
  fc.assert(
    fc.property(fc.constantFrom(...SOUND), fc.array(change, { maxLength: 6 }), (file, changes) => {
      const bytes = file.slice();
      for (const [offset, value] of changes) bytes[offset % bytes.length] = value;
      survives(bytes);
    }),
    { numRuns: 2000 },
  );
});

test('chunks of any size give the same packets', () => {
  fc.assert(
    fc.property(fc.constantFrom(...SOUND), fc.integer({ min: 1, max: 80 }), (file, step) => {
      assert.deepEqual(read(file, step), read(file));
    }),
  );
});

/** Reads hostile bytes: whatever they say, no packet is longer than they are. */
function survives(bytes: Uint8Array): void {
  const reader = memoryReader(bytes);
  let total = 0;
  try {
    for (const packet of readCapture(new ByteSource(reader.read))) total += packet.bytes.length;
  } catch (error) {
    assert.ok(error instanceof CaptureError, String(error));
  }
  assert.ok(total <= bytes.length);
  assert.ok(reader.largest() <= 16 * 1024 * 1024);
}

function read(bytes: Uint8Array, step?: number) {
  return [...readCapture(new ByteSource(memoryReader(bytes, step).read))];
}
