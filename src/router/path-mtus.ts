// What lanes found the ways to the peers to take: kept for a while, and the devices' MTU set by it, so that the
// kernel fragments and answers by itself. A way that takes more again is found out when the time is up: the old MTU
// counts again, and where that is still too much the next error says so (RFC 1191, 6.3; RFC 8201, 4).
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Tunnel } from '../packet/tunnel.js';
import type { PathMtus } from '../ring/path-mtus.js';
import { ipBatch } from '../sys/ip.js';

/** RFC 1191, 6.3 and RFC 8201, 4 have 10 minutes. */
const AGE_MS = 600_000;
/** Smallest MTU of a device: without IPv6 (RFC 791), and with, which the kernel takes off a smaller one. */
const DEVICE_MTU_MIN = 68;
const IPV6_MTU_MIN = 1280;

export interface LearnedMtusOptions {
  /** By record, the first is record 1. Those of peers are holes: their device has the MTU of no single path. */
  readonly tunnels: readonly (Tunnel | undefined)[];
  /** What the devices of those tunnels have at first; default: what the tunnels carry. */
  readonly deviceMtus?: readonly (number | undefined)[];
  readonly pathMtus: PathMtus;
  readonly log: Logger;
  /** Sets the MTU of a device; default by ip(8). */
  readonly setDeviceMtu?: (name: string, mtu: number) => Promise<void>;
}

export class LearnedMtus {
  readonly #options: LearnedMtusOptions;
  readonly #setDeviceMtu: (name: string, mtu: number) => Promise<void>;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  /** MTU that each device was last given here. */
  readonly #deviceMtus = new Map<number, number>();
  /** One device after the other, in the order of what was learned. */
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  #tunnels: LearnedMtusOptions['tunnels'];
  #ownMtus: readonly (number | undefined)[];

  constructor(options: LearnedMtusOptions) {
    this.#options = options;
    this.#tunnels = options.tunnels;
    this.#ownMtus = options.deviceMtus ?? [];
    this.#setDeviceMtu = options.setDeviceMtu ?? setDeviceMtu;
  }

  /** A lane learned, or heard again, that the tunnel of `record` takes inner packets of `mtu` bytes. */
  learned(record: number, mtu: number): void {
    const tunnel = this.#tunnels[record - 1];
    if (this.#closed) return;
    clearTimeout(this.#timers.get(record));
    const timer = setTimeout(() => this.#forget(record, tunnel), AGE_MS);
    timer.unref();
    this.#timers.set(record, timer);
    if (tunnel === undefined) return;
    const floor = hasIpv6(tunnel.name) ? IPV6_MTU_MIN : DEVICE_MTU_MIN;
    this.#fit(record, tunnel, Math.min(this.#ownMtu(record, tunnel), Math.max(floor, mtu)));
  }

  /** Other tunnels have the records from here on; `renewed` are those whose path is another, or its MTU. */
  change(
    { tunnels, deviceMtus = [] }: Pick<LearnedMtusOptions, 'tunnels' | 'deviceMtus'>,
    renewed: Iterable<number>,
  ): void {
    this.#tunnels = tunnels;
    this.#ownMtus = deviceMtus;
    for (const record of renewed) {
      this.moved(record);
      this.#deviceMtus.delete(record);
    }
  }

  /** The peer of a tunnel is somewhere else: what is known of the old way says nothing of the new one. */
  moved(record: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timers.get(record));
    this.#forget(record, this.#tunnels[record - 1]);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #forget(record: number, tunnel: Tunnel | undefined): void {
    this.#timers.delete(record);
    this.#options.pathMtus.set(record, 0);
    if (tunnel !== undefined) this.#fit(record, tunnel, this.#ownMtu(record, tunnel));
  }

  /** The MTU of a device of whose path nothing was learned. */
  #ownMtu(record: number, tunnel: Tunnel): number {
    return this.#ownMtus[record - 1] ?? tunnel.mtu;
  }

  #fit(record: number, tunnel: Tunnel, mtu: number): void {
    const { name } = tunnel;
    const own = this.#ownMtu(record, tunnel);
    if (mtu === (this.#deviceMtus.get(record) ?? own)) return;
    this.#deviceMtus.set(record, mtu);
    this.#options.log.info(
      { event: 'path-mtu', tunnel: name, mtu },
      mtu === own
        ? `${name}: MTU ${mtu} again: what was known of its path is too old`
        : `${name}: MTU ${mtu} for now: its path takes no more`,
    );
    this.#work = this.#work.then(async () => {
      if (this.#closed) return;
      await this.#setDeviceMtu(name, mtu).catch((error) => {
        this.#options.log.warn({ event: 'path-mtu', tunnel: name }, String(error));
      });
    });
  }
}

function setDeviceMtu(name: string, mtu: number): Promise<void> {
  return ipBatch([{ line: `link set dev ${name} mtu ${mtu}`, owner: `tunnel ${name}` }]);
}

/** Whether IPv6 is on the device: a smaller MTU than IPv6 needs would take its addresses and routes away. */
function hasIpv6(name: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8').trim() === '0';
  } catch {
    return false; // a kernel without it
  }
}
