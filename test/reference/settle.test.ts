// settle counts what the descriptors say, whoever wrote them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  RING_DESCRIPTORS,
  RING_DRAINED,
  RING_FILLED,
  RING_PROCESSED,
  SLOT_COUNT,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import {
  REASON_CAPACITY,
  REASON_COUNT,
  REASON_QUEUE_FULL,
  REASON_TX_ERROR,
} from '../../asm/reason.js';
import { Ring } from '../../src/ring/ring.js';
import { ipv4 } from '../support/packets.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';
import { PLAIN_IPIP } from '../support/tunnels.js';

const TUNNEL = PLAIN_IPIP;
const INNER = ipv4({ source: '10.1.1.5', destination: '10.2.2.9' });
const OUTER = ipv4({
  source: TUNNEL.remote,
  destination: TUNNEL.local,
  protocol: 4,
  payload: INNER,
});

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});

/** Descriptors of one direction, filled by hand: tunnel and reason of each packet. */
function settle(
  plane: Plane,
  direction: 'encap' | 'decap',
  outcomes: readonly (readonly [tunnel: number, reason: number])[],
): void {
  const [lane] = plane.plan.lanes;
  assert.ok(lane);
  const ring = new Ring(plane.memory, lane[direction]);
  const words = new Uint32Array(plane.memory.buffer);
  for (const [index, [tunnel, reason]] of outcomes.entries()) {
    ring.fill(ring.filled + index, 100, tunnel, 0);
    ring.setReason(ring.filled + index, reason);
  }
  ring.publish(outcomes.length);
  words[(lane[direction] + RING_PROCESSED) >>> 2] = ring.filled;
  plane.codec.settle(ring.address, 1_700_000_000_123.9);
  assert.equal(ring.drained, ring.filled);
}

test('a reason that the draining end gave is counted in its direction', () => {
  for (const plane of planes) {
    plane.publish([TUNNEL]);
    settle(plane, 'encap', [
      [1, REASON_TX_ERROR],
      [1, 0],
      [0, REASON_TX_ERROR],
    ]);
    settle(plane, 'decap', [
      [1, REASON_QUEUE_FULL],
      [1, 0],
      [1, 0],
    ]);
    const [row0, row1] = plane.counters().records;
    assert.deepEqual(row0?.encapDrops, { 'tx-error': 1 });
    assert.deepEqual(row1?.encapDrops, { 'tx-error': 1 });
    assert.deepEqual(row1?.decapDrops, { 'queue-full': 1 });
    assert.deepEqual(row1?.tx, { packets: 1, bytes: 100 });
    assert.deepEqual(row1?.rx, { packets: 2, bytes: 200 });
    assert.equal(row1?.lastReceivedMs, 1_700_000_000_123);
  }
});

test('an impossible descriptor counts as codec-fault and writes nowhere else', () => {
  for (const plane of createPlanes()) {
    plane.publish([TUNNEL]);
    const outcomes = [
      [TUNNEL_CAPACITY, 0],
      [0xffffffff, 1],
      [1, REASON_CAPACITY],
      [0, 0xffffffff],
    ] as const;
    settle(plane, 'encap', outcomes);
    settle(plane, 'decap', outcomes);
    const [row0, row1] = plane.counters().records;
    assert.deepEqual(row0?.encapDrops, { 'codec-fault': 4 }, plane.codec.name);
    assert.deepEqual(row0?.decapDrops, { 'codec-fault': 4 }, plane.codec.name);
    assert.deepEqual(row1?.encapDrops, {});
    assert.deepEqual(row1?.decapDrops, {});
    assert.deepEqual(row1?.rx, { packets: 0, bytes: 0 });
  }
});

test('every reason has its own counter', () => {
  for (const plane of createPlanes()) {
    plane.publish([TUNNEL]);
    const outcomes = Array.from(
      { length: REASON_COUNT - 1 },
      (_, index) => [1, index + 1] as const,
    );
    settle(plane, 'decap', outcomes);
    const drops = Object.values(plane.counters().records[1]?.decapDrops ?? {});
    assert.deepEqual(drops, new Array<number>(REASON_COUNT - 1).fill(1), plane.codec.name);
  }
});

test('cursors run past 2^32', () => {
  for (const plane of createPlanes()) {
    plane.publish([TUNNEL]);
    const words = new Uint32Array(plane.memory.buffer);
    const [lane] = plane.plan.lanes;
    assert.ok(lane);
    for (const ring of [lane.encap, lane.decap]) {
      for (const cursor of [RING_FILLED, RING_PROCESSED, RING_DRAINED]) {
        words[(ring + cursor) >>> 2] = 0xffffffc0;
      }
    }
    for (let round = 0; round < 3; round++) {
      const sent = plane.run('encap', new Array(100).fill({ bytes: INNER, tunnel: 1 }));
      const received = plane.run('decap', new Array(100).fill({ bytes: OUTER }));
      assert.ok([...sent, ...received].every(({ reason }) => reason === 0));
    }
    assert.equal(plane.counters().records[1]?.rx.packets, 300);
    assert.equal(plane.counters().records[1]?.tx.packets, 300);
  }
});

test('before the first table, nothing has a tunnel and every packet is counted', () => {
  for (const plane of createPlanes()) {
    plane.run('encap', [{ bytes: INNER, tunnel: 1 }]);
    plane.run('decap', [{ bytes: OUTER }]);
    const [row0] = plane.counters().records;
    assert.deepEqual(row0?.encapDrops, { 'tunnel-down': 1 }, plane.codec.name);
    assert.deepEqual(row0?.decapDrops, { 'no-tunnel': 1 }, plane.codec.name);
  }
});

test('packets of a record that went while they waited count in the row of no tunnel', () => {
  for (const plane of createPlanes()) {
    plane.publish([TUNNEL, TUNNEL]);
    const [lane] = plane.plan.lanes;
    assert.ok(lane);
    const ring = new Ring(plane.memory, lane.encap);
    ring.fill(ring.filled, INNER.length, 2, 0);
    ring.publish(1);
    plane.publish([TUNNEL]);
    plane.codec.encap(ring.address);
    plane.codec.settle(ring.address, 0);
    assert.deepEqual(plane.counters().records[0]?.encapDrops, { 'tunnel-down': 1 });
    const words = new Uint32Array(plane.memory.buffer);
    const descriptors = words[(ring.address + RING_DESCRIPTORS) >>> 2] ?? 0;
    const last = descriptors + ((ring.filled - 1) & (SLOT_COUNT - 1)) * DESCRIPTOR_SIZE;
    assert.equal(words[(last + DESCRIPTOR_TUNNEL) >>> 2], 0);
  }
});
