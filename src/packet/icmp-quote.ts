// ICMP errors of the underlay about outer packets of ours: what they say, and what of the packet they quote.
//
//   readIcmp         an IP packet -> its ICMP message
//   readIcmpError    the message -> the error, with the outer packet quoted in it as far as it is there
//   errorTunnel      the tunnel that sent such a packet
//
// Nothing in a quote is to be believed: whoever can send us a packet can forge one.
import { u8, u16, u32 } from './bytes.js';
import { isValid } from './checksum.js';
import { GRE_CHECKSUM, GRE_KEY, GRE_ROUTING, GRE_VERSION, greLength, readGre } from './gre.js';
import {
  IPV4_HEADER,
  isIpv4,
  PROTOCOL_GRE,
  PROTOCOL_IPIP,
  PROTOCOL_SIT,
  PROTOCOL_UDP,
  readIpv4,
} from './ipv4.js';
import { IPV6_HEADER, readIpv6, walkExtensions } from './ipv6.js';
import { PROTOCOL_OF } from './outer-header.js';
import { type Entry, ownName, type Table } from './table.js';
import { isGre, type Tunnel } from './tunnel.js';
import { GRE_UDP_PORT, UDP_HEADER } from './udp.js';

const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMP6 = 58;
const ICMP_HEADER = 8;
/** MTUs of networks that there were, for routers that do not tell theirs (RFC 1191, 7.1). */
const PLATEAUS = [65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

export interface IcmpMessage {
  readonly version: 4 | 6;
  /** Whom it is for; wire order. */
  readonly destination: Uint8Array;
  readonly bytes: Uint8Array;
}

/** What is said of the packet quoted. */
export type Told =
  /** Larger than `mtu` (of the outer packet). */
  | { readonly kind: 'too-big'; readonly mtu: number }
  /** It did not get there: the network, the host, or what it is for on the host. */
  | { readonly kind: 'unreachable'; readonly what: 'network' | 'host' | 'protocol' | 'port' }
  | { readonly kind: 'time-exceeded' }
  /** Of no consequence for a tunnel. */
  | { readonly kind: 'other' };

/** An outer packet as far as it is quoted. */
export interface Quote {
  readonly version: 4 | 6;
  /** Wire order. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** Null: it has none; undefined: it is not quoted. */
  readonly key: number | null | undefined;
  /** GRE announces a frame; undefined: not quoted, or no GRE. */
  readonly isFrame: boolean | undefined;
  /** The inner packet or frame, of which the end may be missing. */
  readonly inner: Uint8Array;
}

export interface QuotedError {
  readonly told: Told;
  readonly quote: Quote;
}

/** The ICMP message of an IP packet, or null: it is none, is not whole, or its checksum is wrong. */
export function readIcmp(packet: Uint8Array): IcmpMessage | null {
  if (u8(packet, 0) >>> 4 === 4) {
    if (!isIpv4(packet)) return null;
    const { headerLength, totalLength, protocol, isFragment } = readIpv4(packet);
    if (protocol !== PROTOCOL_ICMP || isFragment) return null;
    const bytes = packet.subarray(headerLength, totalLength);
    return isValid(bytes) ? { version: 4, destination: packet.subarray(16, 20), bytes } : null;
  }
  if (packet.length < IPV6_HEADER) return null;
  const { destination, payloadLength, nextHeader } = readIpv6(packet);
  const end = IPV6_HEADER + payloadLength;
  if (nextHeader !== PROTOCOL_ICMP6 || end > packet.length) return null;
  // Whose kernel checked the sum: a socket hands over no message whose sum is wrong.
  return { version: 6, destination, bytes: packet.subarray(IPV6_HEADER, end) };
}

/**
 * The error that a message brings about a packet of a tunnel protocol; null: it is about something else, or no error.
 * `icmp-malformed`: such a packet is quoted in a way that none is.
 */
export function readIcmpError(message: IcmpMessage): QuotedError | 'icmp-malformed' | null {
  const { version, bytes } = message;
  const type = u8(bytes, 0);
  if (!(version === 4 ? [3, 11, 12] : [1, 2, 3, 4]).includes(type)) return null;
  const quoted = quotedBytes(message);
  const outer = version === 4 ? readQuoted4(quoted) : readQuoted6(quoted);
  if (outer === null) return 'icmp-malformed';
  if (!isTunnelProtocol(outer)) return null;
  // An error is for who sent the packet. One for another address of ours came by another way, such as a tunnel.
  if (ownName(outer.source) !== ownName(message.destination)) return 'icmp-malformed';
  const carried = readCarried(outer);
  if (carried === null) return 'icmp-malformed';
  const { source, destination, protocol } = outer;
  const told = version === 4 ? told4(bytes, outer.length) : told6(bytes);
  return { told, quote: { version, source, destination, protocol, ...carried } };
}

/** What follows the ICMP header, without the extensions that may be behind it (RFC 4884). */
function quotedBytes({ version, bytes }: IcmpMessage): Uint8Array {
  // In units of 4 and 8 bytes; 0 where it is left out. A router that knows nothing of it may have anything there of
  // the message about a length: only a possible one counts.
  const length = version === 4 ? u8(bytes, 5) * 4 : u8(bytes, 4) * 8;
  const end = ICMP_HEADER + length;
  const isTold = length >= 128 && end <= bytes.length && !(version === 6 && u8(bytes, 0) === 2);
  return bytes.subarray(ICMP_HEADER, isTold ? end : bytes.length);
}

interface QuotedOuter {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** Of the packet, as its header says. */
  readonly length: number;
  /** Bytes behind the IP header that the packet had. */
  readonly payloadLength: number;
  /** Those of them that are there. */
  readonly payload: Uint8Array;
}

function readQuoted4(bytes: Uint8Array): QuotedOuter | null {
  if (bytes.length < IPV4_HEADER || u8(bytes, 0) >>> 4 !== 4) return null;
  const { headerLength, totalLength, protocol, fragmentOffset } = readIpv4(bytes);
  // No router sends errors about fragments behind the first (RFC 1122, 3.2.2).
  if (headerLength < IPV4_HEADER || headerLength > totalLength || fragmentOffset !== 0) return null;
  return {
    source: bytes.subarray(12, 16),
    destination: bytes.subarray(16, 20),
    protocol,
    length: totalLength,
    payloadLength: totalLength - headerLength,
    payload: bytes.subarray(headerLength, totalLength),
  };
}

function readQuoted6(bytes: Uint8Array): QuotedOuter | null {
  if (bytes.length < IPV6_HEADER || u8(bytes, 0) >>> 4 !== 6) return null;
  const { source, destination, payloadLength } = readIpv6(bytes);
  const length = IPV6_HEADER + payloadLength;
  const there = bytes.subarray(0, length);
  const upper = walkExtensions(there, there.length);
  if (upper.end === 'overrun' && there.length === length) return null;
  const { protocol, offset } = upper;
  return {
    ...{ source, destination, protocol, length },
    payloadLength: length - offset,
    payload: there.subarray(offset),
  };
}

function isTunnelProtocol({ protocol, payload }: QuotedOuter): boolean {
  if (protocol === PROTOCOL_UDP) return payload.length >= 4 && u16(payload, 2) === GRE_UDP_PORT;
  return [PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_SIT].includes(protocol);
}

/** What is quoted behind the IP header; null: no packet of ours looks like that. */
function readCarried(outer: QuotedOuter): Pick<Quote, 'key' | 'isFrame' | 'inner'> | null {
  const { protocol, payload, payloadLength } = outer;
  if (protocol === PROTOCOL_IPIP || protocol === PROTOCOL_SIT) {
    return { key: null, isFrame: undefined, inner: payload };
  }
  const start = protocol === PROTOCOL_UDP ? UDP_HEADER : 0;
  const gre = payload.subarray(start);
  const whole = payloadLength - start;
  if (whole < 4) return null;
  if (gre.length < 4) return { key: undefined, isFrame: undefined, inner: payload.subarray(0, 0) };
  const flags = u16(gre, 0);
  if ((flags & (GRE_VERSION | GRE_ROUTING)) !== 0 || greLength(flags) > whole) return null;
  const keyEnd = 8 + (flags & GRE_CHECKSUM ? 4 : 0);
  const isCut = (flags & GRE_KEY) !== 0 && gre.length < keyEnd;
  const { key, protocol: type } = readGre(gre);
  const inner = gre.subarray(greLength(flags));
  return { key: isCut ? undefined : key, isFrame: type === 0x6558, inner };
}

function told4(bytes: Uint8Array, length: number): Told {
  const code = u8(bytes, 1);
  switch (u8(bytes, 0)) {
    case 3:
      if (code === 4) return { kind: 'too-big', mtu: u16(bytes, 6) || plateauBelow(length) };
      return unreachable4(code);
    case 11:
      return code === 0 ? { kind: 'time-exceeded' } : { kind: 'other' };
    default:
      return { kind: 'other' };
  }
}

/** RFC 1812, 5.2.7.1. */
function unreachable4(code: number): Told {
  switch (code) {
    case 0:
    case 6:
    case 9:
    case 11:
      return { kind: 'unreachable', what: 'network' };
    case 1:
    case 7:
    case 8:
    case 10:
    case 12:
    case 13:
      return { kind: 'unreachable', what: 'host' };
    case 2:
      return { kind: 'unreachable', what: 'protocol' };
    case 3:
      return { kind: 'unreachable', what: 'port' };
    default:
      return { kind: 'other' }; // a source route failed, which no packet of ours has
  }
}

function told6(bytes: Uint8Array): Told {
  const code = u8(bytes, 1);
  switch (u8(bytes, 0)) {
    case 1:
      if (code === 4) return { kind: 'unreachable', what: 'port' };
      return { kind: 'unreachable', what: code === 0 || code === 2 ? 'network' : 'host' };
    case 2:
      return { kind: 'too-big', mtu: u32(bytes, 4) };
    case 3:
      return code === 0 ? { kind: 'time-exceeded' } : { kind: 'other' };
    default:
      // A next header that the host does not know (RFC 8200, 4): IPv6 has no "protocol unreachable".
      return code === 1 ? { kind: 'unreachable', what: 'protocol' } : { kind: 'other' };
  }
}

function plateauBelow(length: number): number {
  return PLATEAUS.find((plateau) => plateau < length) ?? 68;
}

/**
 * The record of the tunnel that sent the packet of a quote, 0 for none. Where the quote ends before the key, its
 * addresses decide, if they are those of one tunnel alone.
 */
export function errorTunnel({ entries }: Pick<Table, 'entries'>, quote: Quote): number {
  const found: number[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry !== undefined && sent(entry, quote)) found.push(index + 1);
  }
  const [record] = found;
  if (record === undefined) return 0;
  return quote.key !== undefined || found.length === 1 ? record : 0;
}

function sent({ tunnel, version, local, remote, carries }: Entry, quote: Quote): boolean {
  if (version !== quote.version || PROTOCOL_OF[tunnel.mode] !== quote.protocol) return false;
  if (remote === null || ownName(remote) !== ownName(quote.destination)) return false;
  if (local !== null && ownName(local) !== ownName(quote.source)) return false;
  if (quote.isFrame !== undefined && quote.isFrame !== (carries === 'ethernet')) return false;
  return quote.key === undefined || quote.key === keyOf(tunnel);
}

function keyOf(tunnel: Tunnel): number | null {
  return (isGre(tunnel) ? tunnel.keyOut : undefined) ?? null;
}
