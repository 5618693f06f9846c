import { load16, swap16 } from './bytes';
import { finish, sum, update } from './checksum';

// |Version|  IHL  |      TOS      |         Total Length          |
// |        Identification         |0|D|M|     Fragment Offset     |
// |      TTL      |   Protocol    |        Header Checksum        |
// |                        Source Address                         |
// |                      Destination Address                      |   then options     RFC 791, 3.1
export const IPV4_LENGTH: u32 = 20;
export const IPV4_TOS = 1;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_IDENTIFICATION = 4;
export const IPV4_FRAGMENT = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;

export const PROTOCOL_IPIP: u32 = 4;
export const PROTOCOL_TCP: u32 = 6;
export const PROTOCOL_UDP: u32 = 17;
export const PROTOCOL_SIT: u32 = 41;
export const PROTOCOL_GRE: u32 = 47;

// The fragment word as loaded (little-endian).
export const FRAGMENT_DF: u32 = 0x0040;
const FRAGMENT_MF_OFFSET: u32 = 0xff3f;
const FRAGMENT_OFFSET: u32 = 0xff1f;

/** The version nibble that every IP packet begins with. */
export function version(packet: usize): u32 {
  return <u32>load<u8>(packet) >>> 4;
}

export function headerLength4(header: usize): u32 {
  return (<u32>load<u8>(header) & 15) << 2;
}

export function totalLength4(header: usize): u32 {
  return load16(header + IPV4_TOTAL_LENGTH);
}

/** Whether the header at `header` fits into `length` bytes, says so of the packet, and has a good checksum. */
export function isSound4(header: usize, length: u32): bool {
  if (length < IPV4_LENGTH) return false;
  const own = headerLength4(header);
  const total = totalLength4(header);
  if (own < IPV4_LENGTH || own > total || total > length) return false;
  return finish(sumHeader(header, own)) === 0;
}

/** Sum of an IPv4 header of `length` bytes; nearly all have 20. */
function sumHeader(header: usize, length: u32): u64 {
  const acc =
    <u64>load<u32>(header) +
    <u64>load<u32>(header, 4) +
    <u64>load<u32>(header, 8) +
    <u64>load<u32>(header, 12) +
    <u64>load<u32>(header, 16);
  if (length === IPV4_LENGTH) return acc;
  return sum(header + IPV4_LENGTH, length - IPV4_LENGTH, acc);
}

export function isFragment4(header: usize): bool {
  return (<u32>load<u16>(header, IPV4_FRAGMENT) & FRAGMENT_MF_OFFSET) !== 0;
}

/** Whether it is a piece of a packet other than the first, and so has no ports. */
export function isLaterFragment4(header: usize): bool {
  return (<u32>load<u16>(header, IPV4_FRAGMENT) & FRAGMENT_OFFSET) !== 0;
}

/** Whether a tunnel is inside, by its protocol alone: GRE-in-UDP is not told by that. */
export function isTunnelProtocol(protocol: u32): bool {
  return protocol === PROTOCOL_GRE || protocol === PROTOCOL_IPIP || protocol === PROTOCOL_SIT;
}

/** 0/8, 127/8, 224/4 and 240/4 are never a source (RFC 6890, 2.2.2; RFC 1122, 3.2.1.3). */
export function isMartianSource4(address: usize): bool {
  const first = <u32>load<u8>(address);
  return first === 0 || first === 127 || first >= 224;
}

/** 0/8, 127/8 and 240/4 are never a destination in another network; 224/4 is multicast. */
export function isMartianDestination4(address: usize): bool {
  const first = <u32>load<u8>(address);
  return first === 0 || first === 127 || first >= 240;
}

/** 169.254/16 (RFC 3927). */
export function isLinkLocal4(address: usize): bool {
  return <u32>load<u16>(address) === 0xfea9;
}

/** Sum of the pseudo-header of a transport segment (RFC 9293, 3.1). `protocol` and `length` in host order. */
export function sumPseudo4(header: usize, protocol: u32, length: u32): u64 {
  const addresses = <u64>load<u32>(header, IPV4_SOURCE) + <u64>load<u32>(header, IPV4_DESTINATION);
  return addresses + <u64>(protocol << 8) + <u64>swap16(length);
}

/** Writes the TOS byte and updates the header checksum. */
export function setTos4(header: usize, tos: u32): void {
  const before = <u32>load<u16>(header);
  const after = (before & 0xff) | (tos << 8);
  const checksum = <u32>load<u16>(header, IPV4_CHECKSUM);
  store<u16>(header, <u16>after);
  store<u16>(header, <u16>update(checksum, before, after), IPV4_CHECKSUM);
}

/** Writes the TTL and updates the header checksum. */
export function setTtl4(header: usize, ttl: u32): void {
  const before = <u32>load<u16>(header, IPV4_TTL);
  const after = (before & 0xff00) | ttl;
  const checksum = <u32>load<u16>(header, IPV4_CHECKSUM);
  store<u16>(header, <u16>after, IPV4_TTL);
  store<u16>(header, <u16>update(checksum, before, after), IPV4_CHECKSUM);
}
