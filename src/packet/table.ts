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
import { u32 } from './bytes.js';
import { isLinkLocal4 } from './ipv4.js';
import { overhead, type Prefix, type Tunnel } from './tunnel.js';

/** Largest IPv4 packet. */
const PACKET_LIMIT = 65535;

export interface Entry {
  readonly tunnel: Tunnel;
  /** Host order, 0 = any. */
  readonly local: number;
  readonly remote: number;
  /** Inner sources accepted, besides link-local IPv6. */
  readonly allow: readonly Block[] | 'any';
  /** Whether 169.254.0.0/16 may pass inside. */
  readonly allowsLinkLocal: boolean;
  /** Largest inner packet that also fits the outer header's length field. */
  readonly mtu: number;
}

export interface Table {
  /** Tunnel i is record i + 1; undefined is a hole. */
  readonly entries: readonly (Entry | undefined)[];
  /** Local endpoints of tunnels, as text. */
  readonly ownOuter: ReadonlySet<string>;
  /** Addresses of tunnel devices, as text. */
  readonly ownInner: ReadonlySet<string>;
}

/** What functions take as tunnels: a list, or for many packets the table made of it once. */
export type Tunnels = readonly (Tunnel | undefined)[] | Table;

/**
 * Makes a table of `tunnels`, to be used for many packets. Throws RangeError for an address or prefix
 * that is none.
 */
export function createTable(tunnels: readonly (Tunnel | undefined)[]): Table {
  const ownOuter = new Set<string>();
  const ownInner = new Set<string>();
  const entries = tunnels.map((tunnel) => {
    if (tunnel === undefined) return undefined;
    if (tunnel.local !== 'any') ownOuter.add(tunnel.local);
    for (const { address } of tunnel.addresses) {
      const parsed = parseAddress(address);
      if (parsed === null) throw new RangeError(`${tunnel.name}: ${address} is no address`);
      ownInner.add(ownName(addressBytes(parsed)));
    }
    return createEntry(tunnel);
  });
  return { entries, ownOuter, ownInner };
}

/** The table of `tunnels`: itself, or made for this call. */
export function toTable(tunnels: Tunnels): Table {
  return 'ownOuter' in tunnels ? tunnels : createTable(tunnels);
}

export function createEntry(tunnel: Tunnel): Entry {
  return {
    tunnel,
    local: endpoint(tunnel, tunnel.local),
    remote: endpoint(tunnel, tunnel.remote),
    allow: tunnel.allow === 'any' ? 'any' : tunnel.allow.map((prefix) => block(tunnel, prefix)),
    allowsLinkLocal: allowsLinkLocal(tunnel),
    mtu: mtuOf(tunnel),
  };
}

/** The tunnel's MTU, or less where packet and outer headers would pass 65535 bytes. */
export function mtuOf(tunnel: Tunnel): number {
  return Math.min(tunnel.mtu, PACKET_LIMIT - overhead(tunnel));
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

function endpoint(tunnel: Tunnel, text: string): number {
  if (text === 'any') return 0;
  const value = parseIpv4(text);
  if (value === null) throw new RangeError(`${tunnel.name}: ${text} is no IPv4 address`);
  return value;
}

function block(tunnel: Tunnel, prefix: Prefix): Block {
  const made = toBlock(prefix);
  if (made === null) {
    throw new RangeError(`${tunnel.name}: ${prefix.address}/${prefix.bits} is no address block`);
  }
  return made;
}
