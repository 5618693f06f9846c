import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteSource, CaptureError } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import {
  block,
  concat,
  enhancedPacket,
  interfaceBlock,
  memoryReader,
  ORDERS,
  obsoletePacket,
  option,
  section,
  simplePacket,
  words,
} from './capture-files.js';

const BYTES = Uint8Array.of(1, 2, 3, 4, 5);
const LITTLE = { little: true };
const BIG = { little: false };
const TIME_RESOLUTION = 9;
const TIME_OFFSET = 14;

for (const order of ORDERS) {
  test(`a ${order.little ? 'little-endian' : 'big-endian'} file gives all three kinds of packet`, () => {
    const file = concat([
      section(order),
      interfaceBlock(order, 101, 4),
      interfaceBlock(order, 1),
      enhancedPacket(order, BYTES, {
        interfaceId: 1,
        timestamp: 1_700_000_000_000_001n,
        original: 9,
      }),
      obsoletePacket(order, BYTES, { interfaceId: 1, timestamp: 1n }),
      simplePacket(order, BYTES.subarray(0, 4), 60),
    ]);
    assert.deepEqual(read(file), [
      {
        number: 1,
        timestampNs: 1_700_000_000_000_001_000n,
        linkType: 1,
        bytes: BYTES,
        originalLength: 9,
      },
      { number: 2, timestampNs: 1000n, linkType: 1, bytes: BYTES, originalLength: 5 },
      {
        number: 3,
        timestampNs: null,
        linkType: 101,
        bytes: BYTES.subarray(0, 4),
        originalLength: 60,
      },
    ]);
  });
}

test('a second section brings its own byte order and interfaces', () => {
  const file = concat([
    section(LITTLE),
    interfaceBlock(LITTLE, 101),
    enhancedPacket(LITTLE, BYTES),
    section(BIG),
    interfaceBlock(BIG, 1),
    enhancedPacket(BIG, BYTES),
  ]);
  assert.deepEqual(
    read(file).map(({ number, linkType }) => [number, linkType]),
    [
      [1, 101],
      [2, 1],
    ],
  );
});

test('times follow the resolution and the offset of their interface', () => {
  const clocks: [Uint8Array, bigint, bigint][] = [
    [option(LITTLE, TIME_RESOLUTION, Uint8Array.of(9)), 5n, 5n],
    [option(LITTLE, TIME_RESOLUTION, Uint8Array.of(0)), 5n, 5_000_000_000n],
    [option(LITTLE, TIME_RESOLUTION, Uint8Array.of(12)), 5000n, 5n],
    [option(LITTLE, TIME_RESOLUTION, Uint8Array.of(0x80 | 10)), 1024n, 1_000_000_000n],
    [option(LITTLE, TIME_RESOLUTION, Uint8Array.of(0xff)), 1n, 0n],
    [option(LITTLE, TIME_OFFSET, concat([words(true, [2, 0])])), 1n, 2_000_001_000n],
    [option(LITTLE, 2, Buffer.from('eth0')), 1n, 1000n],
  ];
  for (const [options, timestamp, expected] of clocks) {
    const file = concat([
      section(LITTLE),
      interfaceBlock(LITTLE, 1, 0, concat([options, option(LITTLE, 0, new Uint8Array())])),
      enhancedPacket(LITTLE, BYTES, { timestamp }),
    ]);
    assert.equal(read(file)[0]?.timestampNs, expected);
  }
});

test('options and unknown blocks are passed over, however long', () => {
  const comment = option(LITTLE, 1, new Uint8Array(60_000));
  const file = concat([
    section(LITTLE),
    block(LITTLE, 0x0bad, new Uint8Array(300_000)),
    interfaceBlock(LITTLE, 1),
    enhancedPacket(LITTLE, BYTES, {}, concat([comment, comment])),
    block(LITTLE, 5, new Uint8Array(8)),
    enhancedPacket(LITTLE, BYTES),
  ]);
  const reader = memoryReader(file);
  assert.equal([...readCapture(new ByteSource(reader.read))].length, 2);
  assert.ok(reader.largest() <= 65_536);
});

test('a file cut at any byte gives the packets before the cut, and says where it ends', () => {
  const parts = [
    section(LITTLE),
    interfaceBlock(LITTLE, 1),
    enhancedPacket(LITTLE, BYTES),
    block(LITTLE, 99, new Uint8Array(8)),
    simplePacket(LITTLE, BYTES),
  ];
  const file = concat(parts);
  const borders = new Set<number>();
  parts.reduce((sum, part) => {
    borders.add(sum + part.length);
    return sum + part.length;
  }, 0);
  for (let length = 0; length < file.length; length++) {
    const readAll = () => read(file.subarray(0, length));
    if (borders.has(length)) readAll();
    else assert.throws(readAll, CaptureError, `cut after ${length} bytes`);
  }
});

test('blocks whose lengths are impossible end the file with a message', () => {
  const start = concat([section(LITTLE), interfaceBlock(LITTLE, 1)]);
  const wrong: [Uint8Array, RegExp][] = [
    [block(LITTLE, 6, BYTES, { front: 0 }), /has length 0/],
    [block(LITTLE, 6, BYTES, { front: 8 }), /has length 8/],
    [block(LITTLE, 6, BYTES, { front: 21 }), /has length 21/],
    [block(LITTLE, 77, BYTES, { front: 0xfffffffc }), /ends inside the block/],
    [block(LITTLE, 77, BYTES, { behind: 24 }), /has length 20 in front but 24 behind/],
    [block(LITTLE, 6, BYTES), /has 8 bytes where 20 are needed/],
    [block(LITTLE, 3, new Uint8Array()), /has 0 bytes where 4 are needed/],
    [enhancedPacket(LITTLE, BYTES, { captured: 9 }), /claims 9 bytes, its block has 8/],
    [enhancedPacket(LITTLE, BYTES, { captured: 0xffffffff }), /claims 4294967295 bytes/],
    [enhancedPacket(LITTLE, BYTES, { interfaceId: 1 }), /names interface 1, its section has 1/],
    [simplePacket(LITTLE, BYTES, 0x7fffffff), /claims 2147483647 bytes/],
    [block(LITTLE, 1, BYTES, { front: 0x7ffffffc }), /the interface at byte 48 claims/],
    [section(LITTLE, 2), /pcapng version 2 is not known/],
    [block(LITTLE, 0x0a0d0d0a, new Uint8Array(16)), /has no byte-order magic/],
  ];
  for (const [bytes, message] of wrong) {
    const reader = memoryReader(concat([start, bytes, new Uint8Array(64)]));
    assert.throws(() => [...readCapture(new ByteSource(reader.read))], { message });
    assert.ok(reader.largest() <= 65_536);
  }
});

test('a packet before any interface has nothing to be read by', () => {
  assert.throws(() => read(concat([section(BIG), simplePacket(BIG, BYTES)])), {
    message: 'packet 1 at byte 28 names interface 0, its section has 0',
  });
});

test('a file of nothing but interfaces does not fill the memory', () => {
  const one = interfaceBlock(LITTLE, 1);
  const file = concat([section(LITTLE), ...new Array<Uint8Array>(65_537).fill(one)]);
  assert.throws(() => read(file), { message: /^more than 65536 interfaces/ });
});

function read(bytes: Uint8Array) {
  return [...readCapture(new ByteSource(memoryReader(bytes).read))];
}
