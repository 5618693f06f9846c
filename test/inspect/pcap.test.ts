import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteSource, CaptureError } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import { memoryReader, ORDERS, pcap } from './capture-files.js';

const FIRST = { seconds: 1, fraction: 2, bytes: Uint8Array.of(1, 2, 3) };
const SECOND = {
  seconds: 0xffffffff,
  fraction: 999_999,
  bytes: new Uint8Array(70),
  original: 1500,
};
const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;

for (const { little } of ORDERS) {
  const order = little ? 'little-endian' : 'big-endian';

  test(`a ${order} pcap in microseconds gives every packet with time and lengths`, () => {
    assert.deepEqual(read(pcap({ magic: MICROSECONDS, little, linkType: 101 }, [FIRST, SECOND])), [
      {
        number: 1,
        timestampNs: 1_000_002_000n,
        linkType: 101,
        bytes: FIRST.bytes,
        originalLength: 3,
      },
      {
        number: 2,
        timestampNs: 4_294_967_295_999_999_000n,
        linkType: 101,
        bytes: SECOND.bytes,
        originalLength: 1500,
      },
    ]);
  });

  test(`a ${order} pcap in nanoseconds keeps them`, () => {
    const [packet] = read(pcap({ magic: NANOSECONDS, little }, [FIRST]));
    assert.equal(packet?.timestampNs, 1_000_000_002n);
  });
}

test('a frame check length in the upper half of the link type is passed over', () => {
  const [packet] = read(pcap({ magic: MICROSECONDS, little: true, linkType: 0x24000001 }, [FIRST]));
  assert.equal(packet?.linkType, 1);
});

test('a file read byte by byte gives the same packets', () => {
  const file = pcap({ magic: MICROSECONDS, little: true }, [FIRST, SECOND]);
  assert.deepEqual(read(file, 1), read(file));
});

test('a file cut at any byte gives the packets before the cut, and says where it ends', () => {
  const file = pcap({ magic: MICROSECONDS, little: true }, [FIRST, SECOND]);
  const ends = new Map([
    [24, 0],
    [24 + 16 + 3, 1],
    [file.length, 2],
  ]);
  for (let length = 0; length <= file.length; length++) {
    const packets: number[] = [];
    const readAll = (): void => {
      for (const packet of readCapture(sourceOf(file.subarray(0, length)))) {
        packets.push(packet.number);
      }
    };
    if (ends.has(length)) readAll();
    else assert.throws(readAll, CaptureError, `cut after ${length} bytes`);
    assert.equal(packets.length, length < 43 ? 0 : length < file.length ? 1 : 2);
  }
});

test('a packet length beyond every snap length ends the file without the memory', () => {
  for (const [snapLength, captured, limit] of [
    [0, 262_145, 262_144],
    [65_535, 0xffffffff, 262_144],
    [1_000_000, 1_000_001, 1_000_000],
    [0xffffffff, 0xffffffff, 16_777_216],
  ] as const) {
    const record = { ...FIRST, captured };
    const file = pcap({ magic: MICROSECONDS, little: true, snapLength }, [record]);
    const reader = memoryReader(file);
    assert.throws(() => [...readCapture(new ByteSource(reader.read))], {
      name: 'CaptureError',
      message: `packet 1 claims ${captured} bytes, the most here is ${limit}`,
    });
    assert.ok(reader.largest() <= 65_536);
  }
});

test('a packet as long as the snap length allows is read', () => {
  const bytes = new Uint8Array(1_000_000).fill(7);
  const file = pcap({ magic: MICROSECONDS, little: true, snapLength: bytes.length }, [
    { ...FIRST, bytes },
    FIRST,
  ]);
  assert.deepEqual(
    read(file, 4096).map((packet) => packet.bytes.length),
    [1_000_000, 3],
  );
});

test('another major version is refused', () => {
  assert.throws(() => read(pcap({ magic: MICROSECONDS, little: true, major: 3 }, [FIRST])), {
    message: 'pcap version 3 is not known, only 2',
  });
});

function sourceOf(bytes: Uint8Array, step?: number): ByteSource {
  return new ByteSource(memoryReader(bytes, step).read);
}

function read(bytes: Uint8Array, step?: number) {
  return [...readCapture(sourceOf(bytes, step))];
}
