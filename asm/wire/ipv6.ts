import { isEmbedded, isLinkLocal6, isUnspecified6 } from './address';
import { load16, store16, swap16 } from './bytes';

// |Version| Traffic Class |           Flow Label                  |
// |         Payload Length        |  Next Header  |   Hop Limit   |
// |                  Source Address, 16 bytes                     |
// |                Destination Address, 16 bytes                  |   RFC 8200, 3
export const IPV6_LENGTH: u32 = 40;
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_HOP_LIMIT = 7;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;

/** Header and payload: what the packet says its length is. */
export function totalLength6(header: usize): u32 {
  return IPV6_LENGTH + load16(header + IPV6_PAYLOAD_LENGTH);
}

/** Whether header and payload fit into `length` bytes. */
export function isSound6(header: usize, length: u32): bool {
  if (length < IPV6_LENGTH) return false;
  return totalLength6(header) <= length;
}

export function trafficClass(header: usize): u32 {
  return (load16(header) >>> 4) & 0xff;
}

/** Writes the traffic class; no checksum covers it. */
export function setTrafficClass(header: usize, value: u32): void {
  const first = load16(header);
  store16(header, (first & 0xf00f) | (value << 4));
}

/** The flow label with the version and traffic class masked off, as it lies in the first word when loaded. */
export function flowLabel(header: usize): u32 {
  return load<u32>(header) & 0xffff0f00;
}

export const HEADER_HOP_BY_HOP: u32 = 0;
export const HEADER_ROUTING: u32 = 43;
export const HEADER_FRAGMENT: u32 = 44;
export const HEADER_OPTIONS: u32 = 60;
/** More extension headers than any sender has use for: the walk ends there. */
export const EXTENSION_LIMIT: u32 = 8;

/** What walkExtensions returns instead of a protocol and an offset. */
export const WALK_OVERRUN: u32 = 0xffffffff;
export const WALK_FRAGMENT: u32 = 0xfffffffe;

/**
 * Walks the extension headers of the IPv6 packet of `length` bytes at `header`. Returns the protocol behind them in
 * the upper half and its offset in the lower one; WALK_OVERRUN when a header does not fit, there are too many, or
 * one asks for the packet to go on to another node (RFC 8200, 4.4); WALK_FRAGMENT for a piece of a packet.
 */
export function walkExtensions(header: usize, length: u32): u32 {
  let protocol = <u32>load<u8>(header, IPV6_NEXT_HEADER);
  let offset = IPV6_LENGTH;
  for (let count: u32 = 0; isExtension(protocol); count++) {
    if (count === EXTENSION_LIMIT || offset + 8 > length) return WALK_OVERRUN;
    const at = header + offset;
    const next = <u32>load<u8>(at);
    const size = protocol === HEADER_FRAGMENT ? 8 : 8 + ((<u32>load<u8>(at, 1)) << 3);
    if (offset + size > length) return WALK_OVERRUN;
    if (protocol === HEADER_ROUTING && load<u8>(at, 3) !== 0) return WALK_OVERRUN;
    // An atomic fragment (RFC 6946) has neither an offset nor more to follow.
    if (protocol === HEADER_FRAGMENT && (load16(at + 2) & 0xfff9) !== 0) return WALK_FRAGMENT;
    protocol = next;
    offset += size;
  }
  return (protocol << 16) | offset;
}

export function isExtension(protocol: u32): bool {
  return (
    protocol === HEADER_HOP_BY_HOP ||
    protocol === HEADER_ROUTING ||
    protocol === HEADER_FRAGMENT ||
    protocol === HEADER_OPTIONS
  );
}

/**
 * Sources that no packet of another network has: embedded IPv4, multicast (RFC 4213, 3.6), link-local ones
 * on their way to anything but a link-local destination (RFC 4291, 2.5.6), and :: on its way to anything but
 * link-local multicast, where a sender without an address yet reports its groups (RFC 3590, 4).
 */
export function isMartianSource6(high: u64, low: u64, destinationHigh: u64): bool {
  if (isUnspecified6(high, low)) return <u32>(destinationHigh & 0xffff) !== 0x02ff;
  if (isEmbedded(high, low) || <u32>(high & 0xff) === 0xff) return true;
  return (
    isLinkLocal6(high) &&
    !isLinkLocal6(destinationHigh) &&
    <u32>(destinationHigh & 0xffff) !== 0x02ff
  );
}

/** Embedded IPv4, and multicast of scope 0 (reserved) or 1 (interface-local). RFC 4291, 2.7. */
export function isMartianDestination6(high: u64, low: u64): bool {
  return isEmbedded(high, low) || <u32>(high & 0x0eff) === 0x00ff;
}

/** Sum of the pseudo-header of an upper-layer packet (RFC 8200, 8.1). `protocol` and `length` in host order. */
export function sumPseudo6(header: usize, protocol: u32, length: u32): u64 {
  let acc = <u64>(protocol << 8) + <u64>swap16(length);
  for (let at = IPV6_SOURCE; at < <i32>IPV6_LENGTH; at += 8) {
    const words = load<u64>(header + at);
    acc += (words & 0xffffffff) + (words >>> 32);
  }
  return acc;
}
