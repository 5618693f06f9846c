import type { Ring } from '../ring/ring.js';

/** What `write` returns for a superpacket that this kernel refuses (EINVAL) though its parts may be right. */
export const WRITE_REFUSED = -1;

/**
 * The device side of a tunnel: whole IP packets, or whole Ethernet frames, in and out, straight from and to the slots
 * of a ring. Each has a device header (struct virtio_net_hdr) in its descriptor: what the kernel left to do on
 * a packet that was read, what it is to do on one that is written.
 */
export interface TunDevice {
  readonly name: string;

  /** File descriptor to wait on for packets to read, or -1 for a device that has none. */
  readonly fd: number;

  /** For devices without a descriptor: called whenever packets are waiting. */
  onReadable?: (() => void) | undefined;

  /**
   * Reads one packet into the slot at `position` of an encap ring, which is neither filled nor published yet, and
   * returns its length: at most SLOT_PACKET, 0 when none is waiting. Never blocks.
   */
  read(ring: Ring, position: number): number;

  /**
   * Writes the packet of slot `index` of a decap ring, with the payload of those that follow it in its run, as one.
   * The caller has checked that all of them lie where they may. Returns 0, the drop reason (REASON_*) when the
   * device did not take it, or WRITE_REFUSED for a run that may go in parts. Never blocks.
   */
  write(ring: Ring, index: number): number;

  /**
   * Gives the device one packet of the router's own, a frame where it takes frames, with nothing left to do on it.
   * Returns false when it was not taken. Never blocks.
   */
  inject(packet: Uint8Array): boolean;

  /** Takes the device away; nothing may be called after it. */
  close(): void;
}
