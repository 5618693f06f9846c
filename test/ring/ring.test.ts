import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_PAYLOAD,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SUM,
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
  const describe = (start: number, length: number): number => {
    words[descriptor + (DESCRIPTOR_ADDRESS >>> 2)] = start;
    words[descriptor + (DESCRIPTOR_LENGTH >>> 2)] = length;
    return ring.processedAddress(7);
  };
  const slot = ring.packetAddress(7) - SLOT_HEADROOM;
  const end = slot + SLOT_STRIDE;
  assert.equal(describe(slot, SLOT_STRIDE), slot);
  assert.equal(describe(end - 1, 1), end - 1);
  assert.equal(describe(slot - 1, 20), -1, 'one byte in front of the slot');
  assert.equal(describe(slot, SLOT_STRIDE + 1), -1, 'one byte past the slot');
  assert.equal(describe(end, 1), -1);
  assert.equal(describe(0xffff_ffff, 20), -1);
  assert.equal(describe(slot, 0xffff_ffff), -1);
  assert.equal(describe(0xffff_fff0, 0xffff_fff0), -1);
});

test('a packet that was placed elsewhere may lie there and nowhere else, until its slot is filled again', () => {
  const { ring, words, address } = openRing();
  const descriptor = ((words[(address + RING_DESCRIPTORS) >>> 2] ?? 0) + 7 * DESCRIPTOR_SIZE) >>> 2;
  const describe = (start: number, length: number): number => {
    words[descriptor + (DESCRIPTOR_ADDRESS >>> 2)] = start;
    words[descriptor + (DESCRIPTOR_LENGTH >>> 2)] = length;
    return ring.processedAddress(7);
  };
  const home = ring.packetAddress(7);
  ring.place(7, 5000, 6000);
  assert.equal(describe(5000, 1000), 5000);
  assert.equal(describe(4999, 20), -1);
  assert.equal(describe(5001, 1000), -1);
  assert.equal(describe(home, 20), -1);
  ring.fill(7, 20, 1, 0);
  assert.equal(ring.processedAddress(7), home);
  assert.equal(describe(5000, 20), -1);
});

test('a payload may lie in any slot of the ring, and nowhere outside of them', () => {
  const { ring, words, address } = openRing();
  const descriptor = ((words[(address + RING_DESCRIPTORS) >>> 2] ?? 0) + 7 * DESCRIPTOR_SIZE) >>> 2;
  const describe = (start: number, length: number): number => {
    words[descriptor + (DESCRIPTOR_PAYLOAD >>> 2)] = start;
    words[descriptor + (DESCRIPTOR_PAYLOAD_LENGTH >>> 2)] = length;
    return ring.processedPayload(7);
  };
  const first = ring.packetAddress(0) - SLOT_HEADROOM;
  const end = first + SLOT_COUNT * SLOT_STRIDE;
  assert.equal(describe(first, 1), first);
  assert.equal(describe(ring.packetAddress(200), 1448), ring.packetAddress(200));
  assert.equal(describe(end - 10, 10), end - 10);
  assert.equal(describe(end - 10, 11), -1);
  assert.equal(describe(first - 1, 10), -1);
  assert.equal(describe(0, 10), -1);
  assert.equal(describe(0xffff_fff0, 0xffff_fff0), -1);
});

test('what a slot held before is forgotten when it is filled', () => {
  const { ring, words, address } = openRing();
  const descriptor = ((words[(address + RING_DESCRIPTORS) >>> 2] ?? 0) + 3 * DESCRIPTOR_SIZE) >>> 2;
  words.fill(0xffff_ffff, descriptor, descriptor + DESCRIPTOR_SIZE / 4);
  ring.fill(3, 60, 2, 5);
  assert.equal(ring.processedAddress(3), ring.packetAddress(3));
  assert.equal(ring.length(3), 60);
  assert.equal(ring.payloadLength(3), 0);
  assert.equal(ring.tunnel(3), 2);
  assert.equal(ring.reason(3), 0);
  assert.equal(ring.packets(3), 1);
  assert.equal(words[descriptor + (DESCRIPTOR_SUM >>> 2)], 0);
});

test('what follows a packet in its run can be taken off it', () => {
  const { ring, words, address } = openRing();
  const descriptor = ((words[(address + RING_DESCRIPTORS) >>> 2] ?? 0) + 9 * DESCRIPTOR_SIZE) >>> 2;
  words[descriptor + (DESCRIPTOR_EMIT >>> 2)] = 10 | (78 << 16);
  assert.equal(ring.emitted(9), 9);
  assert.equal(ring.next(9), 77);
  ring.setLast(SLOT_COUNT + 9);
  assert.equal(ring.emitted(9), 9);
  assert.equal(ring.next(9), -1);
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
    ...plan.lanes.flatMap((lane) => [
      ...[lane.encap, lane.decap, lane.counters, lane.flows, lane.trace],
    ]),
  ];
  assert.deepEqual(
    starts,
    [...starts].sort((a, b) => a - b),
  );
  assert.equal(new Set(starts).size, starts.length);
  assert.ok((starts.at(-1) ?? 0) < plan.pages * 65536);
  assert.ok(plan.pages <= 65536, 'four gigabytes are all that a 32-bit address names');
});

test('a packet placed in a frame may lie anywhere in that frame and nowhere else', () => {
  const { ring, words, address } = openRing();
  const descriptor = ((words[(address + RING_DESCRIPTORS) >>> 2] ?? 0) + 9 * DESCRIPTOR_SIZE) >>> 2;
  const describe = (start: number, length: number): number => {
    words[descriptor + (DESCRIPTOR_ADDRESS >>> 2)] = start;
    words[descriptor + (DESCRIPTOR_LENGTH >>> 2)] = length;
    return ring.processedAddress(9);
  };
  // Frames of 2048 bytes that do not begin at a multiple of it; the packet begins in the third.
  const [low, high] = [65536 + 512, 65536 + 512 + 4 * 2048];
  const frame = low + 2 * 2048;
  describe(frame + 270, 1000);
  ring.placeInFrame(9, low, high, 2048);
  assert.equal(ring.processedAddress(9), frame + 270);
  assert.equal(describe(frame, 2048), frame);
  assert.equal(describe(frame + 2047, 1), frame + 2047);
  assert.equal(describe(frame - 1, 20), -1, 'one byte in front of the frame');
  assert.equal(describe(frame, 2049), -1, 'one byte past it');
  assert.equal(describe(frame + 2048, 1), -1, 'the next frame');
  assert.equal(describe(ring.packetAddress(9), 20), -1, 'its slot');

  ring.fill(9, 100, 1, 0);
  assert.equal(ring.processedAddress(9), ring.packetAddress(9), 'the next packet lies in its slot');
  for (const outside of [low - 1, 0, high, 0xffff_ffff]) {
    describe(outside, 20);
    ring.placeInFrame(9, low, high, 2048);
    assert.equal(ring.processedAddress(9), -1, `${outside} lies in no frame`);
    assert.equal(describe(frame, 20), -1, 'and no other place will do');
  }
});
