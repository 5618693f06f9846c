// The border of the codec's second module: the rings of an AF_XDP socket, worked in batches. See
// src/underlay/xsk-rings.ts for the host's side of it.
//
//   receive   receiveTake -> the caller reads the frames -> refill
//   send      transmitReserve -> the caller writes the frames -> transmitSubmit -> kick -> complete
//
// Like the first it imports the memory and nothing else and has no state of its own: everything lies in the
// block of xdp-layout.ts, so one module serves any number of sockets, each worked by one thread at a time.

import { XDP_FILL, XDP_FRAME_COUNT, XDP_TRANSMIT } from './xdp-layout';
import { fillFirst, refillFrames, takeReceived, waitingFrames } from './xdp-receive';
import { needsWakeup, startRings } from './xdp-ring';
import {
  receiveSlots as receiveInto,
  releaseSlots as releaseFrom,
  transmitSlots as transmitFrom,
} from './xdp-slots';
import {
  cancelFrames,
  completeFrames,
  freeFrames,
  reserveFrames,
  submitFrames,
  takeCompleted,
  transmitRoom as transmitRoomOf,
} from './xdp-transmit';

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

/** How many received frames wait. */
export function receivePeek(block: usize): u32 {
  return waitingFrames(block);
}

/**
 * Takes received frames out of the ring, at most `max`, and writes the address and length of each to `table`.
 * They are the caller's until `refill`. Returns how many.
 */
export function receiveTake(block: usize, table: usize, max: u32): u32 {
  return takeReceived(block, table, max);
}

/**
 * Gives the frames of the table's first `count` entries back to be received into; any address inside a frame
 * names it. Returns how many there was room for: all, where no more frames are in use than initialise was told.
 */
export function refill(block: usize, table: usize, count: u32): u32 {
  return refillFrames(block, table, count);
}

/** Whether the driver waits to be told of refilled frames: call Xsk.wakeReceive. */
export function needsReceiveWakeup(block: usize): bool {
  return needsWakeup(block + XDP_FILL);
}

/** Entries of the transmit ring that are free. */
export function transmitRoom(block: usize): u32 {
  return transmitRoomOf(block);
}

/**
 * Reserves frames to send with, at most `max` and no more than there is room for in the ring; completes sent
 * ones first where the stack is short. Writes the address of each to `table`. Returns how many.
 */
export function transmitReserve(block: usize, table: usize, max: u32): u32 {
  return reserveFrames(block, table, max);
}

/** Puts reserved frames that were not needed back onto the stack. */
export function transmitCancel(block: usize, table: usize, count: u32): void {
  cancelFrames(block, table, count);
}

/**
 * Gives frames to the kernel to send: each entry's address and length. An address may be any inside the UMEM,
 * from the stack or not, as long as the packet ends in the frame it begins in and is not empty: an entry that
 * breaks this the kernel counts, skips, and lets it end the kick. Returns how many there was room for; the
 * others stay the caller's. The kernel starts with Xsk.kick.
 */
export function transmitSubmit(block: usize, table: usize, count: u32): u32 {
  return submitFrames(block, table, count);
}

/** Whether the kernel waits for a kick: always, in copy mode. */
export function needsKick(block: usize): bool {
  return needsWakeup(block + XDP_TRANSMIT);
}

/** Puts all frames that the kernel is through with onto the free stack. Returns how many. */
export function complete(block: usize): u32 {
  return completeFrames(block);
}

/**
 * For frames that are not of the stack: writes the first byte's address of those that the kernel is through
 * with to `table`, at most `max`. Returns how many.
 */
export function completeTake(block: usize, table: usize, max: u32): u32 {
  return takeCompleted(block, table, max);
}

/**
 * Describes received packets, at most `max`, in the slots of a decap ring from FILLED on, for the caller to
 * publish; they stay in their frames until `releaseSlots`. Returns how many.
 */
export function receiveSlots(block: usize, ring: usize, max: u32): u32 {
  return receiveInto(block, ring, max);
}

/** Gives the frames of a decap ring's slots from position `from` to before `to` back to be received into. */
export function releaseSlots(block: usize, ring: usize, from: u32, to: u32): void {
  releaseFrom(block, ring, from, to);
}

/**
 * Gives the packets of an encap ring from position `from` to before `to` that have no reason to the kernel to send,
 * each behind the Ethernet header of its tunnel's next hop; one that cannot be sent gets its reason. The kernel
 * starts with Xsk.kick. Returns how many.
 */
export function transmitSlots(block: usize, ring: usize, from: u32, to: u32): u32 {
  return transmitFrom(block, ring, from, to);
}
