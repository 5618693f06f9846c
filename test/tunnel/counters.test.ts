import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  COUNTER_DECAP_DROPS,
  COUNTER_ENCAP_DROPS,
  COUNTER_LAST_RX,
  COUNTER_ROW_SIZE,
  COUNTER_RX_BYTES,
  COUNTER_RX_PACKETS,
  TOTAL_BATCHES,
  TOTAL_DEVICE_BATCHES,
  TOTAL_DEVICE_RECEIVED,
  TOTAL_UNDERLAY_BATCHES,
  TOTAL_UNDERLAY_RECEIVED,
  TOTALS_SIZE,
} from '../../asm/layout.js';
import { REASON_COUNT, REASON_LOCAL, REASON_NO_TUNNEL, REASON_TOO_BIG } from '../../asm/reason.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { addDrops, dropEntries, readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { PLAIN_IPIP } from '../support/tunnels.js';

const TUNNEL = PLAIN_IPIP;

const plan = planMemory(2);
const [first, second] = plan.lanes;
assert.ok(first && second);

/** A memory in which these counters have these values. */
function counted(values: readonly (readonly [address: number, value: bigint])[]) {
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish([TUNNEL]);
  const view = new DataView(memory.buffer);
  for (const [address, value] of values) view.setBigUint64(address, value, true);
  return readCounters(memory, plan);
}

const row = (lane: { counters: number }, record: number): number =>
  lane.counters + TOTALS_SIZE + record * COUNTER_ROW_SIZE;

test('counters of all lanes are added up, beyond 32 bits', () => {
  const counters = counted([
    [first.counters + TOTAL_DEVICE_RECEIVED, 1n],
    [second.counters + TOTAL_DEVICE_RECEIVED, 2n],
    [second.counters + TOTAL_UNDERLAY_RECEIVED, 3n],
    [first.counters + TOTAL_BATCHES, 4n],
    [first.counters + TOTAL_DEVICE_BATCHES, 7n],
    [second.counters + TOTAL_DEVICE_BATCHES, 1n],
    [first.counters + TOTAL_UNDERLAY_BATCHES + 7 * 8, 9n],
    [row(first, 1) + COUNTER_RX_PACKETS, 5n],
    [row(second, 1) + COUNTER_RX_PACKETS, 6n],
    [row(first, 1) + COUNTER_RX_BYTES, 0x1_ffff_ffffn],
    [row(second, 1) + COUNTER_RX_BYTES, 1n],
  ]);
  assert.equal(counters.deviceReceived, 3);
  assert.equal(counters.underlayReceived, 3);
  assert.equal(counters.batches, 4);
  assert.deepEqual(counters.deviceBatches, [8, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(counters.underlayBatches, [0, 0, 0, 0, 0, 0, 0, 9]);
  assert.equal(counters.records.length, 2);
  assert.deepEqual(counters.records[1]?.rx, { packets: 11, bytes: 0x2_0000_0000 });
  assert.deepEqual(counters.records[0]?.rx, { packets: 0, bytes: 0 });
});

test('the last packet heard is the latest of all lanes, or none', () => {
  const counters = counted([
    [row(first, 1) + COUNTER_LAST_RX, 1_700_000_000_000n],
    [row(second, 1) + COUNTER_LAST_RX, 1_800_000_000_000n],
  ]);
  assert.equal(counters.records[1]?.lastReceivedMs, 1_800_000_000_000);
  assert.equal(counters.records[0]?.lastReceivedMs, null);
});

test('drops carry their names, by direction; those that never occurred are left out', () => {
  const counters = counted([
    [row(first, 0) + COUNTER_DECAP_DROPS + REASON_NO_TUNNEL * 8, 7n],
    [row(second, 0) + COUNTER_DECAP_DROPS + REASON_NO_TUNNEL * 8, 1n],
    [row(second, 1) + COUNTER_ENCAP_DROPS + REASON_TOO_BIG * 8, 2n],
  ]);
  assert.deepEqual(counters.records[0]?.decapDrops, { 'no-tunnel': 8 });
  assert.deepEqual(counters.records[1]?.encapDrops, { 'too-big': 2 });
  assert.deepEqual(counters.records[1]?.decapDrops, {});
});

test('what ended at the router itself is no drop', () => {
  const counters = counted([
    [row(first, 1) + COUNTER_DECAP_DROPS + REASON_LOCAL * 8, 9n],
    [row(second, 1) + COUNTER_DECAP_DROPS + REASON_LOCAL * 8, 1n],
  ]);
  assert.equal(counters.records[1]?.local, 10);
  assert.deepEqual(counters.records[1]?.decapDrops, {});
});

test('a drop under a number without a name is the fault of the codec, and stays counted', () => {
  const nameless = REASON_COUNT * 8;
  const counters = counted([[row(first, 1) + COUNTER_DECAP_DROPS + nameless, 9n]]);
  assert.deepEqual(counters.records[1]?.decapDrops, { 'codec-fault': 9 });
});

test('without a table there is the row of packets that no tunnel took', () => {
  assert.equal(readCounters(createMemory(plan), plan).records.length, 1);
});

test('drops are added by reason', () => {
  const sum = addDrops({ ecn: 1, 'too-big': 2 }, { 'too-big': 3, 'no-route': 4 });
  assert.deepEqual(sum, { ecn: 1, 'too-big': 5, 'no-route': 4 });
  assert.deepEqual(dropEntries(sum), [
    ['ecn', 1],
    ['no-route', 4],
    ['too-big', 5],
  ]);
});
