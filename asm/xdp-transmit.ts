import {
  XDP_ADDRESS_SIZE,
  XDP_COMPLETED_FRAMES,
  XDP_COMPLETION,
  XDP_DESCRIPTOR_LENGTH,
  XDP_DESCRIPTOR_SIZE,
  XDP_ENTRY_LENGTH,
  XDP_ENTRY_SIZE,
  XDP_FRAME_COUNT,
  XDP_FRAME_SIZE,
  XDP_FREE,
  XDP_FREE_COUNT,
  XDP_IN_FLIGHT,
  XDP_RING_DESCRIPTORS,
  XDP_RING_MASK,
  XDP_RING_OWN,
  XDP_SENT_BYTES,
  XDP_SENT_FRAMES,
  XDP_TRANSMIT,
  XDP_UMEM,
} from './xdp-layout';
import { add, consume, produce, ready, room } from './xdp-ring';

// The free stack holds addresses of frames; the last that came back is the first to go out again, while its
// bytes are still in the processor's cache.

/** Entries of the transmit ring that are free. */
export function transmitRoom(block: usize): u32 {
  return room(block + XDP_TRANSMIT);
}

/** Puts the frames number `from` to before `to` onto the free stack. */
export function freeFrames(block: usize, from: u32, to: u32): void {
  const umem = load<u32>(block, XDP_UMEM);
  const frameSize = load<u32>(block, XDP_FRAME_SIZE);
  const stack = <usize>load<u32>(block, XDP_FREE);
  let free = load<u32>(block, XDP_FREE_COUNT);
  // The lowest ends on top.
  for (let frame = to; frame > from; free++) {
    frame--;
    store<u32>(stack + ((<usize>free) << 2), umem + frame * frameSize);
  }
  store<u32>(block, free, XDP_FREE_COUNT);
}

export function reserveFrames(block: usize, table: usize, max: u32): u32 {
  let count = min<u32>(room(block + XDP_TRANSMIT), max);
  if (load<u32>(block, XDP_FREE_COUNT) < count) completeFrames(block);
  let free = load<u32>(block, XDP_FREE_COUNT);
  count = min<u32>(count, free);

  const stack = <usize>load<u32>(block, XDP_FREE);
  const end = table + <usize>count * XDP_ENTRY_SIZE;
  for (let entry = table; entry !== end; entry += XDP_ENTRY_SIZE) {
    free--;
    store<u32>(entry, load<u32>(stack + ((<usize>free) << 2)));
    store<u32>(entry, 0, XDP_ENTRY_LENGTH);
  }
  store<u32>(block, free, XDP_FREE_COUNT);
  return count;
}

export function cancelFrames(block: usize, table: usize, count: u32): void {
  for (let n = count; n > 0; ) {
    n--;
    pushFrame(block, load<u32>(table + <usize>n * XDP_ENTRY_SIZE));
  }
}

export function submitFrames(block: usize, table: usize, count: u32): u32 {
  const ring = block + XDP_TRANSMIT;
  const taken = min<u32>(room(ring), count);
  if (taken === 0) return 0;

  const first = load<u32>(ring, XDP_RING_OWN);
  const mask = load<u32>(ring, XDP_RING_MASK);
  const descriptors = <usize>load<u32>(ring, XDP_RING_DESCRIPTORS);
  const umem = load<u32>(block, XDP_UMEM);
  let bytes: u64 = 0;
  let entry = table;
  for (let position = first; position !== first + taken; position++) {
    const descriptor = descriptors + <usize>(position & mask) * XDP_DESCRIPTOR_SIZE;
    const length = load<u32>(entry, XDP_ENTRY_LENGTH);
    store<u64>(descriptor, load<u32>(entry) - umem);
    store<u64>(descriptor, length, XDP_DESCRIPTOR_LENGTH); // options 0
    bytes += length;
    entry += XDP_ENTRY_SIZE;
  }
  produce(ring, taken);
  store<u32>(block, load<u32>(block, XDP_IN_FLIGHT) + taken, XDP_IN_FLIGHT);
  add(block + XDP_SENT_FRAMES, taken);
  add(block + XDP_SENT_BYTES, bytes);
  return taken;
}

export function completeFrames(block: usize): u32 {
  const ring = block + XDP_COMPLETION;
  const count = ready(ring);
  if (count === 0) return 0;

  const first = load<u32>(ring, XDP_RING_OWN);
  const umem = load<u32>(block, XDP_UMEM);
  for (let position = first; position !== first + count; position++) {
    pushFrame(block, umem + completedAt(ring, position));
  }
  settle(block, count);
  return count;
}

export function takeCompleted(block: usize, table: usize, max: u32): u32 {
  const ring = block + XDP_COMPLETION;
  const count = min<u32>(ready(ring), max);
  if (count === 0) return 0;

  const first = load<u32>(ring, XDP_RING_OWN);
  const umem = load<u32>(block, XDP_UMEM);
  const frameMask = ~(load<u32>(block, XDP_FRAME_SIZE) - 1);
  let entry = table;
  for (let position = first; position !== first + count; position++) {
    store<u32>(entry, umem + (completedAt(ring, position) & frameMask));
    store<u32>(entry, 0, XDP_ENTRY_LENGTH);
    entry += XDP_ENTRY_SIZE;
  }
  settle(block, count);
  return count;
}

/** Somewhere in the frame of the completed packet at `position`: Linux 6.18 clears the lowest bit. */
function completedAt(ring: usize, position: u32): u32 {
  const descriptors = <usize>load<u32>(ring, XDP_RING_DESCRIPTORS);
  const index = position & load<u32>(ring, XDP_RING_MASK);
  return load<u32>(descriptors + <usize>index * XDP_ADDRESS_SIZE);
}

function settle(block: usize, count: u32): void {
  consume(block + XDP_COMPLETION, count);
  store<u32>(block, load<u32>(block, XDP_IN_FLIGHT) - count, XDP_IN_FLIGHT);
  add(block + XDP_COMPLETED_FRAMES, count);
}

/** Puts the frame that `address` lies in onto the free stack. */
function pushFrame(block: usize, address: u32): void {
  const umem = load<u32>(block, XDP_UMEM);
  const frameSize = load<u32>(block, XDP_FRAME_SIZE);
  const free = load<u32>(block, XDP_FREE_COUNT);
  // INVARIANT: no more frames are out than there are, so the stack has room. A caller that breaks it loses
  // the frame and writes nothing past the stack.
  if (free >= load<u32>(block, XDP_FRAME_COUNT)) return;
  const frame = umem + ((address - umem) & ~(frameSize - 1));
  store<u32>(<usize>load<u32>(block, XDP_FREE) + ((<usize>free) << 2), frame);
  store<u32>(block, free + 1, XDP_FREE_COUNT);
}
