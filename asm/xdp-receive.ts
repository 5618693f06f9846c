import {
  XDP_ADDRESS_SIZE,
  XDP_DESCRIPTOR_LENGTH,
  XDP_DESCRIPTOR_SIZE,
  XDP_ENTRY_LENGTH,
  XDP_ENTRY_SIZE,
  XDP_FILL,
  XDP_FRAME_COUNT,
  XDP_FRAME_SIZE,
  XDP_RECEIVE,
  XDP_RECEIVED_BYTES,
  XDP_RECEIVED_FRAMES,
  XDP_RING_DESCRIPTORS,
  XDP_RING_MASK,
  XDP_RING_OWN,
  XDP_UMEM,
} from './xdp-layout';
import { add, consume, produce, ready, room } from './xdp-ring';

/** How many received frames wait. */
export function waitingFrames(block: usize): u32 {
  return ready(block + XDP_RECEIVE);
}

/** Moves received frames, at most `max`, from the ring to `table`. */
export function takeReceived(block: usize, table: usize, max: u32): u32 {
  const ring = block + XDP_RECEIVE;
  const count = min<u32>(ready(ring), max);
  if (count === 0) return 0;

  const first = load<u32>(ring, XDP_RING_OWN);
  const mask = load<u32>(ring, XDP_RING_MASK);
  const descriptors = <usize>load<u32>(ring, XDP_RING_DESCRIPTORS);
  const umem = load<u32>(block, XDP_UMEM);
  let bytes: u64 = 0;
  let entry = table;
  for (let position = first; position !== first + count; position++) {
    const descriptor = descriptors + <usize>(position & mask) * XDP_DESCRIPTOR_SIZE;
    const length = load<u32>(descriptor, XDP_DESCRIPTOR_LENGTH);
    store<u32>(entry, umem + load<u32>(descriptor)); // a UMEM inside this memory: the upper half is 0
    store<u32>(entry, length, XDP_ENTRY_LENGTH);
    bytes += length;
    entry += XDP_ENTRY_SIZE;
  }
  consume(ring, count);
  add(block + XDP_RECEIVED_FRAMES, count);
  add(block + XDP_RECEIVED_BYTES, bytes);
  return count;
}

/** Puts the first `count` frames of all into the fill ring, which is empty. */
export function fillFirst(block: usize, count: u32): u32 {
  const ring = block + XDP_FILL;
  const taken = min<u32>(min<u32>(room(ring), count), load<u32>(block, XDP_FRAME_COUNT));
  const frameSize = load<u32>(block, XDP_FRAME_SIZE);
  for (let n: u32 = 0; n < taken; n++) store<u64>(fillEntry(ring, n), n * frameSize);
  produce(ring, taken);
  return taken;
}

/** Puts the frames of `table` into the fill ring. */
export function refillFrames(block: usize, table: usize, count: u32): u32 {
  const ring = block + XDP_FILL;
  const taken = min<u32>(room(ring), count);
  if (taken === 0) return 0;

  const umem = load<u32>(block, XDP_UMEM);
  const frameMask = ~(load<u32>(block, XDP_FRAME_SIZE) - 1);
  let entry = table;
  for (let n: u32 = 0; n < taken; n++) {
    store<u64>(fillEntry(ring, n), (load<u32>(entry) - umem) & frameMask);
    entry += XDP_ENTRY_SIZE;
  }
  produce(ring, taken);
  return taken;
}

/** Place of the entry `n` behind those that have been produced. */
export function fillEntry(ring: usize, n: u32): usize {
  const index = (load<u32>(ring, XDP_RING_OWN) + n) & load<u32>(ring, XDP_RING_MASK);
  return <usize>load<u32>(ring, XDP_RING_DESCRIPTORS) + <usize>index * XDP_ADDRESS_SIZE;
}
