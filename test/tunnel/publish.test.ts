// Publications while lanes run: none writes the image that a lane works with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTROL_TABLE, LANE_TURN, STATE_SIZE, STATE_TX_SEQUENCE } from '../../asm/layout.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Failure } from '../../src/sys/failure.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { PLAIN_GRE } from '../support/tunnels.js';

function setUp() {
  const plan = planMemory(2);
  const memory = createMemory(plan);
  const words = new Uint32Array(memory.buffer);
  const table = new TunnelTable(memory, plan);
  const turns = plan.lanes.map(({ counters }) => (counters + LANE_TURN) >>> 2);
  return {
    table,
    live: () => words[CONTROL_TABLE >>> 2],
    /** Begins or ends a batch of a lane. */
    turn: (lane: number) => Atomics.add(words, turns[lane] ?? 0, 1),
    sequenceOf: (record: number) => {
      const at = (plan.states + record * STATE_SIZE + STATE_TX_SEQUENCE) >>> 2;
      return { get: () => words[at], set: (value: number) => (words[at] = value) };
    },
  };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

test('idle lanes are not waited for', async () => {
  const { table, live } = setUp();
  table.publish([PLAIN_GRE]);
  const images = new Set([live()]);
  await table.publishWhenSafe([PLAIN_GRE]);
  images.add(live());
  await table.publishWhenSafe([PLAIN_GRE]);
  images.add(live());
  assert.equal(images.size, 2);
});

test('a publication waits for the batch in hand of every lane, and the next for its turn', async () => {
  const { table, live, turn } = setUp();
  table.publish([PLAIN_GRE]);
  const first = live();
  turn(0);
  turn(1);
  const publications = [table.publishWhenSafe([PLAIN_GRE]), table.publishWhenSafe([PLAIN_GRE])];
  await pause();
  assert.equal(live(), first);
  turn(0);
  await pause();
  assert.equal(live(), first);
  // Another batch has begun since: it is not the one that was waited for.
  turn(1);
  turn(1);
  await publications[0];
  assert.notEqual(live(), first);
  turn(1);
  await publications[1];
  assert.equal(live(), first);
});

test('a lane that does not end its batch is not waited for for ever, and the next publication has its turn', async () => {
  const { table, live, turn } = setUp();
  table.publish([PLAIN_GRE]);
  const first = live();
  turn(1);
  await assert.rejects(table.publishWhenSafe([PLAIN_GRE]), Failure);
  assert.equal(live(), first);
  turn(1);
  await table.publishWhenSafe([PLAIN_GRE]);
  assert.notEqual(live(), first);
});

test('records that begin anew forget their numbers, and no other does', async () => {
  const { table, sequenceOf } = setUp();
  const hub = { ...PLAIN_GRE, remote: 'any', peers: [{ remote: '203.0.113.1', routes: [] }] };
  table.publish([PLAIN_GRE, PLAIN_GRE, hub]);
  for (const record of [1, 2, 3, 4]) sequenceOf(record).set(record);
  await table.publishWhenSafe([PLAIN_GRE, PLAIN_GRE, hub], new Set([2, 4]));
  assert.deepEqual(
    [1, 2, 3, 4].map((record) => sequenceOf(record).get()),
    [1, 0, 3, 0],
  );
});
