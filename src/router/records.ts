// What the records of the tunnel table are to the router: those of its tunnels, and those of their peers.
import { isName } from '../config/host-name.js';
import { recordsOf } from '../packet/peers.js';
import type { Tunnel } from '../packet/tunnel.js';
import { byRecord, type Fleet } from './fleet.js';

/** A record of the table, at its place minus 1. */
export interface RouterRecord {
  /** The tunnel, or what it is with one of its peers alone. Its remote is the host name while that has no address. */
  readonly tunnel: Tunnel;
  /** Name of the network device it is bound to. */
  readonly dev: string | undefined;
}

/** By record; undefined: nobody's. */
export type RouterRecords = readonly (RouterRecord | undefined)[];

export function routerRecords(fleet: Fleet): RouterRecords {
  const configs = byRecord(fleet, ({ config }) => config);
  const named = byRecord(fleet, ({ config, tunnel }) => {
    const { peers } = tunnel;
    if (peers === undefined) return tunnel;
    const withNames = peers.map((peer, at) => ({
      ...peer,
      remote: peer.remote ?? config.peers[at]?.remote ?? null,
    }));
    return { ...tunnel, peers: withNames };
  });
  return recordsOf(named).map(({ tunnel, device }) =>
    tunnel === undefined ? undefined : { tunnel, dev: configs[device - 1]?.dev },
  );
}

/** The tunnels by record as the table takes them: one without an address is a hole. */
export function tableTunnels(fleet: Fleet): (Tunnel | undefined)[] {
  return byRecord(fleet, ({ tunnel }) => (isName(tunnel.remote) ? undefined : tunnel));
}

/** The tunnels of all records, as sockets are opened for them. */
export function recordTunnels(records: RouterRecords): (Tunnel | undefined)[] {
  return records.map((record) => record?.tunnel);
}

/** Records of both that have another remote in `after`. */
export function changedRecords(before: RouterRecords, after: RouterRecords): Set<number> {
  const changed = new Set<number>();
  for (const [index, record] of after.entries()) {
    const was = before[index];
    if (record === undefined || was === undefined) continue;
    if (was.tunnel.remote !== record.tunnel.remote) changed.add(index + 1);
  }
  return changed;
}

/** Records that one of both has alone. */
export function unsharedRecords(before: RouterRecords, after: RouterRecords): Set<number> {
  const alone = new Set<number>();
  for (let index = 0; index < Math.max(before.length, after.length); index++) {
    if ((before[index] === undefined) !== (after[index] === undefined)) alone.add(index + 1);
  }
  return alone;
}

/** Tunnels, and what they are with single peers, whose records nobody has in `after`. */
export function goneTunnels(before: RouterRecords, after: RouterRecords): Map<number, Tunnel> {
  return new Map(
    before.flatMap((record, index): [number, Tunnel][] => {
      const isGone = record !== undefined && after[index] === undefined;
      return isGone ? [[index + 1, record.tunnel]] : [];
    }),
  );
}
