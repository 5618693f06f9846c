import { isEmbedded, isLinkLocal6, isUnspecified6 } from './address';
import { load16, swap16 } from './bytes';
import { ECN_MASK } from './ecn';

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

/** Sets the two ECN bits of the traffic class; no checksum covers them. */
export function setEcn6(header: usize, ecn: u32): void {
  const second = <u32>load<u8>(header, 1);
  store<u8>(header, <u8>((second & ~(ECN_MASK << 4)) | (ecn << 4)), 1);
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
