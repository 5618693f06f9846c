import type { Ring } from '../ring/ring.js';

/** An IP protocol (47, 4, 41) over one version of IP. */
export interface OuterProtocol {
  readonly version: 4 | 6;
  readonly protocol: number;
}

/**
 * The outer side of all tunnels of a lane: IPv4 and IPv6 packets with their headers, in batches, straight from
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

  /** Asks the kernel what it dropped on the way to this underlay. Absent: it has no sockets to ask of. */
  kernelDrops?(): KernelDrops;

  /** Closes its sockets; nothing may be called after it. */
  close(): void;
}

/**
 * Packets that the kernel dropped before the router received them, so that no other counter has them, since the
 * sockets were opened. A field is absent where there is no such socket, and where the kernel does not say.
 */
export interface KernelDrops {
  /**
   * For the raw sockets: their receive buffer was full. SK_MEMINFO_DROPS of getsockopt(SO_MEMINFO), the kernel's
   * sk_drops. Since Linux 6.10 a full socket of one lane counts packets for another lane, too.
   */
  readonly rawSocket?: number;
  /**
   * For the UDP sockets: their receive buffer was full, or the UDP checksum of more than 76 bytes wrong (shorter ones
   * are dropped before a socket is looked for). SK_MEMINFO_DROPS of getsockopt(SO_MEMINFO), the kernel's sk_drops.
   * What the kernel had merged counts once.
   */
  readonly udpSocket?: number;
  /** For the AF_XDP sockets: the receive ring was full. rx_ring_full of getsockopt(XDP_STATISTICS). */
  readonly xdpRingFull?: number;
  /**
   * For the AF_XDP sockets: no frame was free to copy the packet to. rx_dropped of getsockopt(XDP_STATISTICS). A
   * driver that does without copies counts what it had no frame for itself: ethtool -S.
   */
  readonly xdpNoFrame?: number;
  /**
   * Descriptors of ours in the rings of AF_XDP that name no frame: a fault of the router's, 0 otherwise.
   * rx_invalid_descs and tx_invalid_descs of getsockopt(XDP_STATISTICS); each of the latter is a packet that did not
   * leave.
   */
  readonly xdpInvalid?: number;
}
