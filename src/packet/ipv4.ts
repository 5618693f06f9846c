// The IPv4 header (RFC 791), as fields, and the addresses that have no business in one.

import { u8, u16, u32 } from './bytes.js';
import { isValid } from './checksum.js';

export const IPV4_HEADER = 20;
export const PROTOCOL_IPIP = 4;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_SIT = 41;
export const PROTOCOL_GRE = 47;

/** Whether a tunnel is inside, by its protocol alone: GRE-in-UDP is not told by that. */
export function isTunnelProtocol(protocol: number): boolean {
  return protocol === PROTOCOL_IPIP || protocol === PROTOCOL_SIT || protocol === PROTOCOL_GRE;
}

export interface Ipv4Header {
  /** Bytes, options included. */
  readonly headerLength: number;
  readonly totalLength: number;
  readonly tos: number;
  readonly dontFragment: boolean;
  /** MF set, or an offset: one piece of a packet. */
  readonly isFragment: boolean;
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
}

/** Reads the fields of at least 20 bytes, right or wrong. */
export function readIpv4(bytes: Uint8Array): Ipv4Header {
  const fragment = u16(bytes, 6);
  return {
    headerLength: (u8(bytes, 0) & 0x0f) * 4,
    totalLength: u16(bytes, 2),
    tos: u8(bytes, 1),
    dontFragment: (fragment & 0x4000) !== 0,
    isFragment: (fragment & 0x3fff) !== 0,
    fragmentOffset: fragment & 0x1fff,
    ttl: u8(bytes, 8),
    protocol: u8(bytes, 9),
    source: u32(bytes, 12),
    destination: u32(bytes, 16),
  };
}

/** Whether header length and total length fit each other and `available` bytes. */
export function lengthsFit(header: Ipv4Header, available: number): boolean {
  return (
    header.headerLength >= IPV4_HEADER &&
    header.headerLength <= available &&
    header.totalLength >= header.headerLength &&
    header.totalLength <= available
  );
}

/** Whether `bytes` begin with a whole, consistent header whose checksum is right. */
export function isIpv4(bytes: Uint8Array): boolean {
  if (bytes.length < IPV4_HEADER || u8(bytes, 0) >>> 4 !== 4) return false;
  const header = readIpv4(bytes);
  if (!lengthsFit(header, bytes.length)) return false;
  return isValid(bytes.subarray(0, header.headerLength));
}

/** `this network`, loopback, multicast, class E and broadcast: never the source of a packet. */
export function isMartianSource4(address: number): boolean {
  const first = address >>> 24;
  return first === 0 || first === 127 || first >= 224;
}

/** `this network`, loopback, class E and broadcast: never the destination of a tunnelled packet. */
export function isMartianDestination4(address: number): boolean {
  const first = address >>> 24;
  return first === 0 || first === 127 || first >= 240;
}

/** 169.254.0.0/16 (RFC 3927). */
export function isLinkLocal4(address: number): boolean {
  return address >>> 16 === 0xa9fe;
}

/** 224.0.0.0/4. */
export function isMulticast4(address: number): boolean {
  return address >>> 28 === 0xe;
}
