// The ICMP errors that a tunnel's end owes the sender of a packet it cannot carry or deliver (RFC 792, RFC 4443).
import { setU8, setU16, setU32, u8, u16, u32 } from './bytes.js';
import { checksum, finish, sum, sumPseudoHeader } from './checksum.js';
import type { Inner } from './inner.js';
import { IPV4_HEADER, isMartianDestination4, isMartianSource4, isMulticast4 } from './ipv4.js';
import { IPV6_HEADER, isMulticast6, isUnspecified6, walkExtensions } from './ipv6.js';

export type IcmpError =
  /** Larger than `mtu`, and not to be fragmented. */
  | { readonly kind: 'too-big'; readonly mtu: number }
  /** Its TTL or hop limit ran out. */
  | { readonly kind: 'time-exceeded' }
  /** The far end of the tunnel cannot be reached. */
  | { readonly kind: 'unreachable'; readonly what: 'network' | 'host' }
  /** It says at offset `pointer` that it may enter no tunnel more (RFC 2473, 4.1.2). */
  | { readonly kind: 'encap-limit'; readonly pointer: number };

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_ICMP6 = 58;
const ICMP_HEADER = 8;
/** Longest error over IPv4 (RFC 1812, 4.3.2.3) and over IPv6 (RFC 4443, 2.4 (c)). */
const LIMIT = { 4: 576, 6: 1280 } as const;
/** Precedence of errors: internetwork control (RFC 1812, 4.3.2.5). */
const TOS = 0xc0;
const TTL = 64;
/** Types that answer a packet rather than ask or reply: redirects and errors, none of which is answered. */
const ERRORS4 = [3, 4, 5, 11, 12];
const FIRST_QUERY6 = 128;
const REDIRECT6 = 137;

/**
 * The error to the sender of `packet`, from `source` (4 or 16 bytes, wire order, of the packet's family). Null where
 * none may be sent: about another error, a fragment behind the first, to or about no single host (RFC 1122, 3.2.2;
 * RFC 4443, 2.4 (e)).
 */
export function icmpError(packet: Inner, error: IcmpError, source: Uint8Array): Uint8Array | null {
  return packet.version === 4
    ? icmpError4(packet, error, source)
    : icmpError6(packet, error, source);
}

function icmpError4(packet: Inner, error: IcmpError, source: Uint8Array): Uint8Array | null {
  const { bytes, headerLength } = packet;
  const sender = u32(packet.source, 0);
  const destination = u32(packet.destination, 0);
  if (isMartianSource4(sender)) return null;
  if (isMartianDestination4(destination) || isMulticast4(destination)) return null;
  if ((u16(bytes, 6) & 0x1fff) !== 0) return null;
  const isError = packet.protocol === PROTOCOL_ICMP && ERRORS4.includes(u8(bytes, headerLength));
  const message = isError ? null : message4(error);
  if (message === null) return null;

  const quote = bytes.subarray(0, LIMIT[4] - IPV4_HEADER - ICMP_HEADER);
  const answer = new Uint8Array(IPV4_HEADER + ICMP_HEADER + quote.length);
  setU8(answer, 0, 0x45);
  setU8(answer, 1, TOS);
  setU16(answer, 2, answer.length);
  setU8(answer, 8, TTL);
  setU8(answer, 9, PROTOCOL_ICMP);
  answer.set(source, 12);
  answer.set(packet.source, 16);
  setU16(answer, 10, checksum(answer.subarray(0, IPV4_HEADER)));
  const icmp = answer.subarray(IPV4_HEADER);
  setU8(icmp, 0, message.type);
  setU8(icmp, 1, message.code);
  setU32(icmp, 4, message.rest);
  icmp.set(quote, ICMP_HEADER);
  setU16(icmp, 2, checksum(icmp));
  return answer;
}

function icmpError6(packet: Inner, error: IcmpError, source: Uint8Array): Uint8Array | null {
  const { bytes } = packet;
  if (isUnspecified6(packet.source) || isMulticast6(packet.source)) return null;
  // A path to a group has an MTU, too (RFC 4443, 2.4 (e.3)).
  if (isMulticast6(packet.destination) && error.kind !== 'too-big') return null;
  const upper = walkExtensions(bytes, bytes.length);
  if (upper.end === 'fragment' && upper.offset > IPV6_HEADER && isLaterFragment(bytes)) return null;
  const type6 = upper.protocol === PROTOCOL_ICMP6 ? u8(bytes, upper.offset) : FIRST_QUERY6;
  const isError = type6 < FIRST_QUERY6 || type6 === REDIRECT6;
  if (isError) return null;

  const { type, code, rest } = message6(error);
  const quote = bytes.subarray(0, LIMIT[6] - IPV6_HEADER - ICMP_HEADER);
  const answer = new Uint8Array(IPV6_HEADER + ICMP_HEADER + quote.length);
  setU32(answer, 0, (6 << 28) | (TOS << 20));
  setU16(answer, 4, ICMP_HEADER + quote.length);
  setU8(answer, 6, PROTOCOL_ICMP6);
  setU8(answer, 7, TTL);
  answer.set(source, 8);
  answer.set(packet.source, 24);
  const icmp = answer.subarray(IPV6_HEADER);
  setU8(icmp, 0, type);
  setU8(icmp, 1, code);
  setU32(icmp, 4, rest);
  icmp.set(quote, ICMP_HEADER);
  const pseudo = sumPseudoHeader(source, packet.source, PROTOCOL_ICMP6, icmp.length);
  setU16(icmp, 2, finish(sum(icmp, pseudo)));
  return answer;
}

/** Whether the fragment header, the first extension header, has an offset. */
function isLaterFragment(bytes: Uint8Array): boolean {
  const FRAGMENT = 44;
  return u8(bytes, 6) === FRAGMENT && (u16(bytes, IPV6_HEADER + 2) & 0xfff8) !== 0;
}

interface Message {
  readonly type: number;
  readonly code: number;
  /** The word behind the checksum. */
  readonly rest: number;
}

/** Null for what IPv4 has no error for. */
function message4(error: IcmpError): Message | null {
  switch (error.kind) {
    case 'too-big':
      return { type: 3, code: 4, rest: error.mtu & 0xffff }; // RFC 1191, 4
    case 'time-exceeded':
      return { type: 11, code: 0, rest: 0 };
    case 'unreachable':
      return { type: 3, code: error.what === 'network' ? 0 : 1, rest: 0 };
    case 'encap-limit':
      return null;
  }
}

function message6(error: IcmpError): Message {
  switch (error.kind) {
    case 'too-big':
      return { type: 2, code: 0, rest: error.mtu };
    case 'time-exceeded':
      return { type: 3, code: 0, rest: 0 };
    case 'unreachable':
      return { type: 1, code: error.what === 'network' ? 0 : 3, rest: 0 };
    case 'encap-limit':
      return { type: 4, code: 0, rest: error.pointer };
  }
}
