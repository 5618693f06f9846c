// IP packets in fragments: IPv4 (RFC 791, 3.2) and IPv6 (RFC 8200, 4.5).
import { setU16, setU32, u8, u16 } from './bytes.js';
import { checksum } from './checksum.js';
import { IPV4_HEADER, readIpv4 } from './ipv4.js';
import { IPV6_HEADER } from './ipv6.js';

const FRAGMENT6 = 44;
const FRAGMENT6_LENGTH = 8;
const MORE_FRAGMENTS = 0x2000;
const DONT_FRAGMENT = 0x4000;
const OFFSET = 0x1fff;
/** Options with this bit are in every fragment, others in the first alone. */
const COPIED = 0x80;
const OPTION_END = 0;
const OPTION_NOP = 1;

/**
 * The fragments, of at most `mtu` bytes each, that a whole IPv4 packet with a sound header goes in; null where it is not
 * to be fragmented, or `mtu` leaves no room for 8 bytes of payload. A packet that fits is its only fragment, a fragment
 * is fragmented further.
 */
export function fragmentIpv4(packet: Uint8Array, mtu: number): Uint8Array[] | null {
  const { headerLength, totalLength } = readIpv4(packet);
  if (totalLength <= mtu) return [packet.slice(0, totalLength)];
  const word = u16(packet, 6);
  if ((word & DONT_FRAGMENT) !== 0) return null;
  const first = packet.subarray(0, headerLength);
  const later = copiedHeader(first);
  const payload = packet.subarray(headerLength, totalLength);
  const fragments: Uint8Array[] = [];
  for (let start = 0; start < payload.length; ) {
    const header = start === 0 ? first : later;
    const room = (mtu - header.length) & ~7;
    if (room < 8) return null;
    const isLast = payload.length - start <= mtu - header.length;
    const end = isLast ? payload.length : start + room;
    const fragment = new Uint8Array(header.length + end - start);
    fragment.set(header);
    fragment.set(payload.subarray(start, end), header.length);
    setU16(fragment, 2, fragment.length);
    const more = isLast ? word & MORE_FRAGMENTS : MORE_FRAGMENTS;
    setU16(fragment, 6, more | ((word & OFFSET) + (start >>> 3)));
    setU16(fragment, 10, 0);
    setU16(fragment, 10, checksum(fragment.subarray(0, header.length)));
    fragments.push(fragment);
    start = end;
  }
  return fragments;
}

/** The header of all fragments but the first: with the options that are to be copied. */
function copiedHeader(header: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let at = IPV4_HEADER; at < header.length; ) {
    const type = u8(header, at);
    if (type === OPTION_END) break;
    const length = type === OPTION_NOP ? 1 : u8(header, at + 1);
    if (length === 0 || at + length > header.length || (type !== OPTION_NOP && length < 2)) break;
    if ((type & COPIED) !== 0) kept.push(...header.subarray(at, at + length));
    at += length;
  }
  while (kept.length % 4 !== 0) kept.push(OPTION_END);
  const copy = new Uint8Array(IPV4_HEADER + kept.length);
  copy.set(header.subarray(0, IPV4_HEADER));
  copy.set(kept, IPV4_HEADER);
  copy[0] = 0x40 | (copy.length / 4);
  return copy;
}

/**
 * The fragments, of at most `mtu` bytes each, that a whole IPv6 packet of ours goes in, with a fragment header right
 * behind its own; null where `mtu` leaves no room. `identification`: of no other packet of late.
 */
export function fragmentIpv6(
  packet: Uint8Array,
  mtu: number,
  identification: number,
): Uint8Array[] | null {
  if (packet.length <= mtu) return [packet.slice()];
  const start = IPV6_HEADER + FRAGMENT6_LENGTH;
  const room = (mtu - start) & ~7;
  if (room < 8) return null;
  const payload = packet.subarray(IPV6_HEADER);
  const fragments: Uint8Array[] = [];
  for (let at = 0; at < payload.length; ) {
    const isLast = payload.length - at <= mtu - start;
    const end = isLast ? payload.length : at + room;
    const fragment = new Uint8Array(start + end - at);
    fragment.set(packet.subarray(0, IPV6_HEADER));
    setU16(fragment, 4, fragment.length - IPV6_HEADER);
    fragment[6] = FRAGMENT6;
    fragment[IPV6_HEADER] = u8(packet, 6);
    setU16(fragment, IPV6_HEADER + 2, at | (isLast ? 0 : 1));
    setU32(fragment, IPV6_HEADER + 4, identification);
    fragment.set(payload.subarray(at, end), start);
    fragments.push(fragment);
    at = end;
  }
  return fragments;
}
