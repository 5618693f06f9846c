// The frames of a socket, as far as no packet of a lane lies in them: given to the kernel to receive into, on
// the free stack, or on their way back from the kernel.
//
// The free stack holds addresses of frames; the last that came back is the first to go out again, while its
// bytes are still in the processor's cache.
import {
  XDP_ADDRESS_SIZE,
  XDP_COMPLETED_FRAMES,
  XDP_COMPLETION,
  XDP_FILL,
  XDP_FRAME_COUNT,
  XDP_FRAME_SIZE,
  XDP_FREE,
  XDP_FREE_COUNT,
  XDP_IN_FLIGHT,
  XDP_RING_DESCRIPTORS,
  XDP_RING_MASK,
  XDP_RING_OWN,
  XDP_UMEM,
} from './xdp-layout';
import { add, consume, produce, ready, room } from './xdp-ring';

/** Puts the first `count` frames of all into the fill ring, which is empty. Returns how many it had room for. */
export function fillFirst(block: usize, count: u32): u32 {
  const ring = block + XDP_FILL;
  const taken = min<u32>(min<u32>(room(ring), count), load<u32>(block, XDP_FRAME_COUNT));
  const frameSize = load<u32>(block, XDP_FRAME_SIZE);
  for (let n: u32 = 0; n < taken; n++) store<u64>(fillEntry(ring, n), n * frameSize);
  produce(ring, taken);
  return taken;
}

/** Place of the entry `n` behind those that have been produced. */
export function fillEntry(ring: usize, n: u32): usize {
  const index = (load<u32>(ring, XDP_RING_OWN) + n) & load<u32>(ring, XDP_RING_MASK);
  return <usize>load<u32>(ring, XDP_RING_DESCRIPTORS) + <usize>index * XDP_ADDRESS_SIZE;
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

/** Puts all frames that the kernel is through with onto the free stack. Returns how many. */
export function completeFrames(block: usize): u32 {
  const ring = block + XDP_COMPLETION;
  const count = ready(ring);
  if (count === 0) return 0;

  const first = load<u32>(ring, XDP_RING_OWN);
  const umem = load<u32>(block, XDP_UMEM);
  for (let position = first; position !== first + count; position++) {
    pushFrame(block, umem + completedAt(ring, position));
  }
  consume(ring, count);
  store<u32>(block, load<u32>(block, XDP_IN_FLIGHT) - count, XDP_IN_FLIGHT);
  add(block + XDP_COMPLETED_FRAMES, count);
  return count;
}

/** Somewhere in the frame of the completed packet at `position`: Linux 6.18 clears the lowest bit. */
function completedAt(ring: usize, position: u32): u32 {
  const descriptors = <usize>load<u32>(ring, XDP_RING_DESCRIPTORS);
  const index = position & load<u32>(ring, XDP_RING_MASK);
  return load<u32>(descriptors + <usize>index * XDP_ADDRESS_SIZE);
}

/** Puts the frame that `address` lies in onto the free stack. */
function pushFrame(block: usize, address: u32): void {
  const umem = load<u32>(block, XDP_UMEM);
  const frameSize = load<u32>(block, XDP_FRAME_SIZE);
  const free = load<u32>(block, XDP_FREE_COUNT);
  // INVARIANT: no more frames are out than there are, so the stack has room. Should a kernel give one back
  // twice, the frame is lost and nothing is written past the stack.
  if (free >= load<u32>(block, XDP_FRAME_COUNT)) return;
  const frame = umem + ((address - umem) & ~(frameSize - 1));
  store<u32>(<usize>load<u32>(block, XDP_FREE) + ((<usize>free) << 2), frame);
  store<u32>(block, free + 1, XDP_FREE_COUNT);
}
