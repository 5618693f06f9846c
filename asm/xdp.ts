// The border of the codec's second module: the rings of an AF_XDP socket, worked in batches. See
// src/underlay/xdp/xsk-rings.ts for the host's side of it.
//
//   receive   receiveSlots -> the lane works on the packets, in their frames -> releaseSlots
//   send      transmitSlots -> kick -> complete
//
// Like the first it imports the memory and nothing else and has no state of its own: everything lies in the
// block of xdp-layout.ts, so one module serves any number of sockets, each worked by one thread at a time.

import { completeFrames, fillFirst, freeFrames } from './xdp-frames';
import { XDP_FILL, XDP_FRAME_COUNT } from './xdp-layout';
import { needsWakeup, startRings } from './xdp-ring';
import {
  receiveSlots as receiveInto,
  releaseSlots as releaseFrom,
  transmitSlots as transmitFrom,
} from './xdp-slots';

/**
 * Starts a socket's block, whose addresses the host has written: the first `receiveFrames` frames go into
 * the fill ring (as many as it has room for), the others onto the free stack. Returns how many the ring got.
 */
export function initialise(block: usize, receiveFrames: u32): u32 {
  startRings(block);
  const filled = fillFirst(block, receiveFrames);
  freeFrames(block, filled, load<u32>(block, XDP_FRAME_COUNT));
  return filled;
}

/**
 * Describes received packets, at most `max`, in the slots of a decap ring from FILLED on, for the caller to
 * publish; they stay in their frames until `releaseSlots`. Returns how many.
 */
export function receiveSlots(block: usize, ring: usize, max: u32): u32 {
  return receiveInto(block, ring, max);
}

/**
 * Gives the frames of a decap ring's slots from position `from` to before `to` back to be received into. Returns
 * how many there were.
 */
export function releaseSlots(block: usize, ring: usize, from: u32, to: u32): u32 {
  return releaseFrom(block, ring, from, to);
}

/** Whether the driver waits to be told of frames that were given back: call Xsk.wakeReceive. */
export function needsReceiveWakeup(block: usize): bool {
  return needsWakeup(block + XDP_FILL);
}

/**
 * Gives the packets of an encap ring from position `from` to before `to` that have no reason to the kernel to send,
 * each behind the Ethernet header of its tunnel's next hop; one that cannot be sent gets its reason. The kernel
 * starts with Xsk.kick. Returns how many.
 */
export function transmitSlots(block: usize, ring: usize, from: u32, to: u32): u32 {
  return transmitFrom(block, ring, from, to);
}

/** Puts all frames that the kernel is through with onto the free stack. Returns how many. */
export function complete(block: usize): u32 {
  return completeFrames(block);
}
