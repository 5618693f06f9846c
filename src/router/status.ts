import type { TunnelConfig } from '../config/config.js';
import { isName } from '../config/host-name.js';
import { peerRanges } from '../packet/peers.js';
import type { Tunnel } from '../packet/tunnel.js';
import { PathMtus } from '../ring/path-mtus.js';
import type { MemoryPlan } from '../ring/plan.js';
import { addCounters, addDrops, type RecordCounters, readCounters } from '../tunnel/counters.js';
import type { KernelDrops, PeerStatus, RouterStatus, TunnelStatus } from './contract.js';

export interface StatusSources {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly tunnels: readonly Tunnel[];
  /** Where the tunnels have host names; absent: they have none. */
  readonly configs?: readonly TunnelConfig[];
  /** Why a name of a tunnel stands for nothing. */
  readonly faultOf?: (tunnel: string, name: string) => string | undefined;
  readonly isUp: (name: string) => boolean;
  readonly codec: string;
  readonly underlay: string;
  readonly lanes: number;
  readonly uptimeSeconds: number;
  readonly kernelDrops: KernelDrops;
  /** By the name of a tunnel's device. */
  readonly queueDrops: ReadonlyMap<string, number>;
}

/** Reads the counters of all lanes and puts the names of tunnels and reasons to them. */
export function readStatus(sources: StatusSources): RouterStatus {
  const counters = readCounters(sources.memory, sources.plan);
  const ranges = new Map(peerRanges(sources.tunnels).map((range) => [range.device, range]));
  const pathMtus = new PathMtus(sources.memory, sources.plan.states);
  const unclaimed = counters.records[0];
  return {
    codec: sources.codec,
    underlay: sources.underlay,
    lanes: sources.lanes,
    uptimeSeconds: sources.uptimeSeconds,
    received: { device: counters.deviceReceived, underlay: counters.underlayReceived },
    generated: counters.generated,
    icmp: counters.icmp,
    tunnels: sources.tunnels.flatMap((tunnel, index) => {
      const own = counters.records[index + 1];
      if (own === undefined) return [];
      const range = ranges.get(index + 1);
      const peers = range && counters.records.slice(range.first, range.first + range.count);
      const pathMtu = pathMtus.get(index + 1);
      const config = sources.configs?.[index];
      return [tunnelStatus(sources, { tunnel, own, peers, config, pathMtu })];
    }),
    drops: unclaimed ? addDrops(unclaimed.decapDrops, unclaimed.encapDrops) : {},
    kernelDrops: sources.kernelDrops,
  };
}

interface Shown {
  readonly tunnel: Tunnel;
  /** Counters of the record that its device's packets begin with. */
  readonly own: RecordCounters;
  /** Those of its peers, for a tunnel with some. */
  readonly peers: readonly RecordCounters[] | undefined;
  readonly config: TunnelConfig | undefined;
  /** What its path is known to take, 0 = not known. */
  readonly pathMtu: number;
}

function tunnelStatus(sources: StatusSources, shown: Shown): TunnelStatus {
  const { tunnel, own, peers, config, pathMtu } = shown;
  const { name, mode, local, mtu } = tunnel;
  const sum = (peers ?? []).reduce(addCounters, own);
  const queueDrops = sources.queueDrops.get(name);
  const remote = remoteStatus(sources, name, config?.remote ?? tunnel.remote, tunnel.remote);
  const isUp = sources.isUp(name) && remote.downReason === undefined;
  return {
    ...{ name, mode, local, ...remote, state: isUp ? 'up' : 'down', mtu },
    ...(pathMtu === 0 ? {} : { pathMtu }),
    ...{ rx: sum.rx, tx: sum.tx, drops: addDrops(sum.decapDrops, sum.encapDrops) },
    ...(queueDrops === undefined ? {} : { queueDrops }),
    lastReceivedMs: sum.lastReceivedMs,
    ...(peers === undefined ? {} : { peers: peerStatus(sources, shown, peers) }),
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
