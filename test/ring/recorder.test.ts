import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TUNNEL_CAPACITY } from '../../asm/layout.js';
import { planMemory } from '../../src/ring/plan.js';
import { recorderBytes, recorderRecords } from '../../src/ring/recorder.js';

test('there is room to add tunnels, and never for more than there can be', () => {
  assert.ok(recorderRecords(0) > 1000);
  assert.ok(recorderRecords(3000) >= 6000);
  assert.equal(recorderRecords(TUNNEL_CAPACITY), TUNNEL_CAPACITY);
});

test('ten thousand tunnels with everything in use take less than 80 MB', () => {
  assert.ok(recorderBytes(16) * 10_000 < 80e6, `${recorderBytes(16)} bytes a tunnel`);
});

test('where memory is short fewer packets are kept, and the plan fits', () => {
  const records = recorderRecords(8000);
  const few = planMemory(1, () => {}, { packets: 64, records });
  assert.equal(few.lanes[0].recorder?.packets, 64);
  const many = planMemory(16, () => {}, { packets: 64, records });
  assert.ok(many.pages <= 65536);
  assert.equal(many.lanes[0].recorder?.packets, 16);
  const most = planMemory(64, () => {}, { packets: 64, records });
  assert.ok(most.pages <= 65536);
});

test('a recorder of nothing takes nothing', () => {
  const without = planMemory(1);
  assert.equal(without.lanes[0].recorder, undefined);
  assert.equal(planMemory(1, () => {}, { packets: 0, records: 5 }).pages, without.pages);
});
