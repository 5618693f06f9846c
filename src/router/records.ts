// What the records of the tunnel table are to the router: the tunnels of its config first, behind them their peers.
import type { TunnelConfig } from '../config/config.js';
import { isName } from '../config/host-name.js';
import type { TunnelChange } from '../lane/tunnels.js';
import { recordsOf } from '../packet/peers.js';
import type { Tunnel } from '../packet/tunnel.js';

/** A record of the table, at its place minus 1. */
export interface RouterRecord {
  /** The tunnel, or what it is with one of its peers alone. Its remote is the host name while that has no address. */
  readonly tunnel: Tunnel;
  /** Name of the network device it is bound to. */
  readonly dev: string | undefined;
}

/** `tunnels`: those of `configs`, in the same order. */
export function routerRecords(
  configs: readonly TunnelConfig[],
  tunnels: readonly Tunnel[],
): RouterRecord[] {
  const named = tunnels.map((tunnel, index) => {
    const { peers } = tunnel;
    if (peers === undefined) return tunnel;
    const written = configs[index]?.peers ?? [];
    const withNames = peers.map((peer, at) => ({
      ...peer,
      remote: peer.remote ?? written[at]?.remote ?? null,
    }));
    return { ...tunnel, peers: withNames };
  });
  return recordsOf(named).flatMap(({ tunnel, device }) =>
    tunnel === undefined ? [] : [{ tunnel, dev: configs[device - 1]?.dev }],
  );
}

/** The tunnels as the table takes them: one without an address is a hole. */
export function tableTunnels(tunnels: readonly Tunnel[]): (Tunnel | undefined)[] {
  return tunnels.map((tunnel) => (isName(tunnel.remote) ? undefined : tunnel));
}

/** Of `tunnels`, as the table takes them, those that have one of these records, or whose peer has. */
export function changedTunnels(
  tunnels: readonly (Tunnel | undefined)[],
  changed: ReadonlySet<number>,
): TunnelChange[] {
  const owners = recordsOf(tunnels).flatMap(({ device }, index) =>
    changed.has(index + 1) ? [device] : [],
  );
  return [...new Set(owners)].map((record) => [record - 1, tunnels[record - 1]]);
}

/** Records that have another remote in `after`, which is as long as `before`. */
export function changedRecords(
  before: readonly RouterRecord[],
  after: readonly RouterRecord[],
): Set<number> {
  const changed = new Set<number>();
  for (const [index, { tunnel }] of after.entries()) {
    if (before[index]?.tunnel.remote !== tunnel.remote) changed.add(index + 1);
  }
  return changed;
}
