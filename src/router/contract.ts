import type { Config } from '../config/config.js';
import type { RecordSubject } from '../inspect/recorded-capture.js';
import type { Means } from '../lane/board.js';
import type { Reason } from '../packet/reason.js';
import type { Mode, Tunnel } from '../packet/tunnel.js';
import type { CapturedPackets } from '../ring/capture-ring.js';
import type { RecordedPacket } from '../ring/recorded.js';
import type { Failure } from '../sys/failure.js';
import type { IcmpCounters } from '../tunnel/counters.js';
import type { KernelDrops } from '../underlay/contract.js';
import type { ConfigDiff } from './diff.js';

export type { KernelDrops };

/** Drops by reason; reasons that never occurred are left out. */
export type Drops = Partial<Record<Reason, number>>;

/** The device is gone or set down; the peer does not answer what it is asked; or else what is wrong with a host name. */
export type DownReason = 'device' | 'keepalive' | 'probe' | (string & {});

/** What the answers to one kind of question say of a tunnel's peer. */
export interface PeerLiveness {
  readonly means: Means;
  readonly state: 'up' | 'down';
  /** Questions in a row without an answer, the one that is under way among them. */
  readonly unanswered: number;
  /** How often that made the peer down, and answers made it up again. */
  readonly changes: number;
}

/** One of several peers of a tunnel. */
export interface PeerStatus {
  /** As the config has it. */
  readonly remote: string;
  /** What a host name stands for, while that is known. */
  readonly remoteAddress?: string;
  /** Why nothing can be sent to it; absent where nothing is known to be in the way. */
  readonly downReason?: string;
  readonly rx: { readonly packets: number; readonly bytes: number };
  readonly tx: { readonly packets: number; readonly bytes: number };
  readonly drops: Drops;
  readonly lastReceivedMs: number | null;
}

/** How a tunnel does; counters since the start of the router. */
export interface TunnelStatus {
  readonly name: string;
  readonly mode: Mode;
  readonly local: string;
  readonly remote: string;
  /** What a host name stands for, while that is known. */
  readonly remoteAddress?: string;
  readonly state: 'up' | 'down';
  /** Absent while it is up. */
  readonly downReason?: DownReason;
  readonly mtu: number;
  /** What its path is known to take, where that is less; forgotten after a while. */
  readonly pathMtu?: number;
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
  /** Of these, when the last packet ended at the router itself: a keepalive, or an answer. */
  readonly lastHeardMs: number | null;
  /** By what its peer is asked whether it is there; absent: by nothing. */
  readonly liveness?: readonly PeerLiveness[];
  /** Of a tunnel with several: its own counters are their sum, and what went to none of them. */
  readonly peers?: readonly PeerStatus[];
}

/** What tunnels had that were removed while the router ran, and peers: without it the counters would not add up. */
export interface GoneStatus {
  readonly rx: { readonly packets: number; readonly bytes: number };
  readonly tx: { readonly packets: number; readonly bytes: number };
  readonly localPackets: number;
  readonly drops: Drops;
}

/** How a router does; counters since its start. */
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
  /** ICMP errors, told and heard. Of those heard, what was dropped is among `drops`, too. */
  readonly icmp: IcmpCounters;
  readonly tunnels: readonly TunnelStatus[];
  /** Of packets that no tunnel took. */
  readonly drops: Drops;
  /** What the kernel dropped on the way to the underlay, beside `received`. */
  readonly kernelDrops: KernelDrops;
  /** Absent while none was removed. */
  readonly gone?: GoneStatus;
}

export interface TunnelMetrics extends TunnelStatus {
  /** `drops` by direction. */
  readonly decapDrops: Drops;
  readonly encapDrops: Drops;
  readonly keyIn?: number;
  readonly keyOut?: number;
}

/** Batches of one direction, by how many packets were in them. */
export interface BatchSizes {
  /** Packets of all. */
  readonly packets: number;
  /** How many batches had 1 packet, 2, up to 4, 8, 16, 32, 64, and more. */
  readonly counts: readonly number[];
}

/** How the last reload went. */
export interface LastReload {
  readonly isSuccessful: boolean;
  /** When a config was last taken, that of the start included: ms since 1970. */
  readonly successMs: number;
}

/** What monitoring is told: the status, and beside it what people would not read. */
export interface RouterMetrics extends RouterStatus {
  readonly tunnels: readonly TunnelMetrics[];
  readonly encapBatches: BatchSizes;
  readonly decapBatches: BatchSizes;
  /** By lane, whether it answered a question within a second: one that hangs does not. */
  readonly lanesAnswering: readonly boolean[];
  /** The last time a config was to be taken, that of the start included. */
  readonly lastReload: LastReload;
}

/** Which packets are traced. */
export interface TraceRequest {
  /** Name of a tunnel; null: all, and packets of none. */
  readonly tunnel: string | null;
  readonly dropsOnly: boolean;
  /** Most packets a second. */
  readonly limit: number;
  /** Ends when another is asked for, instead of being in its way. */
  readonly yields?: boolean;
}

/** A packet that passed while it was traced. */
export interface TracedPacket {
  readonly lane: number;
  readonly direction: 'decap' | 'encap';
  /** Place of its tunnel, from 1; 0 = none. */
  readonly record: number;
  /** Null: forwarded. */
  readonly reason: Reason | null;
  /** Index of the device it came from, 0 = not known. */
  readonly link: number;
  /** Bytes of the whole packet, as it came. */
  readonly length: number;
  /** Packets on the wire that it stands for. */
  readonly packets: number;
  /** When its batch was through, ms since 1970. */
  readonly timeMs: number;
  /** Its first bytes, as it came. */
  readonly bytes: Uint8Array;
}

/** Packets of a running router; open until it is closed. */
export interface Trace {
  /** The tunnels by their records: the first is record 1. A hole is nobody's, or a peer's. */
  readonly tunnels: readonly (Tunnel | undefined)[];
  /** Names of devices that tunnels are bound to, by index. */
  readonly links: ReadonlyMap<number, string>;
  /** What passed since the last call, in order, and how many packets more did that were not copied. Never blocks. */
  read(): { readonly packets: readonly TracedPacket[]; readonly missed: number };
  /** Whether it is closed, or had to yield to another. */
  isEnded(): boolean;
  /** Idempotent. From here on tracing costs the lanes nothing. */
  close(): void;
}

/** How a reload is done. */
export interface ReloadOptions {
  /** The config before comes back after this time, unless `confirm` is called. */
  readonly confirmMs?: number;
}

/** What a reload did. */
export interface ReloadResult {
  /** What was done. */
  readonly diff: ConfigDiff;
  /** Absent: nothing is to be confirmed. */
  readonly confirmUntilMs?: number;
}

/** How the config of a running router is changed. */
export interface ReloadControl {
  /** What it has. */
  readonly config: Config;

  /** What another config would do to the tunnels. */
  diff(wanted: Config): ConfigDiff;

  /** What a reload with `wanted` would do: that, and what devices lack by now of what they were given. */
  wholeDiff(wanted: Config): Promise<ConfigDiff>;

  /** Reads its file again. Rejects with a Failure with all that is wrong with it. */
  load(): Promise<Config>;

  /**
   * Takes `wanted`, or what it makes of the config when its turn comes; absent: what its file holds by then. Rejects
   * with a Failure when that cannot be done; the config is then as it was.
   */
  reload(
    wanted?: Config | ((running: Config) => Config),
    options?: ReloadOptions,
  ): Promise<ReloadResult>;

  /** When what is there on trial gives way to the config before it, in ms since 1970. Throws a Failure when nothing is. */
  readonly trialUntilMs: number;

  /** Keeps what is there on trial. Throws a Failure when nothing is. */
  confirm(): void;

  /** Brings back the config before the last reload; twice: the one that was undone. */
  undo(): Promise<ReloadResult>;

  /** What `undo` would do. */
  wouldUndo(): ConfigDiff;
}

/** Whose last packets: those of one tunnel with all its peers, of no tunnel, or all. */
export type RecordChoice = { readonly tunnel: string } | 'none' | 'all';

/** The last packets that were recorded, as of now. */
export interface Recording {
  /** What a packet's record is: its tunnel, as a capture shows it. */
  readonly subjectOf: (record: number) => RecordSubject | undefined;
  /** By tunnel, in order of time within each; read from the lanes as they are taken. */
  readonly batches: Iterable<readonly RecordedPacket[]>;
}

/** Which packets are captured. */
export interface CaptureRequest {
  /** Name of a tunnel; null: all, and packets of none. */
  readonly tunnel: string | null;
  /** Most bytes of a packet. */
  readonly snap: number;
}

/** Whole packets of a running router; open until it is closed. */
export interface Capture {
  /** What a packet's record is: its tunnel, as a capture shows it. */
  readonly subjectOf: (record: number) => RecordSubject | undefined;
  /** Whether frames are inside of the tunnel that was asked for. */
  readonly isEthernet: boolean;
  /** What passed and was not read yet, about `maxBytes` of it, and how many packets more did. Never blocks. */
  read(maxBytes: number): CapturedPackets;
  /** Idempotent. From here on capturing costs the lanes nothing. */
  close(): void;
}

/** A running router, as control and the command line see it. */
export interface Router {
  /** Reads the counters, and asks the kernel for its own. */
  status(): Promise<RouterStatus>;

  /** The same for monitoring. */
  metrics(): Promise<RouterMetrics>;

  /** By lane, whether it answers within a second, as it does between two batches. */
  lanesAnswering(): Promise<readonly boolean[]>;

  /**
   * Swaps the live codec at a batch border: `simd`, `scalar`, `js` or a path. Resolves with the name once
   * every lane runs it. Rejects with a Failure when the build is refused; the old one then keeps running.
   */
  useCodec(name: string): Promise<string>;

  /**
   * Begins to copy headers of packets, until the trace is closed. Throws a Failure for a tunnel that is not there,
   * and while another trace is open.
   */
  trace(request: TraceRequest): Trace;

  /** The last packets. Throws a Failure for a tunnel that is not there, and where nothing is recorded. */
  recorded(choice: RecordChoice): Recording;

  /** Begins to copy packets whole. Throws a Failure for a tunnel that is not there, and while another capture is open. */
  capture(request: CaptureRequest): Capture;

  /** The kernel's numbers of the threads that move packets; empty or absent where this thread does. */
  readonly laneThreads?: readonly number[];

  /** Absent: its tunnels stay as they are. */
  readonly reloads?: ReloadControl;

  /** Stops the lanes and removes every device. Idempotent. */
  stop(): Promise<void>;

  /** Resolves when the router has ended: with null after `stop`, else with what ended it. */
  readonly finished: Promise<Failure | null>;
}
