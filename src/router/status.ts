import type { TunnelConfig } from '../config/config.js';
import { isName } from '../config/host-name.js';
import { peerRanges } from '../packet/peers.js';
import { isGre, type Tunnel } from '../packet/tunnel.js';
import { PathMtus } from '../ring/path-mtus.js';
import type { MemoryPlan } from '../ring/plan.js';
import {
  addCounters,
  addDrops,
  type Counters,
  type RecordCounters,
  readCounters,
} from '../tunnel/counters.js';
import { addKernelDrops } from '../underlay/kernel-drops.js';
import type {
  DownReason,
  GoneStatus,
  KernelDrops,
  PeerLiveness,
  PeerStatus,
  RouterMetrics,
  RouterStatus,
  TunnelMetrics,
  TunnelStatus,
} from './contract.js';

export interface StatusSources {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  /** In the order in which they are shown. */
  readonly fleet: readonly StatusMember[];
  /** What tunnels that are gone had, and peers. */
  readonly gone?: RecordCounters;
  /** Why a name of a tunnel stands for nothing. */
  readonly faultOf?: (tunnel: string, name: string) => string | undefined;
  /** Why the tunnel of a record is down; undefined: it is up. */
  readonly downReason: (name: string, record: number) => DownReason | undefined;
  /** When a packet of the tunnel last ended at the router itself, ms since 1970. */
  readonly lastHeardMs: (record: number) => number | null;
  /** What is known of its peer by asking; absent: nobody asks. */
  readonly livenessOf?: (record: number) => readonly PeerLiveness[];
  readonly codec: string;
  readonly underlay: string;
  readonly lanes: number;
  /** When the router was started, ms since 1970. */
  readonly startedMs: number;
  /** Absent: there was none since. */
  readonly lastReload?: RouterMetrics['lastReload'];
  /** By lane; undefined: it does not answer. */
  readonly kernelDrops: readonly (KernelDrops | undefined)[];
  /** By the name of a tunnel's device. */
  readonly queueDrops: ReadonlyMap<string, number>;
}

/** A tunnel that is shown. */
export interface StatusMember {
  readonly record: number;
  readonly tunnel: Tunnel;
  /** Where it may have host names. */
  readonly config?: TunnelConfig;
}

/** Reads the counters of all lanes and puts the names of tunnels and reasons to them. */
export function readStatus(sources: StatusSources): RouterStatus {
  const counters = readCounters(sources.memory, sources.plan);
  return {
    ...routerStatus(sources, counters),
    tunnels: mapTunnels(sources, counters, tunnelStatus),
  };
}

export function readMetrics(sources: StatusSources): RouterMetrics {
  const counters = readCounters(sources.memory, sources.plan);
  const { deviceReceived, deviceBatches, underlayReceived, underlayBatches } = counters;
  return {
    ...routerStatus(sources, counters),
    tunnels: mapTunnels(sources, counters, tunnelMetrics),
    encapBatches: { packets: deviceReceived, counts: deviceBatches },
    decapBatches: { packets: underlayReceived, counts: underlayBatches },
    lanesAnswering: sources.kernelDrops.map((answer) => answer !== undefined),
    lastReload: sources.lastReload ?? { isSuccessful: true, successMs: sources.startedMs },
  };
}

function routerStatus(sources: StatusSources, counters: Counters): Omit<RouterStatus, 'tunnels'> {
  const unclaimed = counters.records[0];
  return {
    codec: sources.codec,
    underlay: sources.underlay,
    lanes: sources.lanes,
    uptimeSeconds: (Date.now() - sources.startedMs) / 1000,
    received: { device: counters.deviceReceived, underlay: counters.underlayReceived },
    generated: counters.generated,
    icmp: counters.icmp,
    drops: unclaimed ? addDrops(unclaimed.decapDrops, unclaimed.encapDrops) : {},
    kernelDrops: addKernelDrops(sources.kernelDrops.filter((answer) => answer !== undefined)),
    ...(sources.gone === undefined ? {} : { gone: goneStatus(sources.gone) }),
  };
}

function goneStatus({ rx, tx, local, decapDrops, encapDrops }: RecordCounters): GoneStatus {
  return { rx, tx, localPackets: local, drops: addDrops(decapDrops, encapDrops) };
}

type Describe<T> = (sources: StatusSources, shown: Shown) => T;

function mapTunnels<T>(sources: StatusSources, counters: Counters, describe: Describe<T>): T[] {
  const tunnels: (Tunnel | undefined)[] = [];
  for (const { record, tunnel } of sources.fleet) {
    while (tunnels.length < record) tunnels.push(undefined);
    tunnels[record - 1] = tunnel;
  }
  const ranges = new Map(peerRanges(tunnels).map((range) => [range.device, range]));
  const pathMtus = new PathMtus(sources.memory, sources.plan.states);
  return sources.fleet.flatMap(({ tunnel, record, config }): T[] => {
    const own = counters.records[record];
    if (own === undefined) return [];
    const range = ranges.get(record);
    const peers = range && counters.records.slice(range.first, range.first + range.count);
    return [
      describe(sources, { tunnel, record, own, peers, config, pathMtu: pathMtus.get(record) }),
    ];
  });
}

interface Shown {
  readonly tunnel: Tunnel;
  readonly record: number;
  /** Counters of the record that its device's packets begin with. */
  readonly own: RecordCounters;
  /** Those of its peers, for a tunnel with some. */
  readonly peers: readonly RecordCounters[] | undefined;
  readonly config: TunnelConfig | undefined;
  /** What its path is known to take, 0 = not known. */
  readonly pathMtu: number;
}

/** Counters of a tunnel, those of its peers among them. */
function sumOf({ own, peers = [] }: Shown): RecordCounters {
  return peers.reduce(addCounters, own);
}

function tunnelStatus(sources: StatusSources, shown: Shown): TunnelStatus {
  const { tunnel, record, peers, config, pathMtu } = shown;
  const { name, mode, local, mtu } = tunnel;
  const sum = sumOf(shown);
  const queueDrops = sources.queueDrops.get(name);
  const remote = remoteStatus(sources, name, config?.remote ?? tunnel.remote, tunnel.remote);
  const downReason = remote.downReason ?? sources.downReason(name, record);
  const lastHeardMs = sources.lastHeardMs(record);
  const liveness = sources.livenessOf?.(record) ?? [];
  // Keys one by one: a spread of some of them makes a status of many tunnels take twice as long.
  return {
    name,
    mode,
    local,
    ...remote,
    state: downReason === undefined ? 'up' : 'down',
    ...(downReason !== undefined && { downReason }),
    mtu,
    ...(pathMtu !== 0 && { pathMtu }),
    rx: sum.rx,
    tx: sum.tx,
    drops: addDrops(sum.decapDrops, sum.encapDrops),
    ...(queueDrops !== undefined && { queueDrops }),
    localPackets: sum.local,
    lastReceivedMs: latest(sum.lastReceivedMs, lastHeardMs),
    lastHeardMs,
    ...(liveness.length > 0 && { liveness }),
    ...(peers !== undefined && { peers: peerStatus(sources, shown, peers) }),
  };
}

function tunnelMetrics(sources: StatusSources, shown: Shown): TunnelMetrics {
  const { tunnel } = shown;
  const { decapDrops, encapDrops } = sumOf(shown);
  const { keyIn, keyOut } = isGre(tunnel) ? tunnel : {};
  return {
    ...tunnelStatus(sources, shown),
    ...{ decapDrops, encapDrops },
    ...(keyIn === undefined ? {} : { keyIn }),
    ...(keyOut === undefined ? {} : { keyOut }),
  };
}

function peerStatus(
  sources: StatusSources,
  { tunnel, config }: Shown,
  counters: readonly RecordCounters[],
): PeerStatus[] {
  return counters.map(({ rx, tx, lastReceivedMs, decapDrops, encapDrops }, index) => {
    const address = tunnel.peers?.[index]?.remote ?? undefined;
    const written = config?.peers[index]?.remote ?? address ?? 'any';
    const remote = remoteStatus(sources, tunnel.name, written, address);
    return { ...remote, rx, tx, drops: addDrops(decapDrops, encapDrops), lastReceivedMs };
  });
}

/** A remote as it was written, and what a host name stands for, or why it stands for nothing. */
function remoteStatus(
  { faultOf }: StatusSources,
  tunnel: string,
  remote: string,
  address: string | undefined,
): Pick<PeerStatus, 'remote' | 'remoteAddress' | 'downReason'> {
  if (!isName(remote)) return { remote };
  const downReason = faultOf?.(tunnel, remote);
  if (downReason !== undefined) return { remote, downReason };
  return { remote, ...(address === undefined ? {} : { remoteAddress: address }) };
}

function latest(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.max(left, right);
}
