// decode: what a tunnel packet says of itself, layer by layer, and whether its form is right
//
//   1. readOuter    IPv4 or IPv6 header, extension headers, GRE-in-UDP
//   2. checkForm    outer header, fragments, GRE header and checksum, inner header: the first that is wrong
//   3. judge        with tunnels: the verdict that decap gives
//   4. describe     every layer that can be read, right or wrong
import { formatIpv4, formatIpv6 } from './address.js';
import { u8 } from './bytes.js';
import { isValid } from './checksum.js';
import { decap, isMerged } from './decap.js';
import { findIp } from './frame.js';
import { checkGre, hasReservedBits, readGre } from './gre.js';
import { checkInner } from './inner.js';
import { IPV4_HEADER, PROTOCOL_IPIP, readIpv4 } from './ipv4.js';
import { IPV6_HEADER, readIpv6 } from './ipv6.js';
import { type Known, keep } from './known.js';
import { type Nearest, nearestOf } from './nearest.js';
import { type Outer, readOuter } from './outer.js';
import { payloadOf } from './payload.js';
import type { Reason } from './reason.js';
import type { State } from './state.js';
import { type Tunnels, toTable } from './table.js';
import { ETHERNET_HEADER } from './tunnel.js';

/** The outer IP header. */
export interface DecodedOuter {
  readonly version: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** What the IP header, extension headers included, leads to: 47, 4, 41, or 17 for GRE-in-UDP. */
  readonly protocol: number;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** TOS or traffic class. */
  readonly tos: number;
}

/** The GRE header. */
export interface DecodedGre {
  /** The C bit. */
  readonly checksum: boolean;
  /** Null when there is no checksum, or the packet is cut. */
  readonly checksumValid: boolean | null;
  readonly key: number | null;
  readonly sequence: number | null;
  readonly version: number;
  readonly protocol: number;
}

/** The packet inside; in an Ethernet frame, its IP packet. */
export interface DecodedInner {
  readonly version: 4 | 6;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** Bytes by its own header. */
  readonly length: number;
}

/** A tunnel packet, and whether a router would take it. */
export interface Decoded {
  readonly verdict: 'ok' | 'drop';
  /** Null with verdict `ok`. */
  readonly reason: Reason | null;
  readonly outer: DecodedOuter;
  readonly gre: DecodedGre | null;
  readonly inner: DecodedInner | null;
  /** With tunnels: the one that the packet nearly belonged to, or null. */
  readonly nearest?: Nearest | null;
}

/** What else is known of a packet. */
export interface DecodeOptions {
  /** Judges the packet as a router with these tunnels would; otherwise by its form alone. */
  readonly tunnels?: Tunnels;
  /** Sequence numbers seen so far, for packets decoded in order; otherwise each is the first. */
  readonly state?: State;
}

/**
 * Decodes a packet that begins at its outer IP header. Returns null when it is no tunnel packet (or too
 * short to tell); never throws, whatever the bytes. The outermost tunnel is the one described.
 */
export function decode(bytes: Uint8Array, options: DecodeOptions = {}): Decoded | null {
  const outer = readOuter(bytes);
  if (outer === null) return null;
  const { reason, ...judged } = options.tunnels
    ? judge(bytes, options.tunnels, options.state)
    : { reason: checkForm(outer) };
  return {
    verdict: reason === null ? 'ok' : 'drop',
    reason,
    outer: describeOuter(bytes, outer),
    gre: describeGre(outer),
    inner: describeInner(outer),
    ...judged,
  };
}

function judge(
  bytes: Uint8Array,
  tunnels: Tunnels,
  state?: State,
): Pick<Decoded, 'reason' | 'nearest'> {
  const table = toTable(tunnels);
  const known: Known = { packet: bytes, table, way: [] };
  const { reason } = decap(bytes, table, state, 0, keep.bind(null, known));
  return { reason, nearest: nearestOf(reason, known) };
}

/** What is wrong with the packet whatever tunnels there are, or null. */
function checkForm(outer: Outer): Reason | null {
  const malformed = checkHeaders(outer);
  if (malformed !== null) return malformed;
  const { payload } = outer;
  if (!outer.isGre) return checkInner(payload, outer.protocol === PROTOCOL_IPIP ? 4 : 6);
  const gre = readGre(payload);
  if (gre.hasChecksum && !isValid(payload) && !isMerged(payload, gre)) return 'gre-checksum';
  const carried = payloadOf(payload, gre, outer.version);
  if (carried === null) return 'unknown-protocol';
  if (gre.length + carried.offset > payload.length) return 'gre-truncated';
  const inner = payload.subarray(gre.length + carried.offset);
  if (carried.kind !== 'ethernet') return checkInner(inner, carried.kind);
  return inner.length < ETHERNET_HEADER ? 'inner-truncated' : null;
}

/** What is wrong before the tunnel is looked up, or null. */
function checkHeaders(outer: Outer): Reason | null {
  if (outer.malformed !== null) return outer.malformed;
  if (!outer.isGre) return null;
  return checkGre(outer.payload) ?? (hasReservedBits(outer.payload) ? 'gre-reserved-bits' : null);
}

function describeOuter(bytes: Uint8Array, { version, protocol }: Outer): DecodedOuter {
  if (version === 6) {
    const { source, destination, hopLimit, trafficClass } = readIpv6(bytes);
    return {
      version,
      source: formatIpv6(source),
      destination: formatIpv6(destination),
      protocol,
      ttl: hopLimit,
      tos: trafficClass,
    };
  }
  const { source, destination, ttl, tos } = readIpv4(bytes);
  return {
    version,
    source: formatIpv4(source),
    destination: formatIpv4(destination),
    protocol,
    ttl,
    tos,
  };
}

function describeGre({ isGre, payload, isCut }: Outer): DecodedGre | null {
  if (!isGre || payload.length < 4) return null;
  const { hasChecksum, key, sequence, version, protocol } = readGre(payload);
  const isChecked = hasChecksum && version === 0 && !isCut && payload.length >= 8;
  return {
    checksum: hasChecksum,
    checksumValid: isChecked ? isValid(payload) : null,
    key,
    sequence,
    version,
    protocol,
  };
}

function describeInner(outer: Outer): DecodedInner | null {
  const inner = innerBytes(outer);
  if (inner === null) return null;
  const version = u8(inner, 0) >>> 4;
  if (version === 4 && inner.length >= IPV4_HEADER) {
    const { source, destination, protocol, totalLength } = readIpv4(inner);
    return {
      version,
      source: formatIpv4(source),
      destination: formatIpv4(destination),
      protocol,
      length: totalLength,
    };
  }
  if (version === 6 && inner.length >= IPV6_HEADER) {
    const { source, destination, nextHeader, payloadLength } = readIpv6(inner);
    return {
      version,
      source: formatIpv6(source),
      destination: formatIpv6(destination),
      protocol: nextHeader,
      length: IPV6_HEADER + payloadLength,
    };
  }
  return null;
}

/** The bytes an inner packet would begin with, or null where none is to be expected. */
function innerBytes({ version, isGre, payload, isOpaque }: Outer): Uint8Array | null {
  if (isOpaque) return null;
  if (!isGre) return payload;
  if (payload.length < 4) return null;
  const refused = checkGre(payload);
  if (refused === 'gre-version' || refused === 'gre-routing-present') return null;
  const gre = readGre(payload);
  const carried = payloadOf(payload, gre, version);
  if (carried === null) return null;
  const inner = payload.subarray(gre.length + carried.offset);
  if (carried.kind !== 'ethernet') return inner;
  const framed = findIp(inner);
  return framed === null ? null : inner.subarray(framed.start);
}
