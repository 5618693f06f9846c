// A router as /v1/events tells of it: a status, kept up to date by every event, with the rates of the last minutes.
//
// Runs in the terminal and in the browser, and imports nothing of either.

import type { LiveEvent, LiveEvents } from '../control/event.js';
import { HISTORY, History } from './history.js';
import { add, type Counts, NONE } from './live-counts.js';
import { LiveTunnel } from './live-tunnel.js';

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
      case 'peers':
        this.#turnPeers(event.data);
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

  #begin({ timeMs, status }: LiveEvents['status']): void {
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

  #pass({ timeMs, seconds, tunnels, peers = {} }: LiveEvents['traffic']): void {
    this.timeMs = timeMs;
    this.at++;
    this.#times.record(this.at, timeMs);
    const passed = new Map(Object.entries(tunnels));
    const passedPeers = new Map(Object.entries(peers));
    for (const [name, tunnel] of this.tunnels) {
      const { rx = NONE, tx = NONE } = passed.get(name) ?? {};
      tunnel.pass(rx, tx, seconds);
      tunnel.rxHistory.record(this.at, tunnel.rxRate.bytes);
      tunnel.txHistory.record(this.at, tunnel.txRate.bytes);
      if (rx.packets > 0) tunnel.status = { ...tunnel.status, lastReceivedMs: timeMs };
      const busy = new Map(passedPeers.get(name)?.map((one) => [one.peer, one]));
      tunnel.peers.forEach((peer, place) => {
        const { rx = NONE, tx = NONE } = busy.get(place) ?? {};
        peer.pass(rx, tx, seconds);
        if (rx.packets > 0) peer.status = { ...peer.status, lastReceivedMs: timeMs };
      });
    }
  }

  #drop({ tunnels, peers = {}, none, kernel }: LiveEvents['drops']): void {
    add(this.none, Object.entries(none));
    add(this.kernel, Object.entries(kernel));
    for (const [name, drops] of Object.entries(tunnels)) this.tunnels.get(name)?.drop(drops);
    for (const [name, those] of Object.entries(peers)) {
      for (const { peer, drops } of those) this.tunnels.get(name)?.peers[peer]?.drop(drops);
    }
  }

  #turn({ tunnel: name, state, downReason }: LiveEvents['state']): void {
    const tunnel = this.tunnels.get(name);
    if (tunnel === undefined) return;
    const { downReason: _, ...status } = tunnel.status;
    tunnel.status = { ...status, state, ...(downReason === undefined ? {} : { downReason }) };
  }

  #turnPeers({ tunnels }: LiveEvents['peers']): void {
    for (const [name, turns] of Object.entries(tunnels)) {
      for (const { peer: place, ...turned } of turns) {
        const peer = this.tunnels.get(name)?.peers[place];
        if (peer === undefined) continue;
        const { remoteAddress: _, downReason: __, ...status } = peer.status;
        peer.status = { ...status, ...turned };
      }
    }
  }
}
