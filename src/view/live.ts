// A router as /v1/events tells of it: a status, kept up to date by every event, with the rates of the last minutes.
//
// Runs in the terminal and in the browser, and imports nothing of either.

import type { LiveEvent } from '../control/event.js';
import type { TunnelStatus } from '../router/contract.js';
import { HISTORY, History } from './history.js';

/** Counts by a name. */
export type Counts = Map<string, number>;

export interface Rate {
  /** A second. */
  readonly packets: number;
  readonly bytes: number;
}

const NONE: Rate = { packets: 0, bytes: 0 };

/** A tunnel of a live view. */
export class LiveTunnel {
  readonly rx = { packets: 0, bytes: 0 };
  readonly tx = { packets: 0, bytes: 0 };
  rxRate: Rate = NONE;
  txRate: Rate = NONE;
  drops: Counts = new Map();
  /** Dropped in the last second. */
  newDrops = 0;
  /** Bytes a second. */
  readonly rxHistory = new History();
  readonly txHistory = new History();

  constructor(public status: TunnelStatus) {
    this.reset(status);
  }

  /** Begins anew with a status. */
  reset(status: TunnelStatus): void {
    this.status = status;
    Object.assign(this.rx, status.rx);
    Object.assign(this.tx, status.tx);
    this.drops = new Map(Object.entries(status.drops));
  }
}

export class LiveView {
  /** By name, in the router's order. */
  tunnels: ReadonlyMap<string, LiveTunnel> = new Map();
  codec = '';
  underlay = '';
  /** Packets of no tunnel that were dropped, by reason. */
  none: Counts = new Map();
  /** What the kernel dropped, by its counters' names in the status. */
  kernel: Counts = new Map();
  /** Number of the last second. */
  at = -1;
  /** When the last event came, ms since 1970. */
  timeMs = 0;
  readonly #times = new History();
  #startedMs = 0;

  /** Takes the next event. */
  apply(event: LiveEvent): void {
    switch (event.kind) {
      case 'status':
        this.#begin(event.data);
        break;
      case 'traffic':
        this.#pass(event.data);
        break;
      case 'drops':
        this.#drop(event.data);
        break;
      case 'state':
        this.#turn(event.data);
        break;
      case 'packet':
      case 'packets':
        break;
    }
  }

  get uptimeSeconds(): number {
    return Math.max(0, (this.timeMs - this.#startedMs) / 1000);
  }

  /** How many seconds of the past are known, up to HISTORY. */
  get known(): number {
    return Math.min(this.at + 1, HISTORY);
  }

  /** When the last `count` seconds ended, ms since 1970. */
  times(count: number): number[] {
    return this.#times.last(this.at, count);
  }

  /** All drops by reason. */
  dropsByReason(): Counts {
    const sum: Counts = new Map(this.none);
    for (const { drops } of this.tunnels.values()) add(sum, drops);
    return sum;
  }

  #begin({ timeMs, status }: Extract<LiveEvent, { kind: 'status' }>['data']): void {
    this.timeMs = timeMs;
    this.#startedMs = timeMs - status.uptimeSeconds * 1000;
    this.codec = status.codec;
    this.underlay = status.underlay;
    this.none = new Map(Object.entries(status.drops));
    this.kernel = new Map(Object.entries(status.kernelDrops ?? {}));
    const before = this.tunnels;
    this.tunnels = new Map(
      status.tunnels.map((tunnel) => {
        const known = before.get(tunnel.name) ?? new LiveTunnel(tunnel);
        known.reset(tunnel);
        return [tunnel.name, known];
      }),
    );
  }

  #pass({ timeMs, seconds, tunnels }: Extract<LiveEvent, { kind: 'traffic' }>['data']): void {
    this.timeMs = timeMs;
    this.at++;
    this.#times.record(this.at, timeMs);
    const passed = new Map(Object.entries(tunnels));
    for (const [name, tunnel] of this.tunnels) {
      const { rx = NONE, tx = NONE } = passed.get(name) ?? {};
      addTo(tunnel.rx, rx);
      addTo(tunnel.tx, tx);
      tunnel.rxRate = perSecond(rx, seconds);
      tunnel.txRate = perSecond(tx, seconds);
      tunnel.newDrops = 0;
      tunnel.rxHistory.record(this.at, tunnel.rxRate.bytes);
      tunnel.txHistory.record(this.at, tunnel.txRate.bytes);
      if (rx.packets > 0) tunnel.status = { ...tunnel.status, lastReceivedMs: timeMs };
    }
  }

  #drop({ tunnels, none, kernel }: Extract<LiveEvent, { kind: 'drops' }>['data']): void {
    add(this.none, Object.entries(none));
    add(this.kernel, Object.entries(kernel));
    for (const [name, drops] of Object.entries(tunnels)) {
      const tunnel = this.tunnels.get(name);
      if (tunnel === undefined) continue;
      add(tunnel.drops, Object.entries(drops));
      tunnel.newDrops = Object.values(drops).reduce((sum, count) => sum + count, 0);
    }
  }

  #turn({ tunnel: name, state, downReason }: Extract<LiveEvent, { kind: 'state' }>['data']): void {
    const tunnel = this.tunnels.get(name);
    if (tunnel === undefined) return;
    const { downReason: _, ...status } = tunnel.status;
    tunnel.status = { ...status, state, ...(downReason === undefined ? {} : { downReason }) };
  }
}

/** Sum of counts. */
export function total(counts: Counts): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

function add(sum: Counts, counts: Iterable<readonly [string, number]>): void {
  for (const [name, count] of counts) sum.set(name, (sum.get(name) ?? 0) + count);
}

function addTo(sum: { packets: number; bytes: number }, more: Rate): void {
  sum.packets += more.packets;
  sum.bytes += more.bytes;
}

function perSecond({ packets, bytes }: Rate, seconds: number): Rate {
  return seconds > 0 ? { packets: packets / seconds, bytes: bytes / seconds } : NONE;
}
