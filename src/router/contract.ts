import type { Reason } from '../packet/reason.js';
import type { Mode } from '../packet/tunnel.js';
import type { Failure } from '../sys/failure.js';
import type { KernelDrops } from '../underlay/contract.js';

export type { KernelDrops };

/** Drops by reason; reasons that never occurred are left out. */
export type Drops = Partial<Record<Reason, number>>;

/** The device is gone or set down; or the peer does not answer what it is asked. */
export type DownReason = 'device' | 'keepalive' | 'probe';

export interface TunnelStatus {
  readonly name: string;
  readonly mode: Mode;
  readonly local: string;
  readonly remote: string;
  readonly state: 'up' | 'down';
  /** Absent while it is up. */
  readonly downReason?: DownReason;
  readonly mtu: number;
  readonly rx: { readonly packets: number; readonly bytes: number };
  readonly tx: { readonly packets: number; readonly bytes: number };
  /**
   * Packets of the peer that ended at the router itself: keepalives, and answers to what it asked. They are neither
   * in `rx` nor in `drops`.
   */
  readonly localPackets: number;
  readonly drops: Drops;
  /**
   * What the kernel dropped on the way into the tunnel before the router read it, beside all other counters: as a
   * rule because the device's queue was full. Its tx_dropped, as in `ip -s link`; a superpacket counts once. Absent
   * where the kernel does not say.
   */
  readonly queueDrops?: number;
  /** When the last packet came out of the tunnel, or ended at the router itself; ms since 1970, or null. */
  readonly lastReceivedMs: number | null;
}

export interface RouterStatus {
  readonly codec: string;
  readonly underlay: string;
  readonly lanes: number;
  readonly uptimeSeconds: number;
  /** Packets that came in: from the tunnel devices, and from the underlay. */
  readonly received: { readonly device: number; readonly underlay: number };
  /**
   * Packets that the router made itself to go out by a tunnel, such as answers to its far end: beside `received`, and
   * like those either sent or dropped.
   */
  readonly generated: number;
  readonly tunnels: readonly TunnelStatus[];
  /** Of packets that no tunnel took. */
  readonly drops: Drops;
  /** What the kernel dropped on the way to the underlay, beside `received`. */
  readonly kernelDrops: KernelDrops;
}

/** A running router, as control and the command line see it. */
export interface Router {
  /** Reads the counters, and asks the kernel for its own. */
  status(): Promise<RouterStatus>;

  /**
   * Swaps the live codec at a batch border: `simd`, `scalar`, `js` or a path. Resolves with the name once
   * every lane runs it. Rejects with a Failure when the build is refused; the old one then keeps running.
   */
  useCodec(name: string): Promise<string>;

  /** Stops the lanes and removes every device. Idempotent. */
  stop(): Promise<void>;

  /** Resolves when the router has ended: with null after `stop`, else with what ended it. */
  readonly finished: Promise<Failure | null>;
}
