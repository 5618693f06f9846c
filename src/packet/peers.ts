// Tunnels with several peers: which records they take, and which peer a packet is for.
import { type Block, contains, isMapped } from './address.js';
import type { Table } from './table.js';
import type { Tunnel } from './tunnel.js';

/** What a record of a table stands for. */
export interface RecordOwner {
  /** The tunnel, or a tunnel that is one peer's share of it; undefined for a hole. */
  readonly tunnel: Tunnel | undefined;
  /** Record of the tunnel whose device it has: its own, but for a peer. */
  readonly device: number;
}

/** A network behind a peer. */
export interface PeerRoute {
  readonly block: Block;
  /** The peer's. */
  readonly record: number;
}

/** Records of the peers of one tunnel. */
export interface PeerRange {
  /** Record of the tunnel whose device they have. */
  readonly device: number;
  readonly first: number;
  readonly count: number;
}

/** Where the records of peers lie, for each tunnel that has some. */
export function peerRanges(tunnels: readonly (Tunnel | undefined)[]): PeerRange[] {
  const ranges: PeerRange[] = [];
  let next = tunnels.length + 1;
  for (const [index, tunnel] of tunnels.entries()) {
    const count = tunnel?.peers?.length ?? 0;
    if (count === 0) continue;
    const first = tunnel?.peersAt ?? next;
    ranges.push({ device: index + 1, first, count });
    if (tunnel?.peersAt === undefined) next += count;
  }
  return ranges;
}

/**
 * What every record stands for, record 1 first: the tunnels at their places, the peers of each where it says, or else
 * behind all tunnels in their order.
 */
export function recordsOf(tunnels: readonly (Tunnel | undefined)[]): RecordOwner[] {
  const owners: RecordOwner[] = tunnels.map((tunnel, index) => ({ tunnel, device: index + 1 }));
  for (const { device, first } of peerRanges(tunnels)) {
    const tunnel = tunnels[device - 1];
    const peers = tunnel === undefined ? [] : peerTunnels(tunnel);
    while (owners.length < first - 1) {
      owners.push({ tunnel: undefined, device: owners.length + 1 });
    }
    for (const [index, peer] of peers.entries()) {
      owners[first - 1 + index] = { tunnel: peer, device };
    }
  }
  return owners;
}

/** The tunnel of each peer alone; undefined while its address is not known. */
export function peerTunnels(tunnel: Tunnel): (Tunnel | undefined)[] {
  const { peers = [], peersAt: _, ...shared } = tunnel;
  return peers.map(({ remote, routes }) => {
    if (remote === null) return undefined;
    return { ...shared, remote, allow: tunnel.allow === 'any' ? 'any' : routes };
  });
}

/**
 * The record that a sound packet to `destination` leaves by when it comes out of the device of `record`: that of the
 * peer with the longest prefix, or the tunnel's own where it has no such peer.
 */
export function recordFor(table: Table, record: number, destination: Uint8Array): number {
  const routes = table.entries[record - 1]?.routes ?? [];
  // Never on the wire (RFC 4213, 3.6), and no peer's to have.
  if (destination.length === 16 && isMapped(destination)) return record;
  let best: PeerRoute | undefined;
  for (const route of routes) {
    if (!contains(route.block, destination)) continue;
    if (best === undefined || route.block.bits > best.block.bits) best = route;
  }
  return best?.record ?? record;
}
