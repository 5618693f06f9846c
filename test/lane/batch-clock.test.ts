import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatchClock } from '../../src/lane/batch-clock.js';

test('a batch has the time of the wall clock, and how long ago it was', async () => {
  const clock = new BatchClock();
  clock.start();
  assert.ok(Math.abs(clock.startedMs - Date.now()) < 50);
  await sleep(20);
  const ns = clock.elapsedNs();
  assert.ok(ns >= 15e6 && ns < 4e9, `${ns}`);
});

test('a wall clock that is set is followed within a second', async (t) => {
  const clock = new BatchClock();
  clock.start();
  const now = Date.now;
  t.mock.method(Date, 'now', () => now() + 3_600_000);
  await sleep(1050);
  clock.start();
  assert.ok(Math.abs(clock.startedMs - Date.now()) < 50, `${clock.startedMs - Date.now()}`);
});
