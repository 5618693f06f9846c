// What a tunnel remembers from packet to packet: the numbers it sends and the order it receives in.
import type { Tunnel } from './tunnel.js';

/** Old packets in unbroken sequence after which a receiver follows a sender that started again. */
export const RESYNC_COUNT = 8;

/** What a tunnel remembers from packet to packet. */
export interface TunnelState {
  /** The sequence number of the next packet sent; the first is 0 (RFC 2890, 2.2). */
  nextSequence(): number;
  /**
   * A number whose low 16 bits identify the next outer packet that may be fragmented (RFC 6864). The numbers of
   * the `count` - 1 packets behind it, 1 without, follow.
   */
  nextIdentification(count?: number): number;
  /** Largest inner packet that the path is known to take, 0 = not known. Of no effect above the tunnel's MTU. */
  readonly pathMtu: number;
  /** Counts a packet passed on although no sender and no path leave such a pair of ECN fields (RFC 6040, 4.2). */
  noteEcn(outer: number, inner: number): void;
  /** Whether a numbered packet was accepted. */
  rxSynced: boolean;
  /** The number after the last accepted one. */
  rxNext: number;
  /** The number that would continue a run of old packets. */
  staleNext: number;
  /** Length of that run. */
  staleCount: number;
}

/** The memory of all tunnels. */
export interface State {
  /** `record`: place of the tunnel in its table, from 1. */
  of(tunnel: Tunnel, record: number): TunnelState;
}

/** The memory of one tunnel that is about to send `sequence` and `identification`, on a path of `pathMtu`. */
export function createTunnelState(sequence = 0, identification = 0, pathMtu = 0): TunnelState {
  let txSequence = sequence;
  let txIdentification = identification;
  return {
    nextSequence() {
      const next = txSequence;
      txSequence = (txSequence + 1) >>> 0;
      return next;
    },
    nextIdentification(count = 1) {
      const next = txIdentification;
      txIdentification = (txIdentification + count) >>> 0;
      return next;
    },
    noteEcn() {},
    pathMtu,
    rxSynced: false,
    rxNext: 0,
    staleNext: 0,
    staleCount: 0,
  };
}

/** A memory in which no tunnel has sent or received anything. Tunnels are told apart by name and remote. */
export function createState(): State {
  const states = new Map<string, TunnelState>();
  return {
    of({ name, remote }) {
      const id = `${name} ${remote}`;
      const known = states.get(id);
      if (known !== undefined) return known;
      const created = createTunnelState();
      states.set(id, created);
      return created;
    },
  };
}

/** Whether numbers before this one are still to come. */
export function isEarly(state: TunnelState, sequence: number): boolean {
  return state.rxSynced && ((sequence - state.rxNext) | 0) > 0;
}

/** Takes a received sequence number: true when it is in order and has moved the window, false when it is old. */
export function acceptSequence(state: TunnelState, sequence: number): boolean {
  const isOld = state.rxSynced && ((sequence - state.rxNext) | 0) < 0;
  if (isOld) {
    state.staleCount = sequence === state.staleNext ? state.staleCount + 1 : 1;
    state.staleNext = (sequence + 1) >>> 0;
    if (state.staleCount < RESYNC_COUNT) return false;
  }
  state.rxSynced = true;
  state.rxNext = (sequence + 1) >>> 0;
  state.staleCount = 0;
  return true;
}
