// The IPv6 header (RFC 8200), as fields, and the addresses that have no business in one.
import { isMapped } from './address.js';
import { u8, u16, u32 } from './bytes.js';

export const IPV6_HEADER = 40;
/** Bytes that every link takes (RFC 8200, 5). */
export const IPV6_MTU_MIN = 1280;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
export const DESTINATION_OPTIONS = 60;

/** First 16 bits of ff02::/16. */
const LINK_LOCAL_MULTICAST = 0xff02;

/** More extension headers than any sender has use for: the walk ends there. */
export const EXTENSION_LIMIT = 8;

export interface Ipv6Header {
  readonly trafficClass: number;
  readonly payloadLength: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  /** 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Reads the fields of at least 40 bytes, right or wrong. */
export function readIpv6(bytes: Uint8Array): Ipv6Header {
  return {
    trafficClass: (u16(bytes, 0) >>> 4) & 0xff,
    payloadLength: u16(bytes, 4),
    nextHeader: u8(bytes, 6),
    hopLimit: u8(bytes, 7),
    source: bytes.subarray(8, 24),
    destination: bytes.subarray(24, 40),
  };
}

/** What the extension headers of a packet lead to. */
export interface Upper {
  /** The header after the last one walked. */
  readonly protocol: number;
  readonly offset: number;
  /** `overrun`: a header does not fit, there are more than EXTENSION_LIMIT, or the way to go on is in the packet. */
  readonly end: 'reached' | 'overrun' | 'fragment';
}

/** Walks the extension headers of an IPv6 packet of `length` bytes. */
export function walkExtensions(bytes: Uint8Array, length: number): Upper {
  let protocol = u8(bytes, 6);
  let offset = IPV6_HEADER;
  for (let count = 0; isExtension(protocol); count++) {
    if (count === EXTENSION_LIMIT || offset + 8 > length) {
      return { protocol, offset, end: 'overrun' };
    }
    const next = u8(bytes, offset);
    const size = protocol === FRAGMENT ? 8 : 8 + u8(bytes, offset + 1) * 8;
    if (offset + size > length) return { protocol, offset, end: 'overrun' };
    // Addressed to us as a stop on its way, which no tunnel packet is (RFC 8200, 4.4).
    if (protocol === ROUTING && u8(bytes, offset + 3) !== 0)
      return { protocol, offset, end: 'overrun' };
    // A piece of a packet: more to follow, or an offset. An atomic fragment (RFC 6946) has neither.
    if (protocol === FRAGMENT && (u16(bytes, offset + 2) & 0xfff9) !== 0) {
      return { protocol: next, offset: offset + size, end: 'fragment' };
    }
    protocol = next;
    offset += size;
  }
  return { protocol, offset, end: 'reached' };
}

function isExtension(protocol: number): boolean {
  return (
    protocol === HOP_BY_HOP ||
    protocol === ROUTING ||
    protocol === FRAGMENT ||
    protocol === DESTINATION_OPTIONS
  );
}

/** ::/96 (unspecified and loopback lie there) and ::ffff:0:0/96: never on a wire (RFC 4213, 3.6). */
function isReserved6(address: Uint8Array): boolean {
  const isCompatible = u32(address, 0) === 0 && u32(address, 4) === 0 && u32(address, 8) === 0;
  return isCompatible || isMapped(address);
}

export function isUnspecified6(address: Uint8Array): boolean {
  return address.every((byte) => byte === 0);
}

/** Whether a packet to `destination` must not come from `source`. */
export function isMartianSource6(source: Uint8Array, destination: Uint8Array): boolean {
  // A sender without an address yet, reporting its groups (RFC 3590, 4).
  if (isUnspecified6(source)) return u16(destination, 0) !== LINK_LOCAL_MULTICAST;
  if (isReserved6(source) || isMulticast6(source)) return true;
  return isLinkLocal6(source) && !staysOnLink(destination);
}

/** Reserved addresses and multicast of scope 0 and 1, which never leaves a node (RFC 4291, 2.7). */
export function isMartianDestination6(destination: Uint8Array): boolean {
  if (isReserved6(destination)) return true;
  return isMulticast6(destination) && (u8(destination, 1) & 0x0f) <= 1;
}

/** fe80::/10. */
export function isLinkLocal6(address: Uint8Array): boolean {
  return (u16(address, 0) & 0xffc0) === 0xfe80;
}

/** ff00::/8. */
export function isMulticast6(address: Uint8Array): boolean {
  return u8(address, 0) === 0xff;
}

/** fe80::/10 and ff02::/16. */
function staysOnLink(destination: Uint8Array): boolean {
  return isLinkLocal6(destination) || u16(destination, 0) === LINK_LOCAL_MULTICAST;
}
