import { isGre, type Tunnel } from '../packet/tunnel.js';
import type { MemoryPlan } from '../ring/plan.js';
import { addDrops, type Counters, type RecordCounters, readCounters } from '../tunnel/counters.js';
import { addKernelDrops } from '../underlay/kernel-drops.js';
import type {
  KernelDrops,
  RouterMetrics,
  RouterStatus,
  TunnelMetrics,
  TunnelStatus,
} from './contract.js';

export interface StatusSources {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly tunnels: readonly Tunnel[];
  readonly isUp: (name: string) => boolean;
  readonly codec: string;
  readonly underlay: string;
  readonly lanes: number;
  /** When the router was started, ms since 1970. */
  readonly startedMs: number;
  /** By lane; undefined: it does not answer. */
  readonly kernelDrops: readonly (KernelDrops | undefined)[];
  /** By the name of a tunnel's device. */
  readonly queueDrops: ReadonlyMap<string, number>;
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
    lastReload: { isSuccessful: true, successMs: sources.startedMs },
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
    drops: unclaimed ? addDrops(unclaimed.decapDrops, unclaimed.encapDrops) : {},
    kernelDrops: addKernelDrops(sources.kernelDrops.filter((answer) => answer !== undefined)),
  };
}

type Describe<T> = (sources: StatusSources, tunnel: Tunnel, record: RecordCounters) => T;

function mapTunnels<T>(sources: StatusSources, counters: Counters, describe: Describe<T>): T[] {
  return sources.tunnels.flatMap((tunnel, index): T[] => {
    const record = counters.records[index + 1];
    return record === undefined ? [] : [describe(sources, tunnel, record)];
  });
}

function tunnelStatus(
  { isUp, queueDrops }: StatusSources,
  tunnel: Tunnel,
  record: RecordCounters,
): TunnelStatus {
  const lost = queueDrops.get(tunnel.name);
  return {
    name: tunnel.name,
    mode: tunnel.mode,
    local: tunnel.local,
    remote: tunnel.remote,
    state: isUp(tunnel.name) ? 'up' : 'down',
    mtu: tunnel.mtu,
    rx: record.rx,
    tx: record.tx,
    drops: addDrops(record.decapDrops, record.encapDrops),
    ...(lost === undefined ? {} : { queueDrops: lost }),
    lastReceivedMs: record.lastReceivedMs,
  };
}

function tunnelMetrics(
  sources: StatusSources,
  tunnel: Tunnel,
  record: RecordCounters,
): TunnelMetrics {
  const { keyIn, keyOut } = isGre(tunnel) ? tunnel : {};
  return {
    ...tunnelStatus(sources, tunnel, record),
    decapDrops: record.decapDrops,
    encapDrops: record.encapDrops,
    ...(keyIn === undefined ? {} : { keyIn }),
    ...(keyOut === undefined ? {} : { keyOut }),
  };
}
