import type { Ring } from '../ring/ring.js';

/**
 * The outer side of all tunnels of a lane: IPv4 packets with their headers, in batches, straight from
 * and to the slots of a ring.
 */
export interface Underlay {
  readonly name: 'raw' | 'xdp' | 'udp' | 'raw-socket' | 'memory';

  /** File descriptors to wait on for received packets; empty for an underlay that calls `onReadable`. */
  readonly fds: readonly number[];

  /** For underlays without descriptors: called whenever packets are waiting. */
  onReadable?: (() => void) | undefined;

  /**
   * Fills and publishes free slots of a decap ring, at most `max`, or as many more as one message of the kernel holds.
   * Returns how many. Never blocks.
   */
  receive(ring: Ring, max: number): number;

  /** Told when the packets of a decap ring from `from` to before `to` were written: their memory is free again. */
  release?(ring: Ring, from: number, to: number): void;

  /**
   * Kinds of superpackets (MERGE_*) that this underlay sends whole for the tunnel of `record`, because a kernel
   * behind it splits them. Absent: none.
   */
  keeps?(record: number): number;

  /**
   * Sends the packets of an encap ring from position `from` to before `to` that have no reason yet; one
   * that cannot be sent gets its reason. The next hop follows from the outer header's destination.
   * May wait up to 2 ms for a full queue.
   */
  send(ring: Ring, from: number, to: number): void;

  close(): void;
}
