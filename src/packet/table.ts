// Tunnels made ready for looking up: addresses as numbers, prefixes as blocks, our own addresses.
import {
  addressBytes,
  type Block,
  formatIpv4,
  formatIpv6,
  isMapped,
  parseAddress,
  parseIpv4,
  toBlock,
} from './address.js';
import { u8, u32 } from './bytes.js';
import { isLinkLocal4 } from './ipv4.js';
import { type PeerRoute, peerRanges, recordsOf } from './peers.js';
import { type Carried, carries, overhead, type Prefix, type Tunnel, versionOf } from './tunnel.js';

/** Largest IPv4 packet, and largest payload of an IPv6 packet. */
const PACKET_LIMIT = 65535;
/** IP and TCP header without options: what a segment loses of the MTU. */
const TCP_OVERHEAD = { 4: 40, 6: 60 } as const;

export interface Entry {
  readonly tunnel: Tunnel;
  /** IP version of the outer header. */
  readonly version: 4 | 6;
  readonly carries: Carried;
  /** Wire order, null = any. */
  readonly local: Uint8Array | null;
  readonly remote: Uint8Array | null;
  /** Inner sources accepted, besides link-local IPv6. */
  readonly allow: readonly Block[] | 'any';
  /** Whether 169.254.0.0/16 may pass inside. */
  readonly allowsLinkLocal: boolean;
  /** Largest inner IP packet that also fits the outer header's length field. */
  readonly mtu: number;
  /** Largest TCP segment over IPv4 and IPv6, 0 = not limited. */
  readonly mss: { readonly 4: number; readonly 6: number };
  /** What is behind its peers, for a tunnel with several: it receives nothing itself then. */
  readonly routes?: readonly PeerRoute[];
}

/** Addresses of the router, as text. */
export interface OwnAddresses {
  /** Local endpoints of tunnels. */
  readonly ownOuter: ReadonlySet<string>;
  /** Those of tunnel devices. */
  readonly ownInner: ReadonlySet<string>;
}

/** Tunnels, prepared for many packets. */
export interface Table extends OwnAddresses {
  /** Tunnel i is record i + 1, the peers of all are behind them; undefined is a hole. */
  readonly entries: readonly (Entry | undefined)[];
}

/** Those of a router that has none. */
export const NO_ADDRESSES: OwnAddresses = { ownOuter: new Set(), ownInner: new Set() };

/** What functions take as tunnels: a list, or for many packets the table made of it once. */
export type Tunnels = readonly (Tunnel | undefined)[] | Table;

/**
 * Makes a table of `tunnels`, to be used for many packets. Throws RangeError for an address or prefix
 * that is none.
 */
export function createTable(tunnels: readonly (Tunnel | undefined)[]): Table {
  const ownOuter = new Set<string>();
  const ownInner = new Set<string>();
  const firstPeers = new Map(peerRanges(tunnels).map(({ device, first }) => [device, first]));
  const entries = recordsOf(tunnels).map(({ tunnel, device }) => {
    if (tunnel === undefined) return undefined;
    const entry = createEntry(tunnel, firstPeers.get(device));
    if (entry.local !== null) ownOuter.add(ownName(entry.local));
    for (const { address } of tunnel.addresses) {
      const parsed = parseAddress(address);
      if (parsed === null) throw new RangeError(`${tunnel.name}: ${address} is no address`);
      ownInner.add(ownName(addressBytes(parsed)));
    }
    return entry;
  });
  return { entries, ownOuter, ownInner };
}

/** The table of `tunnels`: itself, or made for this call. */
export function toTable(tunnels: Tunnels): Table {
  return 'ownOuter' in tunnels ? tunnels : createTable(tunnels);
}

/** The entry of a tunnel; `peerRecord`: that of its first peer. */
export function createEntry(tunnel: Tunnel, peerRecord = 0): Entry {
  return {
    tunnel,
    version: versionOf(tunnel),
    carries: carries(tunnel.mode),
    local: endpoint(tunnel, 'local'),
    remote: endpoint(tunnel, 'remote'),
    allow: tunnel.allow === 'any' ? 'any' : tunnel.allow.map((prefix) => block(tunnel, prefix)),
    allowsLinkLocal: allowsLinkLocal(tunnel),
    mtu: mtuOf(tunnel),
    mss: { 4: mssOf(tunnel, 4), 6: mssOf(tunnel, 6) },
    ...(hasPeers(tunnel) ? { routes: routesOf(tunnel, peerRecord) } : {}),
  };
}

/** Whether a tunnel's packets go to its peers alone. */
export function hasPeers({ peers = [] }: Tunnel): boolean {
  return peers.length > 0;
}

/** What is behind the peers of a tunnel, the first of which has the record `first`. */
export function routesOf(tunnel: Tunnel, first: number): PeerRoute[] {
  const { peers = [] } = tunnel;
  return peers.flatMap(({ routes }, index) =>
    routes.map((prefix) => ({ block: block(tunnel, prefix), record: first + index })),
  );
}

/** The tunnel's MTU, or less where packet and outer headers would pass 65535 bytes. */
export function mtuOf(tunnel: Tunnel): number {
  return Math.min(tunnel.mtu, PACKET_LIMIT - overhead(tunnel));
}

/** Largest TCP segment that hosts are told of for packets of an IP version, 0 = what they say themselves. */
export function mssOf(tunnel: Tunnel, version: 4 | 6): number {
  const { mss } = tunnel;
  if (mss === undefined) return 0;
  return mss === 'auto' ? Math.max(mtuOf(tunnel) - TCP_OVERHEAD[version], 0) : mss;
}

/**
 * Whether 169.254.0.0/16 is no martian inside this tunnel: its device has such an address, or a block
 * of them is accepted. Providers number the two ends of a tunnel from there.
 */
export function allowsLinkLocal(tunnel: Tunnel): boolean {
  const accepted = tunnel.allow === 'any' ? [] : tunnel.allow.filter(({ bits }) => bits >= 16);
  return [...tunnel.addresses, ...accepted].some(({ address }) => {
    const value = parseIpv4(address);
    return value !== null && isLinkLocal4(value);
  });
}

/** An address in wire order as the sets of own addresses hold it; a mapped one is the IPv4 it stands for. */
export function ownName(bytes: Uint8Array): string {
  if (bytes.length === 4) return formatIpv4(u32(bytes, 0));
  return isMapped(bytes) ? formatIpv4(u32(bytes, 12)) : formatIpv6(bytes);
}

/** Whether an address, in wire order, is one of ours: of an end of a tunnel or of its device. */
export function isOwn({ ownOuter, ownInner }: OwnAddresses, address: Uint8Array): boolean {
  const name = ownName(address);
  return ownOuter.has(name) || ownInner.has(name);
}

/** An endpoint in wire order, null for `any`. Throws RangeError for an address of another family, or none. */
export function endpoint(tunnel: Tunnel, end: 'local' | 'remote'): Uint8Array | null {
  const text = tunnel[end];
  if (text === 'any') return null;
  const version = versionOf(tunnel);
  const address = parseAddress(text);
  if (address?.version !== version) {
    throw new RangeError(`${tunnel.name}: ${end} ${text} is no IPv${version} address`);
  }
  return addressBytes(address);
}

/** Whether an outer address stands for a group of receivers: 224.0.0.0/4 or ff00::/8. */
export function isGroup(address: Uint8Array): boolean {
  return address.length === 4 ? u8(address, 0) >>> 4 === 0xe : u8(address, 0) === 0xff;
}

/**
 * Whether packets to a tunnel's remote go to a group of receivers. A remote that is no address, `any` or a host name
 * that stands for nothing yet, is none: who needs an address there refuses it by name (`endpoint`).
 */
export function isToGroup({ remote }: Pick<Tunnel, 'remote'>): boolean {
  const address = parseAddress(remote);
  return address !== null && isGroup(addressBytes(address));
}

function block(tunnel: Tunnel, prefix: Prefix): Block {
  const made = toBlock(prefix);
  if (made === null) {
    throw new RangeError(`${tunnel.name}: ${prefix.address}/${prefix.bits} is no address block`);
  }
  return made;
}
