// One tunnel <-> its record in a table image: the numbers of asm/layout.ts and, in wire order, the
// outer header of its packets with everything in it that no packet changes.

import {
  FLAG_ALLOW_ANY,
  FLAG_ALLOW_LINK_LOCAL,
  FLAG_CHECKSUM_IN,
  FLAG_CHECKSUM_OUT,
  FLAG_ECN_COMPATIBILITY,
  FLAG_ENCAP_LIMIT,
  FLAG_ETHERNET,
  FLAG_FLOW_HASH,
  FLAG_FLOW_INHERIT,
  FLAG_GROUP,
  FLAG_IGNORE_DF,
  FLAG_KEEPALIVE,
  FLAG_KEY_IN,
  FLAG_LINUX,
  FLAG_ONLY4,
  FLAG_ONLY6,
  FLAG_OVER6,
  FLAG_PEERS,
  FLAG_PMTUDISC,
  FLAG_REFLECT,
  FLAG_REORDER,
  FLAG_SEQUENCE_IN,
  FLAG_SEQUENCE_OUT,
  FLAG_TOS_IN,
  FLAG_TOS_INHERIT,
  FLAG_TTL_IN,
  FLAG_TTL_INHERIT,
  FLAG_UDP,
  FLAG_UP,
  MODE_GRE,
  MODE_GRE_UDP,
  MODE_GRETAP,
  MODE_IPIP,
  MODE_OVER6,
  MODE_SIT,
  RECORD_FLAGS,
  RECORD_GRE,
  RECORD_KEY_IN,
  RECORD_LINK,
  RECORD_LOCAL,
  RECORD_MODE,
  RECORD_MSS4,
  RECORD_MSS6,
  RECORD_MTU,
  RECORD_OUTER,
  RECORD_OUTER_LENGTH,
  RECORD_PROBE,
  RECORD_PROBE_TARGET,
  RECORD_REMOTE,
} from '../../asm/layout.js';
import { addressBytes, formatIpv4, formatIpv6, isMapped, parseAddress } from '../packet/address.js';
import { encapLimitHeader } from '../packet/encap-limit.js';
import { DESTINATION_OPTIONS, IPV6_HEADER } from '../packet/ipv6.js';
import { PROTOCOL_OF } from '../packet/outer-header.js';
import {
  allowsLinkLocal,
  endpoint,
  hasPeers,
  isGroup,
  isToGroup,
  mssOf,
  mtuOf,
} from '../packet/table.js';
import {
  carries,
  type GreTunnel,
  isGre,
  type Mode,
  outerLength,
  type Prefix,
  type Reorder,
  type Tunnel,
  versionOf,
} from '../packet/tunnel.js';
import { GRE_UDP_PORT, sourcePortOf, UDP_HEADER } from '../packet/udp.js';
import { EXIT, Failure } from '../sys/failure.js';

const NUMBER: Readonly<Record<Mode, number>> = {
  gre: MODE_GRE,
  gretap: MODE_GRETAP,
  ipip: MODE_IPIP,
  sit: MODE_SIT,
  'gre-udp': MODE_GRE_UDP,
  ip6gre: MODE_GRE | MODE_OVER6,
  ip6gretap: MODE_GRETAP | MODE_OVER6,
  ip4ip6: MODE_IPIP | MODE_OVER6,
  ip6ip6: MODE_SIT | MODE_OVER6,
};
const NAMES: ReadonlyMap<number, Mode> = new Map([
  ...Object.entries(NUMBER).map(([name, number]) => [number, name as Mode] as const),
  [MODE_GRE_UDP | MODE_OVER6, 'gre-udp'],
]);

const GRE_CHECKSUM = 0x8000;
const GRE_KEY = 0x2000;
const GRE_SEQUENCE = 0x1000;
const FLOW_LABEL = 0xfffff;
/** A record only says that packets wait: for how long is the lane's business. */
const UNTOLD: Reorder = { packets: 0, timeMs: 0 };
/** Where in the options header the limit stands. */
const LIMIT_OFFSET = 4;

/** RECORD_MODE of a tunnel. */
export function modeNumber(tunnel: Tunnel): number {
  const over6 = versionOf(tunnel) === 6 ? MODE_OVER6 : 0;
  return NUMBER[tunnel.mode] | over6;
}

/**
 * Writes `tunnel` as the record at `address` of the dataplane's memory, which must be zero. RECORD_PREFIXES and
 * RECORD_PREFIX_COUNT are the table's to write.
 */
export function encodeRecord(bytes: Uint8Array, address: number, tunnel: Tunnel): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const { local, remote } = matchOf(tunnel);
  view.setUint32(address + RECORD_MODE, modeNumber(tunnel), true);
  view.setUint32(address + RECORD_FLAGS, flagsOf(tunnel), true);
  view.setUint32(address + RECORD_MTU, mtuOf(tunnel), true);
  view.setUint32(address + RECORD_LINK, tunnel.link, true);
  if (local !== null) writeMapped(bytes, address + RECORD_LOCAL, local);
  if (remote !== null) writeMapped(bytes, address + RECORD_REMOTE, remote);
  if (isGre(tunnel)) view.setUint32(address + RECORD_KEY_IN, tunnel.keyIn ?? 0, true);
  view.setUint32(address + RECORD_OUTER_LENGTH, outerLength(tunnel), true);
  view.setUint16(address + RECORD_MSS4, mssOf(tunnel, 4), true);
  view.setUint16(address + RECORD_MSS6, mssOf(tunnel, 6), true);
  if (tunnel.probe !== undefined) writeProbe(bytes, address, tunnel.probe);
  const outer = bytes.subarray(address + RECORD_OUTER);
  const length = versionOf(tunnel) === 4 ? writeOuter4(outer, tunnel) : writeOuter6(outer, tunnel);
  if (!isGre(tunnel)) return;
  const isUdp = tunnel.mode === 'gre-udp';
  if (isUdp) {
    view.setUint16(address + RECORD_OUTER + length, sourcePortOf(tunnel));
    view.setUint16(address + RECORD_OUTER + length + 2, GRE_UDP_PORT);
  }
  const start = length + (isUdp ? UDP_HEADER : 0);
  view.setUint16(address + RECORD_GRE, start, true);
  writeGre(view, address + RECORD_OUTER + start, tunnel);
}

function writeProbe(
  bytes: Uint8Array,
  address: number,
  { target, identifier }: NonNullable<Tunnel['probe']>,
): void {
  const asked = parseAddress(target);
  if (asked === null) throw new RangeError(`${target} is no address to probe`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint16(address + RECORD_PROBE, identifier, true);
  writeMapped(bytes, address + RECORD_PROBE_TARGET, addressBytes(asked));
}

/** An endpoint in wire order, null for `any`. Throws a Failure for an address that the mode cannot have. */
export function outerAddress(tunnel: Tunnel, end: 'local' | 'remote'): Uint8Array | null {
  try {
    return endpoint(tunnel, end);
  } catch {
    const version = versionOf(tunnel);
    throw new Failure(
      EXIT.config,
      `tunnel ${tunnel.name}: ${end} ${JSON.stringify(tunnel[end])} is no IPv${version} address`,
      `write ${end} as an address such as ${version === 4 ? '192.0.2.1' : '2001:db8::1'}, or "any"`,
    );
  }
}

/** What a tunnel's received packets have for outer destination and source; null: any. */
export function matchOf(tunnel: Tunnel): { local: Uint8Array | null; remote: Uint8Array | null } {
  const local = outerAddress(tunnel, 'local');
  const remote = outerAddress(tunnel, 'remote');
  // A group's packets are addressed to it, by any of its members.
  return remote !== null && isGroup(remote) ? { local: remote, remote: null } : { local, remote };
}

/** Writes 16 address bytes, IPv4 as ::ffff:a.b.c.d. The target must be zero. */
export function writeMapped(target: Uint8Array, offset: number, bytes: Uint8Array): void {
  if (bytes.length === 16) {
    target.set(bytes, offset);
    return;
  }
  target.fill(0xff, offset + 10, offset + 12);
  target.set(bytes, offset + 12);
}

function flagsOf(tunnel: Tunnel): number {
  const carried = carries(tunnel.mode);
  const over6 = versionOf(tunnel) === 6;
  const isSet: readonly (readonly [boolean, number])[] = [
    [over6, FLAG_OVER6],
    [carried === 'ethernet', FLAG_ETHERNET],
    [carried === 4, FLAG_ONLY4],
    [carried === 6, FLAG_ONLY6],
    [tunnel.ttl === 'inherit', FLAG_TTL_INHERIT],
    [tunnel.ttlIn === 'inherit', FLAG_TTL_IN],
    [tunnel.tos === 'inherit', FLAG_TOS_INHERIT],
    [tunnel.tosIn === 'inherit', FLAG_TOS_IN],
    [tunnel.ecn === 'compatibility', FLAG_ECN_COMPATIBILITY],
    [tunnel.pmtudisc, FLAG_PMTUDISC],
    [tunnel.ignoreDf === true, FLAG_IGNORE_DF],
    [over6 && tunnel.encapLimit !== undefined, FLAG_ENCAP_LIMIT],
    [tunnel.flowLabel === 'inherit', FLAG_FLOW_INHERIT],
    [tunnel.flowLabel === 'flow', FLAG_FLOW_HASH],
    [tunnel.allow === 'any', FLAG_ALLOW_ANY],
    [allowsLinkLocal(tunnel), FLAG_ALLOW_LINK_LOCAL],
    [tunnel.profile === 'linux', FLAG_LINUX],
    [tunnel.mode === 'gre-udp', FLAG_UDP],
    [hasPeers(tunnel), FLAG_PEERS],
    [isToGroup(tunnel), FLAG_GROUP],
    [tunnel.reflect === true, FLAG_REFLECT],
    [tunnel.keepalive === true, FLAG_KEEPALIVE],
    [isGre(tunnel) && tunnel.keyIn !== undefined, FLAG_KEY_IN],
    [isGre(tunnel) && tunnel.checksumIn === true, FLAG_CHECKSUM_IN],
    [isGre(tunnel) && tunnel.checksumOut, FLAG_CHECKSUM_OUT],
    [isGre(tunnel) && tunnel.sequenceIn, FLAG_SEQUENCE_IN],
    [isGre(tunnel) && tunnel.sequenceOut, FLAG_SEQUENCE_OUT],
    [isGre(tunnel) && tunnel.reorder !== undefined, FLAG_REORDER],
  ];
  return isSet.reduce((flags, [is, flag]) => (is ? flags | flag : flags), FLAG_UP);
}

/** Writes the outer IPv4 header; fields that follow the packet stay 0. Returns its length. */
function writeOuter4(outer: Uint8Array, tunnel: Tunnel): number {
  const addresses = [outerAddress(tunnel, 'local'), outerAddress(tunnel, 'remote')];
  outer[0] = 0x45;
  outer[1] = tunnel.tos === 'inherit' ? 0 : tunnel.tos & 0xfc;
  outer[8] = tunnel.ttl === 'inherit' ? 0 : tunnel.ttl;
  outer[9] = PROTOCOL_OF[tunnel.mode];
  for (const [index, address] of addresses.entries())
    if (address) outer.set(address, 12 + index * 4);
  return 20;
}

/** The same for IPv6, with the options header behind it where there is one. */
function writeOuter6(outer: Uint8Array, tunnel: Tunnel): number {
  const protocol = PROTOCOL_OF[tunnel.mode];
  const addresses = [outerAddress(tunnel, 'local'), outerAddress(tunnel, 'remote')];
  const tos = tunnel.tos === 'inherit' ? 0 : tunnel.tos & 0xfc;
  const label = typeof tunnel.flowLabel === 'number' ? tunnel.flowLabel : 0;
  const view = new DataView(outer.buffer, outer.byteOffset);
  view.setUint32(0, (6 << 28) | (tos << 20) | label);
  outer[6] = tunnel.encapLimit === undefined ? protocol : DESTINATION_OPTIONS;
  outer[7] = tunnel.ttl === 'inherit' ? 0 : tunnel.ttl;
  for (const [index, address] of addresses.entries())
    if (address) outer.set(address, 8 + index * 16);
  if (tunnel.encapLimit === undefined) return IPV6_HEADER;
  const options = encapLimitHeader(protocol, tunnel.encapLimit);
  outer.set(options, IPV6_HEADER);
  return IPV6_HEADER + options.length;
}

function writeGre(view: DataView, gre: number, tunnel: Tunnel): void {
  if (!isGre(tunnel)) return;
  let flags = 0;
  if (tunnel.checksumOut) flags |= GRE_CHECKSUM;
  if (tunnel.keyOut !== undefined) flags |= GRE_KEY;
  if (tunnel.sequenceOut) flags |= GRE_SEQUENCE;
  view.setUint16(gre, flags);
  if (tunnel.keyOut === undefined) return;
  view.setUint32(gre + (tunnel.checksumOut ? 8 : 4), tunnel.keyOut);
}

/**
 * Reads the record at `address`; undefined for a hole or a tunnel that is down. What a record does not
 * hold is given: the name, the accepted sources, and the device's addresses.
 */
export function decodeRecord(
  view: DataView,
  address: number,
  given: { name: string; allow: readonly Prefix[]; addresses: readonly Prefix[] },
): Tunnel | undefined {
  const mode = NAMES.get(view.getUint32(address + RECORD_MODE, true));
  const flags = view.getUint32(address + RECORD_FLAGS, true);
  if (mode === undefined || (flags & FLAG_UP) === 0) return undefined;
  const outer = address + RECORD_OUTER;
  const own = flags & FLAG_OVER6 ? readOuter6(view, outer, flags) : readOuter4(view, outer);
  const { ttl, tos, ...endpoints } = own;
  const base = {
    ...given,
    ...endpoints,
    ttl: flags & FLAG_TTL_INHERIT ? 'inherit' : ttl,
    ttlIn: flags & FLAG_TTL_IN ? 'inherit' : 'keep',
    tos: flags & FLAG_TOS_INHERIT ? 'inherit' : tos,
    tosIn: flags & FLAG_TOS_IN ? 'inherit' : 'keep',
    ecn: flags & FLAG_ECN_COMPATIBILITY ? 'compatibility' : 'normal',
    pmtudisc: (flags & FLAG_PMTUDISC) !== 0,
    ignoreDf: (flags & FLAG_IGNORE_DF) !== 0,
    mtu: view.getUint32(address + RECORD_MTU, true),
    link: view.getUint32(address + RECORD_LINK, true),
    allow: flags & FLAG_ALLOW_ANY ? 'any' : given.allow,
    keepalive: (flags & FLAG_KEEPALIVE) !== 0,
    ...readProbe(view, address),
    reflect: (flags & FLAG_REFLECT) !== 0,
    profile: flags & FLAG_LINUX ? 'linux' : 'rfc',
  } as const;
  if (mode === 'ipip' || mode === 'sit' || mode === 'ip4ip6' || mode === 'ip6ip6') {
    return { ...base, mode };
  }
  const gre = outer + view.getUint16(address + RECORD_GRE, true);
  const greFlags = view.getUint16(gre);
  const key = view.getUint32(gre + (greFlags & GRE_CHECKSUM ? 8 : 4));
  return {
    ...base,
    mode,
    ...(flags & FLAG_KEY_IN ? { keyIn: view.getUint32(address + RECORD_KEY_IN, true) } : {}),
    ...(greFlags & GRE_KEY ? { keyOut: key } : {}),
    checksumIn: (flags & FLAG_CHECKSUM_IN) !== 0,
    checksumOut: (flags & FLAG_CHECKSUM_OUT) !== 0,
    sequenceIn: (flags & FLAG_SEQUENCE_IN) !== 0,
    ...(flags & FLAG_REORDER ? { reorder: UNTOLD } : {}),
    sequenceOut: (flags & FLAG_SEQUENCE_OUT) !== 0,
    ...(mode === 'gre-udp' ? readSourcePort(view, gre) : {}),
  };
}

function readSourcePort(view: DataView, gre: number): Pick<GreTunnel, 'sourcePort'> {
  const port = view.getUint16(gre - UDP_HEADER);
  return port === 0 ? {} : { sourcePort: port };
}

function readProbe(view: DataView, address: number): Pick<Tunnel, 'probe'> {
  const identifier = view.getUint16(address + RECORD_PROBE, true);
  if (identifier === 0) return {};
  const start = view.byteOffset + address + RECORD_PROBE_TARGET;
  const bytes = new Uint8Array(view.buffer, start, 16).slice();
  const target = isMapped(bytes)
    ? formatIpv4(new DataView(bytes.buffer).getUint32(12))
    : formatIpv6(bytes);
  return { probe: { target, identifier } };
}

/** Largest TCP segments that the record at `address` lets pass. */
export function decodeMss(view: DataView, address: number): { 4: number; 6: number } {
  return {
    4: view.getUint16(address + RECORD_MSS4, true),
    6: view.getUint16(address + RECORD_MSS6, true),
  };
}

function readOuter4(view: DataView, outer: number) {
  const address = (offset: number): string => {
    const value = view.getUint32(outer + offset);
    return value === 0 ? 'any' : formatIpv4(value);
  };
  return {
    local: address(12),
    remote: address(16),
    ttl: view.getUint8(outer + 8),
    tos: view.getUint8(outer + 1),
  };
}

function flowLabelOf(flags: number, first: number): number | 'inherit' | 'flow' {
  if (flags & FLAG_FLOW_INHERIT) return 'inherit';
  return flags & FLAG_FLOW_HASH ? 'flow' : first & FLOW_LABEL;
}

function readOuter6(view: DataView, outer: number, flags: number) {
  const address = (offset: number): string => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset + outer + offset, 16).slice();
    return bytes.every((byte) => byte === 0) ? 'any' : formatIpv6(bytes);
  };
  const first = view.getUint32(outer);
  const limit = view.getUint8(outer + IPV6_HEADER + LIMIT_OFFSET);
  return {
    local: address(8),
    remote: address(24),
    ttl: view.getUint8(outer + 7),
    tos: (first >>> 20) & 0xff,
    ...(flags & FLAG_ENCAP_LIMIT ? { encapLimit: limit } : {}),
    flowLabel: flowLabelOf(flags, first),
  };
}
