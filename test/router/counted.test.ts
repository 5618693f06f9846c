// A record counts for whoever has it; what it counted for others before is not lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNTER_ROW_SIZE, COUNTER_RX_PACKETS, TOTALS_SIZE } from '../../asm/layout.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { CountedRecords } from '../../src/router/counted.js';
import type { Fleet } from '../../src/router/fleet.js';
import { readRecord } from '../../src/tunnel/counters.js';
import { configOf } from '../support/config-lines.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const PLAN = planMemory(2);

/** A fleet of tunnels of these names, at records from 1 on. */
function fleetOf(...names: readonly string[]): Fleet {
  return names.map((name, index) => {
    const [config] =
      configOf(name, 'mode = "gre"\nremote = "192.0.2.9"\nallow = ["any"]')?.tunnels ?? [];
    assert.ok(config);
    return { record: index + 1, config, tunnel: { ...PLAIN_GRE, name } };
  });
}

function counted(...names: readonly string[]) {
  const memory = createMemory(PLAN);
  const words = new BigUint64Array(memory.buffer);
  return {
    records: new CountedRecords(memory, PLAN, fleetOf(...names)),
    receive: (record: number, packets: bigint): void => {
      for (const { counters } of PLAN.lanes) {
        const row = counters + TOTALS_SIZE + record * COUNTER_ROW_SIZE;
        words[(row + COUNTER_RX_PACKETS) / 8] = packets;
      }
    },
    received: (record: number) => readRecord(memory, PLAN, record).rx.packets,
  };
}

test('as long as every tunnel is there, nothing is counted for those that are gone', () => {
  const { records, receive } = counted('a', 'b');
  receive(1, 3n);
  assert.equal(records.gone(fleetOf('a', 'b')), undefined);
});

test('what a tunnel counted stays when it is gone, and when another has its record', () => {
  const { records, receive, received } = counted('a', 'b');
  receive(1, 3n);
  receive(2, 5n);
  assert.equal(records.gone(fleetOf('a'))?.rx.packets, 10, 'of both lanes');
  assert.ok(records.isOthers(2, 'c'));
  records.give(2, 'c');
  assert.equal(received(2), 0);
  assert.equal(records.gone(fleetOf('a', 'c'))?.rx.packets, 10);
  receive(2, 1n);
  assert.equal(records.gone(fleetOf('a', 'c'))?.rx.packets, 10);
  assert.equal(records.gone(fleetOf('a'))?.rx.packets, 12);
});

test('a record that is new, or given to whom it has, goes on with its numbers', () => {
  const { records, receive, received } = counted('a');
  receive(1, 3n);
  receive(2, 4n);
  for (const [record, id] of [
    [1, 'a'],
    [2, 'b'],
  ] as const) {
    assert.ok(!records.isOthers(record, id));
    records.give(record, id);
  }
  assert.deepEqual([received(1), received(2)], [6, 8]);
  assert.equal(records.gone(fleetOf('a', 'b')), undefined);
});
