import type { Tunnel } from '../packet/tunnel.js';
import type { MemoryPlan } from '../ring/plan.js';
import { addDrops, readCounters } from '../tunnel/counters.js';
import type { DownReason, KernelDrops, RouterStatus, TunnelStatus } from './contract.js';

export interface StatusSources {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly tunnels: readonly Tunnel[];
  /** Why the tunnel of a record is down; undefined: it is up. */
  readonly downReason: (name: string, record: number) => DownReason | undefined;
  /** When a packet of the tunnel last ended at the router itself, ms since 1970. */
  readonly lastHeardMs: (record: number) => number | null;
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
  const unclaimed = counters.records[0];
  return {
    codec: sources.codec,
    underlay: sources.underlay,
    lanes: sources.lanes,
    uptimeSeconds: sources.uptimeSeconds,
    received: { device: counters.deviceReceived, underlay: counters.underlayReceived },
    generated: counters.generated,
    tunnels: sources.tunnels.flatMap((tunnel, index): TunnelStatus[] => {
      const record = counters.records[index + 1];
      if (record === undefined) return [];
      const down = sources.downReason(tunnel.name, index + 1);
      const queueDrops = sources.queueDrops.get(tunnel.name);
      return [
        {
          name: tunnel.name,
          mode: tunnel.mode,
          local: tunnel.local,
          remote: tunnel.remote,
          state: down === undefined ? 'up' : 'down',
          ...(down === undefined ? {} : { downReason: down }),
          mtu: tunnel.mtu,
          rx: record.rx,
          tx: record.tx,
          localPackets: record.local,
          drops: addDrops(record.decapDrops, record.encapDrops),
          ...(queueDrops === undefined ? {} : { queueDrops }),
          lastReceivedMs: latest(record.lastReceivedMs, sources.lastHeardMs(index + 1)),
        },
      ];
    }),
    drops: unclaimed ? addDrops(unclaimed.decapDrops, unclaimed.encapDrops) : {},
    kernelDrops: sources.kernelDrops,
  };
}

function latest(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.max(left, right);
}
