// The tunnel encapsulation limit (RFC 2473, 4.1): how many tunnels more a packet may enter.
import {
  EXTENSION_LIMIT,
  HEADER_HOP_BY_HOP,
  HEADER_OPTIONS,
  HEADER_ROUTING,
  IPV6_LENGTH,
  IPV6_NEXT_HEADER,
} from './wire/ipv6';

/** Bytes of the destination options header with the option, and where in it the limit stands. */
export const LIMIT_LENGTH: u32 = 8;
export const LIMIT_OFFSET = 4;
/** No limit: the packet has no such option. */
export const NO_LIMIT: u32 = 256;

const OPTION_PAD1: u32 = 0;
const OPTION_ENCAP_LIMIT: u32 = 4;

/** The limit that the IPv6 packet of `length` bytes at `packet` carries, or NO_LIMIT. */
export function encapLimitOf(packet: usize, length: u32): u32 {
  let header = <u32>load<u8>(packet, IPV6_NEXT_HEADER);
  let offset = IPV6_LENGTH;
  for (let count: u32 = 0; count < EXTENSION_LIMIT; count++) {
    if (!isOptional(header)) return NO_LIMIT;
    if (offset + 8 > length) return NO_LIMIT;
    const end = offset + 8 + ((<u32>load<u8>(packet + offset, 1)) << 3);
    if (end > length) return NO_LIMIT;
    if (header === HEADER_OPTIONS) {
      const limit = findLimit(packet, offset + 2, end);
      if (limit !== NO_LIMIT) return limit;
    }
    header = <u32>load<u8>(packet + offset);
    offset = end;
  }
  return NO_LIMIT;
}

/** Whether a header of this number is the one with the option, or one that may stand in front of it. */
export function isOptional(header: u32): bool {
  return header === HEADER_OPTIONS || header === HEADER_HOP_BY_HOP || header === HEADER_ROUTING;
}

function findLimit(packet: usize, start: u32, end: u32): u32 {
  let at = start;
  while (at < end) {
    const type = <u32>load<u8>(packet + at);
    if (type === OPTION_PAD1) {
      at++;
      continue;
    }
    const length = at + 1 < end ? <u32>load<u8>(packet + at, 1) : end;
    if (at + 2 + length > end) return NO_LIMIT;
    if (type === OPTION_ENCAP_LIMIT && length === 1) return <u32>load<u8>(packet + at, 2);
    at += 2 + length;
  }
  return NO_LIMIT;
}
