// A peer goes down and up by its answers, and what comes and goes is left alone for longer each time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PeerState } from '../../src/router/peer-state.js';

/** How often `isAnswered` has to happen until the state changes. */
function stepsUntilChange(state: PeerState, isAnswered: boolean): number {
  for (let steps = 1; steps <= 1000; steps++) if (state.step(isAnswered)) return steps;
  throw new Error('it never changes');
}

test('a peer is up until it was asked in vain so many times in a row', () => {
  const state = new PeerState(3);
  assert.equal(state.isUp, true);
  const changes = [false, false, true, false, false, false].map((one) => state.step(one));
  assert.deepEqual(changes, [false, false, false, false, false, true]);
  assert.equal(state.isUp, false);
});

test('each time down costs twice as many answers, 16 at most', () => {
  const state = new PeerState(2);
  const costs = Array.from({ length: 7 }, () => {
    assert.equal(stepsUntilChange(state, false), 2);
    return stepsUntilChange(state, true);
  });
  assert.deepEqual(costs, [1, 2, 4, 8, 16, 16, 16]);
});

test('a miss while it is held down begins the hold anew', () => {
  const state = new PeerState(1);
  for (const answer of [false, true, false]) state.step(answer);
  assert.equal(state.hold, 2);
  assert.deepEqual(
    [true, false, true, true].map((one) => state.step(one)),
    [false, false, false, true],
  );
});

test('64 quiet intervals make it forget', () => {
  const state = new PeerState(1);
  for (let flap = 0; flap < 4; flap++) {
    stepsUntilChange(state, false);
    stepsUntilChange(state, true);
  }
  for (let interval = 0; interval < 62; interval++) state.step(true);
  assert.equal(state.hold, 8);
  state.step(true);
  state.step(true);
  assert.equal(state.hold, 1);
  stepsUntilChange(state, false);
  assert.equal(stepsUntilChange(state, true), 1);
});

test('whatever the answers, it changes only down after `count` misses and up after 1 to 16 answers in a row', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.boolean(), { maxLength: 400 }),
      (count, answers) => {
        const state = new PeerState(count);
        let run = 0;
        for (const [index, answer] of answers.entries()) {
          run = answer === answers[index - 1] ? run + 1 : 1;
          const wasUp = state.isUp;
          if (!state.step(answer)) continue;
          assert.equal(state.isUp, !wasUp);
          assert.equal(answer, state.isUp);
          assert.ok(state.isUp ? run >= 1 && state.hold <= 16 : run >= count);
        }
      },
    ),
  );
});
