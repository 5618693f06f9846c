import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_OFFSET,
  DESCRIPTOR_SIZE,
  RING_DESCRIPTORS,
  RING_DRAINED,
  RING_FILLED,
  RING_PROCESSED,
  SLOT_COUNT,
  SLOT_HEADROOM,
  SLOT_STRIDE,
} from '../../asm/layout.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Ring } from '../../src/ring/ring.js';

function openRing(): { ring: Ring; words: Uint32Array; address: number } {
  const plan = planMemory(1);
  const memory = createMemory(plan);
  const address = plan.lanes[0]?.encap ?? 0;
  return { ring: new Ring(memory, address), words: new Uint32Array(memory.buffer), address };
}

test('a new ring is empty and has room for all its slots', () => {
  const { ring } = openRing();
  assert.equal(ring.reserve(), SLOT_COUNT);
  assert.equal(ring.filled, 0);
  assert.equal(ring.processed, 0);
  assert.equal(ring.drained, 0);
});

test('cursors run on across 2^32', () => {
  const { ring, words, address } = openRing();
  for (const cursor of [RING_FILLED, RING_PROCESSED, RING_DRAINED]) {
    words[(address + cursor) >>> 2] = 0xffff_fffe;
  }
  assert.equal(ring.reserve(), SLOT_COUNT);
  ring.fill(0xffff_fffe, 100, 1, 0);
  ring.fill(0xffff_ffff, 101, 2, 0);
  ring.fill(0, 102, 3, 0);
  ring.publish(3);
  assert.equal(ring.filled, 1);
  assert.equal(ring.reserve(), SLOT_COUNT - 3);
  assert.deepEqual(
    [ring.length(0xffff_fffe), ring.length(0xffff_ffff), ring.length(0)],
    [100, 101, 102],
  );
});

test('slots do not overlap, and their packets begin behind the headroom', () => {
  const { ring } = openRing();
  for (let position = 1; position < SLOT_COUNT; position++) {
    assert.equal(ring.packetAddress(position) - ring.packetAddress(position - 1), SLOT_STRIDE);
  }
  ring.fill(5, 1500, 1, 0);
  assert.equal(ring.processedAddress(5), ring.packetAddress(5));
});

test('a descriptor that points outside its slot has no address', () => {
  const { ring, words, address } = openRing();
  const descriptor = ((words[(address + RING_DESCRIPTORS) >>> 2] ?? 0) + 7 * DESCRIPTOR_SIZE) >>> 2;
  const describe = (offset: number, length: number): number => {
    words[descriptor + (DESCRIPTOR_OFFSET >>> 2)] = offset;
    words[descriptor + (DESCRIPTOR_LENGTH >>> 2)] = length;
    return ring.processedAddress(7);
  };
  const slot = ring.packetAddress(7) - SLOT_HEADROOM;
  assert.equal(describe(16, SLOT_STRIDE - 16), slot + 16);
  assert.equal(describe(15, 20), -1, 'no room for the device header in front');
  assert.equal(describe(16, SLOT_STRIDE - 15), -1, 'one byte past the slot');
  assert.equal(describe(SLOT_STRIDE, 1), -1);
  assert.equal(describe(0xffff_ffff, 20), -1);
  assert.equal(describe(20, 0xffff_ffff), -1);
  assert.equal(describe(0xffff_fff0, 0xffff_fff0), -1);
});

test('restore puts back the cursors that a codec moved', () => {
  const { ring, words, address } = openRing();
  ring.publish(3);
  words[(address + RING_FILLED) >>> 2] = 0x7fff_ffff;
  words[(address + RING_DRAINED) >>> 2] = 0x1234;
  ring.restore(3, 3, 0);
  assert.deepEqual([ring.filled, ring.processed, ring.drained], [3, 3, 0]);
});

test('the regions of a plan do not overlap, and end within its pages', () => {
  const plan = planMemory(3);
  const starts = [
    plan.states,
    ...plan.images.flatMap((image) => Object.values(image) as number[]),
    ...plan.lanes.flatMap((lane) => [lane.encap, lane.decap, lane.counters]),
  ];
  assert.deepEqual(
    starts,
    [...starts].sort((a, b) => a - b),
  );
  assert.equal(new Set(starts).size, starts.length);
  assert.ok((starts.at(-1) ?? 0) < plan.pages * 65536);
  assert.ok(plan.pages <= 65536, 'four gigabytes are all that a 32-bit address names');
});
