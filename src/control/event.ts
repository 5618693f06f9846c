// What /v1/events tells, as server-sent events: `event: KIND`, then `data: ` and one of these as JSON.
//
//   status    everything; first of all, and again when tunnels come, go or become others
//   traffic   each second: what passed since the event before it
//   drops     what was dropped meanwhile, where something was
//   state     a tunnel that went down, or came up
//   peers     peers of tunnels with several: what their host names stand for now, or why nothing can be sent to them
//   packet    a packet that was dropped, explained; only where asked for
//   packets   whether these can be told: not while somebody else traces
//
// Counts are exact: the rx, tx, drops and states of a status and of all that follows add up to those of the last moment.

import type { Explanation } from '../packet/explain.js';
import type { Drops, KernelDrops, PeerStatus } from '../router/contract.js';
import type { StatusMessage } from './message.js';

export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

export interface StatusEvent {
  readonly timeMs: number;
  readonly status: StatusMessage;
}

export interface TrafficEvent {
  readonly timeMs: number;
  /** Since the traffic event or status before. */
  readonly seconds: number;
  /** By name, those that something passed through. */
  readonly tunnels: Readonly<Record<string, { readonly rx: Traffic; readonly tx: Traffic }>>;
  /** Those of its peers, which are in its own counts, too; by the name of the tunnel, where it has several. */
  readonly peers?: Readonly<Record<string, readonly PeerTraffic[]>>;
}

/** One of a tunnel's `peers` by its place among them, from 0: the order is that of the last status. */
interface OfPeer {
  readonly peer: number;
}

export interface PeerTraffic extends OfPeer {
  readonly rx: Traffic;
  readonly tx: Traffic;
}

export interface PeerDrops extends OfPeer {
  readonly drops: Drops;
}

/** Both as they are from now on. */
export interface PeerTurn extends OfPeer, Pick<PeerStatus, 'remoteAddress' | 'downReason'> {}

export interface DropsEvent {
  readonly timeMs: number;
  /** By name, those that dropped something. */
  readonly tunnels: Readonly<Record<string, Drops>>;
  /** Those of its peers, which are in its own counts, too; by the name of the tunnel, where it has several. */
  readonly peers?: Readonly<Record<string, readonly PeerDrops[]>>;
  /** Packets that no tunnel took. */
  readonly none: Drops;
  readonly kernel: KernelDrops;
}

export interface StateEvent {
  readonly timeMs: number;
  readonly tunnel: string;
  readonly state: 'up' | 'down';
  readonly downReason?: string;
}

export interface PeersEvent {
  readonly timeMs: number;
  /** By name, those whose peers are others than before: these peers. */
  readonly tunnels: Readonly<Record<string, readonly PeerTurn[]>>;
}

export interface PacketEvent extends Explanation {
  readonly timeMs: number;
  /** Bytes of the whole packet. */
  readonly length: number;
  /** Packets on the wire that it stands for. */
  readonly packets: number;
  /** What to do about it, or null. */
  readonly next: string | null;
}

export interface PacketsEvent {
  readonly isShown: boolean;
}

export interface LiveEvents {
  readonly status: StatusEvent;
  readonly traffic: TrafficEvent;
  readonly drops: DropsEvent;
  readonly state: StateEvent;
  readonly peers: PeersEvent;
  readonly packet: PacketEvent;
  readonly packets: PacketsEvent;
}

export type LiveEvent = {
  readonly [K in keyof LiveEvents]: { readonly kind: K; readonly data: LiveEvents[K] };
}[keyof LiveEvents];

/** An event as it is sent. */
export function encodeEvent({ kind, data }: LiveEvent): Uint8Array {
  return new TextEncoder().encode(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
}
