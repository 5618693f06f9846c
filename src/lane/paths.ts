// What is learned of the ways to the peers: how long a packet may be. Lanes learn, and send by it at once; the main
// thread is told, forgets it in time, and sets the device's MTU by it.
import { addressBytes, parseAddress } from '../packet/address.js';
import { mtuOf } from '../packet/table.js';
import { overhead, type Tunnel, versionOf } from '../packet/tunnel.js';
import type { PathMtus } from '../ring/path-mtus.js';
import type { LaneTunnels } from './tunnels.js';

/** Less than this no path of IPv4 is believed to take: an attacker's word, as a rule. Linux has the same floor. */
const IPV4_FLOOR = 552;
/** Every path of IPv6 takes as much (RFC 8200, 5). */
const IPV6_FLOOR = 1280;

/**
 * Longest packet that the kernel sends to `remote`, 4 or 16 bytes, for the tunnel of a record; undefined while it has no
 * way there.
 */
export type RouteMtu = (remote: Uint8Array, record: number) => number | undefined;

export interface PathsOptions {
  readonly tunnels: LaneTunnels;
  readonly pathMtus: PathMtus;
  readonly routeMtu: RouteMtu;
  /** Told whenever something is learned, or learned again. */
  readonly onLearned: (record: number, mtu: number) => void;
}

export class Paths {
  readonly #options: PathsOptions;

  constructor(options: PathsOptions) {
    this.#options = options;
  }

  /** Largest inner packet that the tunnel of `record` takes as far as is known. */
  mtu(record: number): number {
    const tunnel = this.#options.tunnels.of(record);
    const own = tunnel === undefined ? 0 : mtuOf(tunnel);
    const known = this.#options.pathMtus.get(record);
    return known === 0 ? own : Math.min(own, known);
  }

  /** An ICMP error told that the way takes outer packets of `outerMtu` bytes. */
  learnFromError(record: number, outerMtu: number): void {
    const tunnel = this.#options.tunnels.of(record);
    if (tunnel === undefined) return;
    const floor = versionOf(tunnel) === 4 ? IPV4_FLOOR : IPV6_FLOOR;
    this.#learn(record, tunnel, Math.max(floor, outerMtu));
  }

  /** The kernel refused to send an outer packet for its length: how long may it be? */
  learnFromKernel(record: number): void {
    const tunnel = this.#options.tunnels.of(record);
    const remote = tunnel && parseAddress(tunnel.remote);
    if (!tunnel || !remote) return;
    const outerMtu = this.#options.routeMtu(addressBytes(remote), record);
    if (outerMtu !== undefined) this.#learn(record, tunnel, outerMtu);
  }

  #learn(record: number, tunnel: Tunnel, outerMtu: number): void {
    const { pathMtus, onLearned } = this.#options;
    const mtu = outerMtu - overhead(tunnel);
    if (mtu <= 0 || mtu >= mtuOf(tunnel)) return; // only ever lower than what the tunnel was told
    const isNew = pathMtus.lower(record, mtu);
    if (isNew || pathMtus.get(record) === mtu) onLearned(record, mtu);
  }
}
