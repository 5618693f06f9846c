// A ring of the kernel from our end. `ring` is the address of a ring view. The kernel is at the other end, on
// another processor:
//
//   we produce   plain stores to descriptors, then one atomic store of the producer
//   we consume   atomic load of the producer, plain loads of descriptors, then one atomic store of the consumer
//
// Atomics of WebAssembly are sequentially consistent, which includes the acquire and release that is needed.
import {
  XDP_COMPLETED_FRAMES,
  XDP_COMPLETION,
  XDP_FILL,
  XDP_FREE_COUNT,
  XDP_IN_FLIGHT,
  XDP_NEED_WAKEUP,
  XDP_RECEIVE,
  XDP_RECEIVED_BYTES,
  XDP_RECEIVED_FRAMES,
  XDP_RING_CONSUMER,
  XDP_RING_FLAGS,
  XDP_RING_MASK,
  XDP_RING_OWN,
  XDP_RING_PRODUCER,
  XDP_SENT_BYTES,
  XDP_SENT_FRAMES,
  XDP_TRANSMIT,
} from './xdp-layout';

/** Starts all four rings where the kernel has them, and all counters at 0. */
export function startRings(block: usize): void {
  store<u32>(block, 0, XDP_FREE_COUNT);
  store<u32>(block, 0, XDP_IN_FLIGHT);
  store<u64>(block, 0, XDP_RECEIVED_FRAMES);
  store<u64>(block, 0, XDP_RECEIVED_BYTES);
  store<u64>(block, 0, XDP_SENT_FRAMES);
  store<u64>(block, 0, XDP_SENT_BYTES);
  store<u64>(block, 0, XDP_COMPLETED_FRAMES);
  store<u32>(block + XDP_FILL, producerOf(block + XDP_FILL), XDP_RING_OWN);
  store<u32>(block + XDP_TRANSMIT, producerOf(block + XDP_TRANSMIT), XDP_RING_OWN);
  store<u32>(block + XDP_RECEIVE, consumerOf(block + XDP_RECEIVE), XDP_RING_OWN);
  store<u32>(block + XDP_COMPLETION, consumerOf(block + XDP_COMPLETION), XDP_RING_OWN);
}

/** Entries that wait for us in a ring that the kernel fills. */
export function ready(ring: usize): u32 {
  return producerOf(ring) - load<u32>(ring, XDP_RING_OWN);
}

/** Entries that are free in a ring that we fill. */
export function room(ring: usize): u32 {
  return load<u32>(ring, XDP_RING_MASK) + 1 - (load<u32>(ring, XDP_RING_OWN) - consumerOf(ring));
}

/** Hands `count` more entries of a ring that we fill to the kernel. */
export function produce(ring: usize, count: u32): void {
  const own = load<u32>(ring, XDP_RING_OWN) + count;
  store<u32>(ring, own, XDP_RING_OWN);
  atomic.store<u32>(<usize>load<u32>(ring, XDP_RING_PRODUCER), own);
}

/** Gives `count` entries of a ring that the kernel fills back to it. */
export function consume(ring: usize, count: u32): void {
  const own = load<u32>(ring, XDP_RING_OWN) + count;
  store<u32>(ring, own, XDP_RING_OWN);
  atomic.store<u32>(<usize>load<u32>(ring, XDP_RING_CONSUMER), own);
}

export function needsWakeup(ring: usize): bool {
  const flags = atomic.load<u32>(<usize>load<u32>(ring, XDP_RING_FLAGS));
  return (flags & XDP_NEED_WAKEUP) !== 0;
}

/** Adds to a counter of the block. */
export function add(counter: usize, amount: u64): void {
  store<u64>(counter, load<u64>(counter) + amount);
}

function producerOf(ring: usize): u32 {
  return atomic.load<u32>(<usize>load<u32>(ring, XDP_RING_PRODUCER));
}

function consumerOf(ring: usize): u32 {
  return atomic.load<u32>(<usize>load<u32>(ring, XDP_RING_CONSUMER));
}
