// Runs of merged packets between codec and device: whatever a codec links to what and a device says to it, every
// packet is written once or has one reason.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_NEXT,
  DESCRIPTOR_SIZE,
  MERGE_TCP,
  MERGE_UDP,
  RING_DESCRIPTORS,
  RING_DRAINED,
  RING_FILLED,
  RING_PROCESSED,
  SLOT_COUNT,
} from '../../asm/layout.js';
import { REASON_NONE, REASON_QUEUE_FULL, REASON_TX_ERROR } from '../../asm/reason.js';
import { loadBuild, openCodec } from '../../src/codec/builds.js';
import type { Codec } from '../../src/codec/contract.js';
import { createJsCodec } from '../../src/codec/js.js';
import { decapBatch } from '../../src/lane/decap.js';
import { Lane } from '../../src/lane/lane.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import type { Ring } from '../../src/ring/ring.js';
import { type TunDevice, WRITE_REFUSED } from '../../src/tun/contract.js';
import { type RecordCounters, readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { bindCodec } from '../support/bound-codec.js';
import { splitWritten } from '../support/kernel-receiver.js';
import { gre, internetChecksum, ipv4 } from '../support/packets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const REMOTES = ['192.0.2.2', '192.0.2.3'];
const TUNNELS: Tunnel[] = REMOTES.map((remote, n) => ({
  ...PLAIN_GRE,
  name: `gre${n + 1}`,
  remote,
}));
const SIZE = 100;

/** A GRE packet of tunnel `record` with packet `n` of a TCP flow. */
function segment(n: number, { record = 1, port = 443, flags = 0x10 } = {}): Uint8Array {
  const tcp = Buffer.alloc(20 + SIZE, n);
  tcp.writeUInt16BE(49152, 0);
  tcp.writeUInt16BE(port, 2);
  tcp.writeUInt32BE(n * SIZE, 4);
  tcp.writeUInt32BE(1, 8);
  tcp.set([0x50, flags, 1, 0, 0, 0, 0, 0], 12);
  const pseudo = Buffer.from([10, 1, 1, 5, 10, 2, 2, 9, 0, 6, 0, tcp.length]);
  tcp.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, tcp])), 16);
  const fields = { source: '10.1.1.5', destination: '10.2.2.9', fragment: 0x4000 };
  const inner = ipv4({ ...fields, identification: n, protocol: 6, payload: tcp });
  return ipv4({
    source: REMOTES[record - 1] ?? '',
    destination: '192.0.2.1',
    protocol: 47,
    payload: gre({ payload: inner }),
  });
}

function innerOf(packet: Uint8Array): Buffer {
  return Buffer.from(packet.subarray(24));
}

/** A device that notes what it is written, and answers what the test wants. */
class Device implements TunDevice {
  readonly fd = -1;
  readonly name: string;
  /** Packets of each write that was taken, split as a kernel would. */
  readonly written: Buffer[][] = [];
  /** Which packets were in what was taken: the last byte of each piece. */
  readonly numbers: number[] = [];
  /** What it answers to a write of so many packets. */
  answer: (packets: number) => number = () => REASON_NONE;
  readonly #bytes: Uint8Array;

  constructor(name: string, memory: WebAssembly.Memory) {
    this.name = name;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  read(): number {
    return 0;
  }

  inject(): boolean {
    return false;
  }

  write(ring: Ring, index: number): number {
    const pieces: Uint8Array[] = [];
    for (let at = index; at >= 0; at = ring.next(at)) {
      const address = ring.processedAddress(at);
      assert.notEqual(address, -1);
      pieces.push(this.#bytes.slice(address, address + ring.length(at)));
    }
    const answer = this.answer(pieces.length);
    if (answer !== REASON_NONE) return answer;
    const header = ring.deviceHeader(index);
    const split = splitWritten(Buffer.concat(pieces), this.#bytes.slice(header, header + 10));
    this.written.push(split);
    this.numbers.push(...pieces.map((piece) => piece.at(-1) ?? -1));
    return REASON_NONE;
  }

  close(): void {}
}

type Wrap = (codec: Codec, links: Links) => Partial<Codec>;

function openLane(wrap: Wrap = () => ({}), build = 'scalar') {
  const plan = planMemory(1);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish(TUNNELS);
  const [lanePlan] = plan.lanes;
  const faults: string[] = [];
  const refused: string[] = [];
  const underlay = new MemoryUnderlay(memory);
  const codec = openCodec(loadBuild(build), memory);
  const lane = new Lane({
    ...{ memory, plan: lanePlan, underlay, merge: MERGE_TCP | MERGE_UDP },
    codec: { ...bindCodec(codec), ...wrap(codec, new Links(memory)) },
    fallback: createJsCodec(memory),
    onMergeRefused: (device) => refused.push(device),
    onFault: (name, error) => faults.push(`${name}: ${String(error)}`),
  });
  const [first, second] = TUNNELS.map(({ name }) => new Device(name, memory));
  assert.ok(first && second);
  lane.devices[1] = first;
  lane.devices[2] = second;
  /** Lets these packets arrive as one batch. */
  const arrive = (...packets: Uint8Array[]): void => {
    for (const packet of packets) assert.ok(underlay.inject(packet));
    assert.equal(decapBatch(lane), packets.length);
  };
  const record = (index: number): RecordCounters => {
    const found = readCounters(memory, plan).records[index];
    assert.ok(found);
    return found;
  };
  return { lane, first, second, faults, refused, arrive, record };
}

/** The links between descriptors, as a codec writes them: slot indexes, -1 for none. */
class Links {
  readonly #memory: WebAssembly.Memory;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  emit(ring: number, slot: number, target: number): void {
    this.#descriptor(ring, slot).setUint16(DESCRIPTOR_EMIT, target + 1, true);
  }

  next(ring: number, slot: number, target: number): void {
    this.#descriptor(ring, slot).setUint16(DESCRIPTOR_NEXT, target + 1, true);
  }

  address(ring: number, slot: number, address: number): void {
    this.#descriptor(ring, slot).setUint32(DESCRIPTOR_ADDRESS, address, true);
  }

  #descriptor(ring: number, slot: number): DataView {
    const view = new DataView(this.#memory.buffer);
    const descriptors = view.getUint32(ring + RING_DESCRIPTORS, true);
    return new DataView(this.#memory.buffer, descriptors + slot * DESCRIPTOR_SIZE, DESCRIPTOR_SIZE);
  }
}

for (const build of ['simd', 'scalar', 'js']) {
  test(`${build}: neighbours of a flow are written as one, and counted one by one`, () => {
    const { first, second, faults, arrive, record } = openLane(undefined, build);
    const packets = [0, 1, 2, 3, 4].map((n) => segment(n));
    const others = [0, 1].map((n) => segment(n, { record: 2 }));
    arrive(...packets.slice(0, 3), ...others, ...packets.slice(3));
    assert.deepEqual(first.written, [packets.map(innerOf)]);
    assert.deepEqual(second.written, [others.map(innerOf)]);
    assert.deepEqual(faults, []);
    assert.deepEqual(record(1).rx, { packets: 5, bytes: 5 * (40 + SIZE) });
    assert.deepEqual(record(2).rx, { packets: 2, bytes: 2 * (40 + SIZE) });
  });
}

test('nothing is merged across batches', () => {
  const { first, arrive } = openLane();
  arrive(segment(0), segment(1));
  arrive(segment(2), segment(3));
  assert.deepEqual(
    first.written.map(({ length }) => length),
    [2, 2],
  );
});

interface Mistake {
  readonly what: string;
  readonly link: (ring: number, links: Links) => void;
  /** Packets of the batch that are lost; the third is of another tunnel, the fifth was dropped by decap. */
  readonly lost: readonly number[];
}

// Of the batch 0 1 2 3 4 none is merged by the codec itself: each is of a flow of its own.
const MISTAKES: readonly Mistake[] = [
  { what: 'in a circle', link: (r, l) => [l.next(r, 0, 1), l.next(r, 1, 0)], lost: [0, 1] },
  { what: 'to itself', link: (r, l) => l.next(r, 0, 0), lost: [0] },
  { what: 'to a slot that there is not', link: (r, l) => l.next(r, 1, SLOT_COUNT), lost: [1] },
  { what: 'to the last number there is', link: (r, l) => l.next(r, 1, 0xfffe), lost: [1] },
  { what: 'to a slot of no batch', link: (r, l) => l.next(r, 0, 77), lost: [0] },
  { what: 'to a packet of another tunnel', link: (r, l) => l.next(r, 1, 2), lost: [1] },
  { what: 'to a packet that was dropped', link: (r, l) => l.next(r, 3, 4), lost: [3] },
  {
    what: 'to two packets',
    link: (r, l) => [l.next(r, 0, 3), l.next(r, 1, 3), l.emit(r, 3, -1)],
    lost: [1],
  },
  { what: 'to one that also goes alone', link: (r, l) => l.next(r, 0, 3), lost: [] },
  { what: 'and emits a packet nowhere', link: (r, l) => l.emit(r, 1, -1), lost: [1] },
  { what: 'and emits a packet twice', link: (r, l) => l.emit(r, 3, 1), lost: [3] },
  { what: 'and emits a slot that there is not', link: (r, l) => l.emit(r, 0, 0xfffe), lost: [0] },
  { what: 'and emits a slot of no batch', link: (r, l) => l.emit(r, 3, 77), lost: [3] },
  { what: 'and emits a packet that was dropped', link: (r, l) => l.emit(r, 3, 4), lost: [3] },
  { what: 'to a place outside', link: (r, l) => l.address(r, 1, 64), lost: [1] },
];

for (const { what, link, lost } of MISTAKES) {
  test(`a codec that links a packet ${what} loses no other, and is replaced`, () => {
    const { lane, first, second, faults, arrive, record } = openLane((_codec, links) => ({
      coalesce: (ring) => link(ring, links),
    }));
    const spoiled = segment(4, { port: 5 });
    spoiled[24 + 8] = 0; // the TTL, so the header checksum as well
    arrive(
      segment(0, { port: 1 }),
      segment(1, { port: 2 }),
      segment(2, { port: 3, record: 2 }),
      segment(3, { port: 4 }),
      spoiled,
    );
    assert.equal(faults.length, 1);
    assert.equal(lane.codec.name, 'js');
    const sent = [...first.numbers, ...second.numbers].sort();
    // A wrong link may put two packets into one; what was written was written once.
    const faulty = [record(1), record(2)].map(({ decapDrops }) => decapDrops['codec-fault'] ?? 0);
    assert.equal((faulty[0] ?? 0) + (faulty[1] ?? 0), lost.length);
    assert.equal(record(1).rx.packets + record(2).rx.packets, 4 - lost.length);
    assert.deepEqual(record(1).decapDrops['inner-header'], 1);
    for (const n of lost) assert.ok(!sent.includes(n), `${n} is lost`);
    assert.equal(second.written.length, 1, 'the packet of the other tunnel is written by itself');

    arrive(segment(5), segment(6));
    assert.deepEqual(first.written.at(-1), [segment(5), segment(6)].map(innerOf));
    assert.equal(faults.length, 1);
  });
}

test('a codec that traps while it merges loses what it left unsound, and the lane goes on', () => {
  const { lane, first, faults, arrive, record } = openLane((codec, links) => ({
    coalesce: (ring, kinds) => {
      codec.coalesce(ring, kinds);
      links.next(ring, 1, 300);
      throw new WebAssembly.RuntimeError('unreachable');
    },
  }));
  arrive(segment(0), segment(1), segment(7, { port: 80 }));
  assert.deepEqual(first.numbers, [7]);
  assert.deepEqual(record(1).decapDrops, { 'codec-fault': 2 });
  assert.equal(faults.length, 1);
  assert.equal(lane.codec.name, 'js');
  arrive(segment(2), segment(3));
  assert.equal(first.written.at(-1)?.length, 2);
});

test('a codec that moves the cursors while it merges or takes apart is not followed', () => {
  const move = (memory: WebAssembly.Memory, ring: number): void => {
    const words = new Uint32Array(memory.buffer);
    for (const cursor of [RING_FILLED, RING_PROCESSED, RING_DRAINED]) {
      words[(ring + cursor) >>> 2] = 0x1234_5678;
    }
  };
  const plan = planMemory(1);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish(TUNNELS);
  const underlay = new MemoryUnderlay(memory);
  const codec = openCodec(loadBuild('scalar'), memory);
  const lane = new Lane({
    ...{ memory, plan: plan.lanes[0], underlay, merge: MERGE_TCP },
    codec: {
      ...bindCodec(codec),
      coalesce: (ring, kinds) => {
        codec.coalesce(ring, kinds);
        move(memory, ring);
      },
      separate: (ring, index) => {
        codec.separate(ring, index);
        move(memory, ring);
      },
    },
    fallback: createJsCodec(memory),
    onFault: (name) => assert.fail(name),
  });
  const device = new Device('gre1', memory);
  lane.devices[1] = device;
  device.answer = (packets) => (packets > 1 ? WRITE_REFUSED : REASON_NONE);
  for (const n of [0, 1, 2]) underlay.inject(segment(n));
  assert.equal(decapBatch(lane), 3);
  assert.deepEqual(device.numbers, [0, 1, 2]);
  assert.equal(lane.decapRing.reserve(), SLOT_COUNT);
  assert.equal(readCounters(memory, plan).records[1]?.rx.packets, 3);
});

for (const build of ['simd', 'scalar', 'js']) {
  test(`${build}: runs that the kernel refuses go packet by packet, once, and merging stays off`, () => {
    const { first, faults, refused, arrive, record } = openLane(undefined, build);
    const sizes: number[] = [];
    first.answer = (packets) => {
      sizes.push(packets);
      return packets > 1 ? WRITE_REFUSED : REASON_NONE;
    };
    const packets = [0, 1, 2, 3].map((n) => segment(n));
    const others = [0, 1].map((n) => segment(n, { port: 80 }));
    arrive(...packets, ...others);
    assert.deepEqual(first.written.flat(), [...packets, ...others].map(innerOf));
    assert.deepEqual(sizes, [4, 1, 1, 1, 1, 2, 1, 1]);
    assert.deepEqual(refused, ['gre1']);
    arrive(segment(4), segment(5), segment(6));
    assert.deepEqual(sizes.slice(8), [1, 1, 1]);
    assert.deepEqual(refused, ['gre1'], 'told once');
    assert.deepEqual(faults, []);
    assert.deepEqual(record(1).rx, { packets: 9, bytes: 9 * (40 + SIZE) });
    assert.deepEqual(record(1).decapDrops, {});
  });
}

test('a packet that is refused alone as well gets its reason, the others of its run go', () => {
  const { first, arrive, record } = openLane();
  let writes = 0;
  first.answer = (packets) => {
    if (packets > 1) return WRITE_REFUSED;
    return ++writes === 2 ? REASON_TX_ERROR : REASON_NONE;
  };
  arrive(segment(0), segment(1), segment(2));
  assert.deepEqual(first.numbers, [0, 2]);
  assert.deepEqual(record(1).decapDrops, { 'tx-error': 1 });
  assert.equal(record(1).rx.packets, 2);
});

test('a run that the device does not take gives every packet its reason', () => {
  const { first, refused, arrive, record } = openLane();
  first.answer = (packets) => (packets > 1 ? REASON_QUEUE_FULL : REASON_NONE);
  arrive(segment(0), segment(1), segment(2), segment(9, { port: 80 }));
  assert.deepEqual(first.numbers, [9]);
  assert.deepEqual(record(1).decapDrops, { 'queue-full': 3 });
  assert.deepEqual(record(1).rx, { packets: 1, bytes: 40 + SIZE });
  assert.deepEqual(refused, []);
  first.answer = () => REASON_NONE;
  arrive(segment(3), segment(4));
  assert.equal(first.written.at(-1)?.length, 2, 'merging stays on');
});

test('a run for a device that is gone is tunnel-down, packet by packet', () => {
  const { lane, arrive, record } = openLane();
  lane.devices[1] = undefined;
  arrive(segment(0), segment(1), segment(2));
  assert.deepEqual(record(1).decapDrops, { 'tunnel-down': 3 });
});

for (const [what, separate] of [
  ['traps', () => assert.fail('unreachable')],
  ['does nothing', () => {}],
  ['puts a packet outside its slot', (ring: number, links: Links) => links.address(ring, 1, 64)],
] as const) {
  test(`a codec whose separate ${what} spoils the packets of that run and no count`, () => {
    const { first, arrive, record } = openLane((_codec, links) => ({
      separate: (ring) => separate(ring, links),
    }));
    first.answer = (packets) => (packets > 1 ? WRITE_REFUSED : REASON_NONE);
    arrive(segment(0), segment(1), segment(2), segment(9, { port: 80 }));
    assert.equal(first.numbers.at(-1), 9);
    const { rx, decapDrops } = record(1);
    assert.equal(rx.packets + (decapDrops['codec-fault'] ?? 0), 4);
  });
}
