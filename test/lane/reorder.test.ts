// Numbered packets through a lane with a reorder buffer: what comes out, in which order, and when.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadBuild } from '../../src/codec/builds.js';
import { decapBatch, releaseEarly } from '../../src/lane/decap.js';
import { openLane } from '../../src/lane/open.js';
import { reorderLimits } from '../../src/lane/reorder.js';
import type { GreTunnel } from '../../src/packet/tunnel.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { MemoryTun } from '../../src/tun/memory.js';
import { readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { gre, greUdp, ipv4, ipv6 } from '../support/packets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

/** Longer than any test takes: time is up only where a test says so. */
const FOREVER_MS = 60_000;
const PATIENT: GreTunnel = {
  ...PLAIN_GRE,
  sequenceIn: true,
  reorder: { packets: 4, timeMs: FOREVER_MS },
};

/** A lane between a wire and a device in memory, fed with numbers. */
function openFlow(tunnel: GreTunnel, wrap = overIpv4) {
  const plan = planMemory(1);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish([tunnel]);
  const underlay = new MemoryUnderlay(memory);
  const device = new MemoryTun(tunnel.name, memory);
  const lane = openLane({
    ...{ memory, plan: plan.lanes[0], codec: loadBuild('simd'), merge: 0, underlay },
    reorder: reorderLimits([tunnel]),
    devices: () => [[1, device]],
    events: { onFault: assert.fail, onMergeRefused: assert.fail },
  });
  return {
    lane,
    /** Receives packets with these numbers, each batch in one go. */
    receive(...batches: readonly (readonly number[])[]): void {
      for (const batch of batches) {
        for (const sequence of batch) underlay.inject(wrap(sequence));
        decapBatch(lane);
      }
    },
    /** Numbers of the packets that the device got since. */
    delivered(): number[] {
      const numbers: number[] = [];
      for (let packet = device.take(); packet !== undefined; packet = device.take()) {
        numbers.push(Buffer.from(packet).readUInt32BE(20));
      }
      return numbers;
    },
    counters() {
      const counters = readCounters(memory, plan);
      const { rx, decapDrops, early } = counters.records[1] ?? assert.fail();
      return { received: counters.underlayReceived, delivered: rx.packets, decapDrops, early };
    },
  };
}

/** The inner packet carries its number. */
function numbered(sequence: number): Uint8Array {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(sequence);
  return gre({
    sequence,
    payload: ipv4({ source: '10.1.1.5', destination: '10.2.2.9', payload }),
  });
}

function overIpv4(sequence: number): Uint8Array {
  return ipv4({
    source: '198.51.100.2',
    destination: '192.0.2.1',
    protocol: 47,
    payload: numbered(sequence),
  });
}

test('early packets wait, and leave in the order of their numbers once the missing one is there', () => {
  const { receive, delivered, counters, lane } = openFlow(PATIENT);
  receive([5], [7, 8], [9]);
  assert.deepEqual(delivered(), [5]);
  assert.equal(lane.reorder?.waiting, 3);
  receive([6]);
  assert.deepEqual(delivered(), [6, 7, 8, 9]);
  assert.deepEqual(counters(), { received: 5, delivered: 5, decapDrops: {}, early: 3 });
  assert.equal(lane.reorder?.timeoutMs(performance.now()), -1);
});

test('a number that waits already is dropped, and so is one that came too late', () => {
  const { receive, delivered, counters } = openFlow(PATIENT);
  receive([1], [3], [3], [2], [2], [3]);
  assert.deepEqual(delivered(), [1, 2, 3]);
  assert.deepEqual(counters(), {
    ...{ received: 6, delivered: 3, early: 1 },
    decapDrops: { 'gre-sequence': 3 },
  });
});

test('with more packets waiting than there is room for, the missing ones are given up', () => {
  const { receive, delivered, lane } = openFlow(PATIENT);
  receive([0], [2, 3], [6, 7]);
  assert.deepEqual(delivered(), [0]);
  receive([9]);
  assert.deepEqual(delivered(), [2, 3]);
  assert.equal(lane.reorder?.waiting, 3);
});

test('a packet whose time is up goes on, and with it all before it', async () => {
  const { receive, delivered, lane } = openFlow({
    ...PATIENT,
    reorder: { packets: 100, timeMs: 300 },
  });
  receive([0], [9], [4, 5]);
  const due = lane.reorder?.timeoutMs(performance.now()) ?? -1;
  assert.ok(due >= 0 && due <= 300, `${due} ms`);
  while ((lane.reorder?.waiting ?? 0) > 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    releaseEarly(lane);
  }
  assert.deepEqual(delivered(), [0, 4, 5, 9]);
  receive([1], [10]);
  assert.deepEqual(delivered(), [10]);
});

test('a packet in two pieces waits and comes back as it was', () => {
  const tunnel: GreTunnel = {
    ...PATIENT,
    mode: 'gre-udp',
    local: '2001:db8::1',
    remote: '2001:db8::2',
  };
  const [source, destination] = [
    '20010db8000000000000000000000002',
    '20010db8000000000000000000000001',
  ];
  const { receive, delivered, counters } = openFlow(tunnel, (sequence) => {
    const payload = greUdp({ source, destination, payload: numbered(sequence) });
    return ipv6({ source, destination, nextHeader: 17, payload });
  });
  receive([0], [2], [1]);
  assert.deepEqual(delivered(), [0, 1, 2]);
  assert.deepEqual(counters(), { received: 3, delivered: 3, decapDrops: {}, early: 1 });
});

test('whatever order packets come in, each is delivered once and in order, or dropped as too late', () => {
  const arrival = fc
    .record({
      count: fc.integer({ min: 1, max: 60 }),
      first: fc.constantFrom(0, 1000, 0xffffffe0),
      /** How far each packet is late. */
      delays: fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 9), { minLength: 60, maxLength: 60 }),
      lost: fc.array(fc.integer({ min: 0, max: 59 }), { maxLength: 4 }),
      batch: fc.integer({ min: 1, max: 7 }),
    })
    .map(({ count, first, delays, lost, batch }) => {
      const order = Array.from({ length: count }, (_, index) => index)
        .filter((index) => index === 0 || !lost.includes(index))
        .map((index) => ({ index, at: index === 0 ? -1 : index + (delays[index] ?? 0) }))
        .sort((a, b) => a.at - b.at || a.index - b.index)
        .map(({ index }) => (first + index) >>> 0);
      const batches: number[][] = [];
      for (let at = 0; at < order.length; at += batch) batches.push(order.slice(at, at + batch));
      return { first, batches };
    });
  fc.assert(
    fc.property(arrival, ({ first, batches }) => {
      const { receive, delivered, counters, lane } = openFlow(PATIENT);
      receive(...batches);
      const numbers = delivered().map((sequence) => (sequence - first) >>> 0);
      assert.deepEqual(
        numbers,
        [...new Set(numbers)].sort((a, b) => a - b),
      );
      const { received, decapDrops } = counters();
      const late = decapDrops['gre-sequence'] ?? 0;
      assert.equal(received, batches.flat().length);
      assert.equal(received, numbers.length + late + (lane.reorder?.waiting ?? 0));
    }),
    { numRuns: 60 },
  );
});
