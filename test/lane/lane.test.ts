import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  LANE_TURN,
  MERGE_TCP,
  RING_DESCRIPTORS,
  RING_FILLED,
  RING_PROCESSED,
  SLOT_COUNT,
} from '../../asm/layout.js';
import { loadBuild, openCodec } from '../../src/codec/builds.js';
import type { Codec } from '../../src/codec/contract.js';
import { createJsCodec } from '../../src/codec/js.js';
import { decapBatch } from '../../src/lane/decap.js';
import { BATCH, encapBatch } from '../../src/lane/encap.js';
import { Lane } from '../../src/lane/lane.js';
import type { GreTunnel } from '../../src/packet/tunnel.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { MemoryTun } from '../../src/tun/memory.js';
import { readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { bindCodec } from '../support/bound-codec.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const TUNNEL: GreTunnel = { ...PLAIN_GRE, remote: '192.0.2.2' };

/** 10.0.0.1 > 10.0.0.2, UDP, 28 bytes, header checksum right. */
const INNER = Uint8Array.from(
  Buffer.from('4500001c000100004011' + '66ce' + '0a0000010a000002' + '0035003500080000', 'hex'),
);

/** A lane in memory whose codec may be wrapped to misbehave. */
function openLane(
  wrap: (codec: Codec, words: Uint32Array) => Codec = (codec) => codec,
  tunnel = TUNNEL,
) {
  const plan = planMemory(1);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish([tunnel]);
  const words = new Uint32Array(memory.buffer);
  const faults: string[] = [];
  const sent: Uint8Array[] = [];
  const underlay = new MemoryUnderlay(memory);
  underlay.onSent = (packet) => sent.push(packet);
  const device = new MemoryTun('gre1', memory);
  const [lanePlan] = plan.lanes;
  assert.ok(lanePlan);
  const lane = new Lane({
    memory,
    plan: lanePlan,
    underlay,
    codec: wrap(openCodec(loadBuild('scalar'), memory), words),
    fallback: createJsCodec(memory),
    merge: 0,
    onFault: (codec, error) => faults.push(`${codec}: ${String(error)}`),
  });
  lane.devices[1] = device;
  return {
    lane,
    device,
    underlay,
    sent,
    faults,
    counters: () => readCounters(memory, plan),
    memory,
  };
}

/** The address of the descriptor at `position`, as an index into the words of the memory. */
function descriptorOf(words: Uint32Array, ring: number, position: number): number {
  return ((words[(ring + RING_DESCRIPTORS) >>> 2] ?? 0) + position * DESCRIPTOR_SIZE) >>> 2;
}

test('a packet of the device leaves with its outer header and is counted once', () => {
  const { lane, device, sent, counters } = openLane();
  device.send(INNER);
  assert.equal(encapBatch(lane, 1), 1);
  assert.equal(encapBatch(lane, 1), 0);
  assert.equal(sent.length, 1);
  assert.deepEqual(sent[0]?.subarray(24), INNER);
  const { records, deviceReceived, underlayReceived } = counters();
  assert.equal(deviceReceived, 1);
  assert.equal(underlayReceived, 0);
  assert.deepEqual(records[1]?.tx, { packets: 1, bytes: INNER.length });
  assert.deepEqual(records[1]?.encapDrops, {});
});

test('a batch takes at most BATCH packets, and the rest comes with the next, in order', () => {
  const { lane, device, sent } = openLane();
  for (let n = 0; n < BATCH + 5; n++) {
    const packet = INNER.slice();
    packet[27] = n; // inside the UDP header: the order can be read back
    device.send(packet);
  }
  assert.equal(encapBatch(lane, 1), BATCH);
  assert.equal(encapBatch(lane, 1), 5);
  assert.deepEqual(
    sent.map((packet) => packet[24 + 27]),
    Array.from({ length: BATCH + 5 }, (_, n) => n),
  );
});

test('a batch is counted in the class of its size: 1, 2, up to 4, 8, 16, 32, 64, and more', () => {
  const { lane, counters } = openLane();
  for (const count of [1, 2, 3, 4, 5, 8, 16, 32, 33, 64, 65, 127]) {
    lane.countDeviceReceived(count);
    lane.countUnderlayReceived(count);
  }
  const { deviceBatches, underlayBatches } = counters();
  assert.deepEqual(deviceBatches, [1, 1, 2, 2, 1, 1, 2, 2]);
  assert.deepEqual(underlayBatches, deviceBatches);
});

test('a lane tells by an odd turn that its codec may be reading a table, also where that traps', () => {
  const turns: number[] = [];
  const turnOf = (words: Uint32Array): void => {
    turns.push(words[(planMemory(1).lanes[0].counters + LANE_TURN) >>> 2] ?? 0);
  };
  const { lane, device, memory } = openLane((codec, words) => ({
    ...bindCodec(codec),
    encap: () => {
      turnOf(words);
      throw new Error('a trap');
    },
  }));
  const words = new Uint32Array(memory.buffer);
  turnOf(words);
  device.send(INNER);
  encapBatch(lane, 1);
  turnOf(words);
  assert.deepEqual(turns, [0, 1, 2]);
});

test('a packet for a device that is gone is dropped as tunnel-down', () => {
  const { lane, device, sent, underlay, counters } = openLane();
  device.send(INNER);
  encapBatch(lane, 1);
  const reply = sent[0]?.slice();
  assert.ok(reply);
  // The same packet from the other end: addresses swapped, the header checksum stays.
  reply.set(sent[0]?.subarray(16, 20) ?? [], 12);
  reply.set(sent[0]?.subarray(12, 16) ?? [], 16);
  underlay.inject(reply);
  lane.devices[1] = undefined;
  assert.equal(decapBatch(lane), 1);
  assert.deepEqual(counters().records[1]?.decapDrops, { 'tunnel-down': 1 });
});

test('a codec that traps loses the batch in hand, all of it counted, and the reference takes over', () => {
  const { lane, device, sent, faults, counters } = openLane((codec) => ({
    ...bindCodec(codec),
    name: 'broken',
    encap: () => {
      throw new WebAssembly.RuntimeError('unreachable');
    },
  }));
  device.send(INNER);
  device.send(INNER);
  assert.equal(encapBatch(lane, 1), 2);
  assert.equal(sent.length, 0);
  assert.equal(faults.length, 1);
  assert.match(faults[0] ?? '', /^broken: .*unreachable/);
  assert.equal(lane.codec.name, 'js');
  device.send(INNER);
  encapBatch(lane, 1);
  assert.equal(sent.length, 1);
  const { records, deviceReceived } = counters();
  assert.equal(deviceReceived, 3);
  assert.deepEqual(records[1]?.encapDrops, { 'codec-fault': 2 });
  assert.equal(records[1]?.tx.packets, 1);
});

for (const [what, field, value] of [
  ['bytes outside the slot', DESCRIPTOR_ADDRESS, 0x7fff_ffff],
  ['bytes of the control block', DESCRIPTOR_ADDRESS, 0],
  ['a length past the slot', DESCRIPTOR_LENGTH, 0x000f_ffff],
  ['a payload outside the slots', DESCRIPTOR_PAYLOAD_LENGTH, 1],
  ['a packet that stands for none', DESCRIPTOR_PACKETS & ~3, 0],
  ['a packet that stands for more than there can be', DESCRIPTOR_PACKETS & ~3, 0xffff_ffff],
  ['a record that does not exist', DESCRIPTOR_TUNNEL, 0x0001_0000],
] as const) {
  test(`a codec cannot make the host send ${what}`, () => {
    const { lane, device, sent, counters } = openLane((codec, words) => ({
      ...bindCodec(codec),
      encap: (ring) => {
        const count = codec.encap(ring);
        words[descriptorOf(words, ring, 0) + (field >>> 2)] = value;
        return count;
      },
    }));
    device.send(INNER);
    device.send(INNER);
    encapBatch(lane, 1);
    assert.equal(sent.length, 1, 'only the packet whose descriptor is sound leaves');
    const { records } = counters();
    const faults =
      (records[0]?.encapDrops['codec-fault'] ?? 0) + (records[1]?.encapDrops['codec-fault'] ?? 0);
    assert.equal(faults, 1);
    assert.equal(records[1]?.tx.packets, 1);
  });
}

test('a codec that spoils several packets of a batch is replaced once, and the lane goes on', () => {
  const { lane, device, sent, faults, counters } = openLane((codec, words) => ({
    ...bindCodec(codec),
    encap: (ring) => {
      const count = codec.encap(ring);
      for (const position of [0, 1, 3]) {
        words[descriptorOf(words, ring, position) + (DESCRIPTOR_ADDRESS >>> 2)] = 12;
      }
      return count;
    },
  }));
  for (let n = 0; n < 5; n++) device.send(INNER);
  assert.equal(encapBatch(lane, 1), 5);
  assert.equal(sent.length, 2);
  assert.equal(faults.length, 1);
  assert.deepEqual(counters().records[1]?.encapDrops, { 'codec-fault': 3 });
  assert.equal(counters().records[1]?.tx.packets, 2);
  device.send(INNER);
  encapBatch(lane, 1);
  assert.equal(sent.length, 3);
});

for (const [what, segment] of [
  ['claims no packet', () => 0],
  ['claims more packets than there are slots', () => 1000],
  ['claims a negative number of packets', () => -1],
  [
    'traps',
    () => {
      throw new WebAssembly.RuntimeError('unreachable');
    },
  ],
] as const) {
  test(`a codec whose segment ${what} is replaced, and the packet goes`, () => {
    const { lane, device, sent, counters, memory } = openLane((codec) => ({
      ...bindCodec(codec),
      segment,
    }));
    withHeader(device, memory, [1, 0, 0, 0, 0, 0, 20, 0, 6, 0]); // finish UDP
    device.send(INNER);
    assert.equal(encapBatch(lane, 1), 1);
    assert.equal(lane.codec.name, 'js');
    assert.equal(sent.length, 1);
    assert.deepEqual(counters().records[1]?.tx, { packets: 1, bytes: INNER.length });
  });
}

/** 10.0.0.1 > 10.0.0.2, TCP of 3000 bytes, and the device header that asks for segments of 1000. */
function superpacket(): { packet: Uint8Array; header: number[] } {
  const packet = new Uint8Array(40 + 3000).fill(7, 40);
  const view = new DataView(packet.buffer);
  view.setUint32(0, 0x45000000 + packet.length);
  view.setUint32(4, 0x4000);
  view.setUint32(8, 0x40060000);
  view.setUint32(12, 0x0a000001);
  view.setUint32(16, 0x0a000002);
  view.setUint8(32, 0x50);
  return { packet, header: [1, 1, 40, 0, 1000 & 0xff, 1000 >> 8, 20, 0, 16, 0] };
}

/** Lets the device hand over every packet with this device header. */
function withHeader(device: MemoryTun, memory: WebAssembly.Memory, header: number[]): void {
  const read = device.read.bind(device);
  device.read = (ring, position) => {
    const length = read(ring, position);
    new Uint8Array(memory.buffer).set(header, ring.deviceHeader(position));
    return length;
  };
}

test('a codec that counts a packet for none, or for more than there can be, is replaced', () => {
  for (const packets of [0, 65, 0xffff]) {
    const { lane, device, sent, counters, memory } = openLane((codec, words) => ({
      ...bindCodec(codec),
      segment: (ring, position, room, keep) => {
        const count = codec.segment(ring, position, room, keep);
        const halves = new Uint16Array(words.buffer);
        halves[descriptorOf(words, ring, position) * 2 + (DESCRIPTOR_PACKETS >>> 1)] = packets;
        return count;
      },
    }));
    withHeader(device, memory, [1, 0, 0, 0, 0, 0, 20, 0, 6, 0]);
    device.send(INNER);
    assert.equal(encapBatch(lane, 1), 1);
    assert.equal(lane.codec.name, 'js');
    assert.equal(sent.length, 1);
    assert.equal(counters().deviceReceived, 1);
    assert.equal(counters().records[1]?.tx.packets, 1);
  }
});

test('a superpacket counts as what it stands for: segmented, kept whole, and spoiled by a codec', () => {
  for (const keep of [0, MERGE_TCP]) {
    const { packet, header } = superpacket();
    const { lane, device, underlay, sent, counters, memory } = openLane((codec, words) => ({
      ...bindCodec(codec),
      encap: (ring) => {
        const count = codec.encap(ring);
        const last = (lane.encapRing.filled - 1) & (SLOT_COUNT - 1);
        words[descriptorOf(words, ring, last) + (DESCRIPTOR_ADDRESS >>> 2)] = 12;
        return count;
      },
    }));
    Object.assign(underlay, { keeps: () => keep });
    withHeader(device, memory, header);
    device.send(packet);
    device.send(packet);
    assert.equal(encapBatch(lane, 1), keep === 0 ? 6 : 2);
    assert.equal(sent.length, keep === 0 ? 5 : 1);
    const lost = keep === 0 ? 1 : 3;
    const { records, deviceReceived } = counters();
    assert.equal(deviceReceived, 6);
    assert.deepEqual(records[1]?.encapDrops, { 'codec-fault': lost });
    assert.deepEqual(records[1]?.tx, { packets: 6 - lost, bytes: (6 - lost) * 1040 });
  }
});

test('a codec that processes nothing does not stop the ring: the reference takes over', () => {
  const { lane, device, counters } = openLane((codec) => ({ ...bindCodec(codec), encap: () => 0 }));
  for (let batch = 0; batch < 5; batch++) {
    for (let n = 0; n < BATCH; n++) device.send(INNER);
    assert.equal(encapBatch(lane, 1), BATCH);
  }
  assert.equal(lane.encapRing.processed, lane.encapRing.filled);
  assert.equal(lane.encapRing.drained, lane.encapRing.filled);
  const { records, deviceReceived } = counters();
  assert.equal(deviceReceived, 5 * BATCH);
  assert.deepEqual(records[1]?.encapDrops, { 'codec-fault': BATCH });
  assert.equal(records[1]?.tx.packets, 4 * BATCH);
});

test('a codec that settles nothing does not stop the ring either', () => {
  const { lane, device, counters } = openLane((codec) => ({
    ...bindCodec(codec),
    settle: () => {},
  }));
  for (let n = 0; n < 200; n++) {
    device.send(INNER);
    encapBatch(lane, 1);
  }
  assert.equal(counters().records[1]?.tx.packets, 200);
});

test('a codec that moves the cursors away is not followed', () => {
  const { lane, device, sent, counters } = openLane((codec, words) => ({
    ...bindCodec(codec),
    encap: (ring) => {
      const count = codec.encap(ring);
      words[(ring + RING_FILLED) >>> 2] = 0x1234_5678;
      words[(ring + RING_PROCESSED) >>> 2] = 0x1234_5678;
      return count;
    },
  }));
  device.send(INNER);
  encapBatch(lane, 1);
  assert.equal(sent.length, 0);
  assert.equal(lane.encapRing.reserve(), SLOT_COUNT);
  assert.deepEqual(counters().records[1]?.encapDrops, { 'codec-fault': 1 });
});

test('swapping the codec between batches loses nothing and goes on with the sequence', () => {
  const { lane, device, sent, counters, memory } = openLane(undefined, {
    ...TUNNEL,
    sequenceOut: true,
  });
  for (const name of ['simd', 'js', 'scalar', 'simd', 'js']) {
    device.send(INNER);
    device.send(INNER);
    encapBatch(lane, 1);
    lane.useCodec(openCodec(loadBuild(name), memory));
  }
  assert.equal(counters().records[1]?.tx.packets, 10);
  const sequences = sent.map((packet) => Buffer.from(packet).readUInt32BE(24));
  assert.deepEqual(sequences, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
