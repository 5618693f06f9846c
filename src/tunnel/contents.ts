// What a table image holds beside the records: addresses of our own, and networks behind peers.
import { OWN_INNER, OWN_OUTER } from '../../asm/layout.js';
import { addressBytes, parseAddress, toBlock } from '../packet/address.js';
import { type PeerRoute, peerRanges } from '../packet/peers.js';
import { ownName, routesOf } from '../packet/table.js';
import type { Prefix, Tunnel } from '../packet/tunnel.js';
import { OWN_COUNT, ROUTE_COUNT } from '../ring/plan.js';
import { EXIT, Failure } from '../sys/failure.js';
import { outerAddress } from './record.js';

export interface OwnAddress {
  readonly bytes: Uint8Array;
  readonly flags: number;
}

/** Every local endpoint and every device address, once, with what it is. */
export function collectOwn(tunnels: readonly (Tunnel | undefined)[]): Map<string, OwnAddress> {
  const own = new Map<string, OwnAddress>();
  const add = (bytes: Uint8Array, flag: number): void => {
    const name = ownName(bytes);
    own.set(name, { bytes, flags: (own.get(name)?.flags ?? 0) | flag });
  };
  for (const tunnel of tunnels) {
    if (tunnel === undefined) continue;
    const local = outerAddress(tunnel, 'local');
    if (local !== null) add(local, OWN_OUTER);
    for (const prefix of tunnel.addresses) {
      const address = parseAddress(prefix.address);
      if (address === null) throw badPrefix(tunnel, 'address', prefix);
      add(addressBytes(address), OWN_INNER);
    }
  }
  if (own.size > OWN_COUNT / 2) {
    throw new Failure(
      EXIT.config,
      `${own.size} local and device addresses are more than a router holds (${OWN_COUNT / 2})`,
      'give the tunnel devices fewer addresses',
    );
  }
  return own;
}

export interface TunnelRoute {
  /** Record of the tunnel. */
  readonly tunnel: number;
  readonly route: PeerRoute;
}

/** What is behind the peers of all tunnels. */
export function collectRoutes(tunnels: readonly (Tunnel | undefined)[]): TunnelRoute[] {
  const routes: TunnelRoute[] = [];
  for (const { device, first } of peerRanges(tunnels)) {
    const tunnel = tunnels[device - 1];
    if (tunnel === undefined) continue;
    for (const { routes: prefixes } of tunnel.peers ?? []) {
      const wrong = prefixes.find((prefix) => toBlock(prefix) === null);
      if (wrong !== undefined) throw badPrefix(tunnel, 'peers', wrong);
    }
    for (const route of routesOf(tunnel, first)) routes.push({ tunnel: device, route });
  }
  if (routes.length > ROUTE_COUNT / 2) {
    throw new Failure(
      EXIT.config,
      `${routes.length} networks behind peers are more than a router holds (${ROUTE_COUNT / 2})`,
      'join neighbouring networks in routes',
    );
  }
  return routes;
}

export function badPrefix(tunnel: Tunnel, key: string, prefix: Prefix): Failure {
  return new Failure(
    EXIT.config,
    `tunnel ${tunnel.name}: ${key} ${prefix.address}/${prefix.bits} is no address block`,
    'write it as ADDRESS/BITS, such as 10.20.0.0/16',
  );
}
