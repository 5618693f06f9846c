import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASON_NO_TUNNEL, REASON_TOO_BIG } from '../../asm/reason.js';
import { loadBuild } from '../../src/codec/builds.js';
import type { Dropped } from '../../src/lane/aside.js';
import { decapBatch } from '../../src/lane/decap.js';
import { BATCH, encapBatch, generatedBatch } from '../../src/lane/encap.js';
import { openLane } from '../../src/lane/open.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { MemoryTun } from '../../src/tun/memory.js';
import { readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { PLAIN_GRE } from '../support/tunnels.js';

/** A UDP packet over IPv4 of `length` bytes, header checksum right for none of them: encap does not look. */
function packet(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(Buffer.from('4500001c0001000040110000' + '0a0000010a000002', 'hex'));
  new DataView(bytes.buffer).setUint16(2, length);
  return bytes;
}

function open() {
  const plan = planMemory(1);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish([PLAIN_GRE]);
  const underlay = new MemoryUnderlay(memory);
  const sent: Uint8Array[] = [];
  underlay.onSent = (bytes) => sent.push(bytes);
  const device = new MemoryTun('gre1', memory);
  const lane = openLane({
    ...{ memory, plan: plan.lanes[0], codec: loadBuild('scalar'), merge: 0, reorder: [], underlay },
    devices: () => [[1, device]],
    events: { onFault: () => {}, onMergeRefused: () => {} },
  });
  const seen: (Dropped & { way: string })[] = [];
  lane.aside.responders.push({
    wants: (reason) => reason === REASON_TOO_BIG || reason === REASON_NO_TUNNEL,
    onEncapDrop: (dropped) => {
      seen.push({ ...dropped, way: 'encap' });
      return false;
    },
    onDecapDrop: (dropped) => seen.push({ ...dropped, way: 'decap' }),
  });
  return { lane, device, underlay, sent, seen, counters: () => readCounters(memory, plan) };
}

test('who looks on sees the packets with a reason that it wants, as they were, and no others', () => {
  const { lane, device, underlay, seen, counters } = open();
  const big = packet(PLAIN_GRE.mtu + 1);
  device.send(packet(100));
  device.send(big);
  device.send(packet(100).subarray(0, 10)); // inner-truncated: of no interest
  encapBatch(lane, 1);
  const stranger = packet(60);
  stranger[9] = 4; // IPIP of nobody
  underlay.inject(stranger);
  decapBatch(lane);
  assert.deepEqual(
    seen.map(({ way, record, reason }) => ({ way, record, reason })),
    [{ way: 'encap', record: 1, reason: REASON_TOO_BIG }],
  );
  assert.deepEqual(seen[0]?.bytes, big);
  assert.deepEqual(counters().records[1]?.encapDrops, { 'inner-truncated': 1, 'too-big': 1 });
});

test('a packet that the underlay refuses is shown without the outer header it already had', () => {
  const { lane, device, underlay, seen } = open();
  underlay.send = (ring, from) => ring.setReason(from, REASON_TOO_BIG);
  device.send(packet(500));
  encapBatch(lane, 1);
  assert.deepEqual(seen[0]?.bytes, packet(500));
});

test('what is emitted leaves by the tunnel with the next turn, and counts as generated', () => {
  const { lane, sent, counters } = open();
  assert.equal(generatedBatch(lane), false);
  assert.equal(counters().batches, 0);
  assert.ok(lane.aside.emit(1, packet(100)));
  assert.equal(generatedBatch(lane), false);
  assert.deepEqual(sent[0]?.subarray(24), packet(100));
  const { generated, deviceReceived, records } = counters();
  assert.equal(generated, 1);
  assert.equal(deviceReceived, 0);
  assert.deepEqual(records[1]?.tx, { packets: 1, bytes: 100 });
});

test('the queue is bounded, and goes out batch by batch', () => {
  const { lane, sent, counters } = open();
  let taken = 0;
  while (lane.aside.emit(1, packet(100))) taken++;
  assert.equal(taken, 256);
  for (let turn = 1; turn < taken / BATCH; turn++) assert.ok(generatedBatch(lane));
  assert.equal(generatedBatch(lane), false);
  assert.equal(sent.length, taken);
  assert.equal(counters().generated, taken);
});

test('what is injected reaches the device, and counts nowhere', () => {
  const { lane, device, counters } = open();
  assert.ok(lane.aside.inject(1, packet(100)));
  assert.equal(lane.aside.inject(2, packet(100)), false);
  assert.deepEqual(device.take(), packet(100));
  const { generated, records } = counters();
  assert.equal(generated, 0);
  assert.equal(records[1]?.rx.packets, 0);
});
