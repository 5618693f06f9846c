// The border of the codec: what the host calls. See src/codec/contract.ts for what each promises.
//
// The module imports the dataplane's memory and nothing else; it has no data, no start function and no
// state of its own. Everything it reads or writes lies in the regions of layout.ts.

import { coalesceBatch } from './coalesce';
import { settleBatch } from './counter';
import { decapBatch } from './decap';
import { encapBatch } from './encap';
import { ABI_VERSION } from './layout';
import { segmentSlot } from './segment';
import { separateRun } from './superpacket';
import { swap16 } from './wire/bytes';
import { finish, sum } from './wire/checksum';

/** The layout and meaning that this build was made for. */
export function abiVersion(): i32 {
  return ABI_VERSION;
}

/**
 * Finishes or splits the packet that was just filled in at `position`; superpackets of the kinds in `keep` stay
 * whole. Returns how many packets there are now.
 */
export function segment(ring: usize, position: u32, room: u32, keep: u32): u32 {
  return segmentSlot(ring, position, room, keep);
}

/** Puts the outer header in front of every filled packet of the ring. Returns how many packets that were. */
export function encap(ring: usize): u32 {
  return encapBatch(ring);
}

/** Strips and checks every filled packet of the ring. Returns how many packets that were. */
export function decap(ring: usize): u32 {
  return decapBatch(ring);
}

/** Merges neighbours of a flow, of the given kinds, into superpackets for the device. */
export function coalesce(ring: usize, kinds: u32): void {
  coalesceBatch(ring, kinds);
}

/** Takes apart the superpacket that begins in slot `index`. */
export function separate(ring: usize, index: u32): void {
  separateRun(ring, index);
}

/** Counts every processed packet of the ring and frees its slot. */
export function settle(ring: usize, nowMs: f64): void {
  settleBatch(ring, <u64>nowMs);
}

/** Internet checksum of `length` bytes at `address`, in host order. */
export function checksum(address: usize, length: usize): u32 {
  return swap16(finish(sum(address, length, 0)));
}
