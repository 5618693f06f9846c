// Packets that end at the router itself: those that ask whether it is there, and the answers to its own questions.
// They keep every byte; the descriptor names what of them the router acts on (LOCAL_*), and where that lies.
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LOCAL,
  DESCRIPTOR_PAYLOAD_LENGTH,
  FLAG_REFLECT,
  LOCAL_KEEPALIVE,
  LOCAL_REFLECT,
  MODE_GRE,
  MODE_OVER6,
  OWN_INNER,
  RECORD_FLAGS,
  RECORD_LOCAL,
  RECORD_MODE,
  RECORD_PROBE,
  RECORD_PROBE_TARGET,
  RECORD_REMOTE,
} from './layout';
import { REASON_INNER_SRC_SPOOF, REASON_INNER_TTL, REASON_LOCAL } from './reason';
import { ownFlags } from './table';
import { highOf, isMulticast, lowOf } from './wire/address';
import { load16 } from './wire/bytes';
import {
  GRE_BASE_LENGTH,
  GRE_PROTOCOL_TYPE,
  GRE_R,
  GRE_VERSION,
  greFlags,
  greLength,
} from './wire/gre';
import {
  headerLength4,
  IPV4_DESTINATION,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TTL,
  isFragment4,
  PROTOCOL_GRE,
  totalLength4,
} from './wire/ipv4';
import {
  IPV6_DESTINATION,
  IPV6_HOP_LIMIT,
  IPV6_LENGTH,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
  totalLength6,
} from './wire/ipv6';

const PROTOCOL_ICMP: u32 = 1;
const PROTOCOL_ICMP6: u32 = 58;
/** Type and code of an echo reply, as load16 has them (RFC 792; RFC 4443, 4.2). */
const ECHO_REPLY: u32 = 0x0000;
const ECHO_REPLY6: u32 = 0x8100;
const ECHO_LENGTH: u32 = 8;
const ECHO_IDENTIFIER = 4;

/** Says that the packet ended here, and what of it counts: the `length` bytes at `address`. */
export function endHere(descriptor: usize, kind: u32, address: usize, length: u32): u32 {
  store<u32>(descriptor, <u32>address, DESCRIPTOR_ADDRESS);
  store<u32>(descriptor, length, DESCRIPTOR_LENGTH);
  store<u32>(descriptor, 0, DESCRIPTOR_PAYLOAD_LENGTH);
  store<u32>(descriptor, kind, DESCRIPTOR_LOCAL);
  return REASON_LOCAL;
}

/**
 * What becomes of a sound inner packet that claims one of our own addresses as its source: it is forged, unless the
 * peer sent it for us to send it back. `own`: the flags of that address.
 */
export function fromOwn(
  descriptor: usize,
  image: usize,
  record: usize,
  inner: usize,
  family: u32,
  own: u32,
): u32 {
  let kind: u32 = 0;
  if (isKeepalive(record, inner, family)) kind = LOCAL_KEEPALIVE;
  else if (own === OWN_INNER && isReflected(image, record, inner, family)) kind = LOCAL_REFLECT;
  if (kind === 0) return REASON_INNER_SRC_SPOOF;
  const is4 = family === 4;
  const ttl = is4 ? <u32>load<u8>(inner, IPV4_TTL) : <u32>load<u8>(inner, IPV6_HOP_LIMIT);
  if (ttl <= 1) return REASON_INNER_TTL; // it would have to go on
  return endHere(descriptor, kind, inner, is4 ? totalLength4(inner) : totalLength6(inner));
}

/**
 * Whether a packet is the keepalive of the peer: from our end of this tunnel to the peer's, with a GRE header of
 * protocol type 0. Cisco's form over IPv4, MikroTik's over IPv6.
 */
function isKeepalive(record: usize, inner: usize, family: u32): bool {
  if (load<u32>(record, RECORD_MODE) !== (family === 4 ? MODE_GRE : MODE_GRE | MODE_OVER6)) {
    return false;
  }
  const is4 = family === 4;
  const next = is4 ? <u32>load<u8>(inner, IPV4_PROTOCOL) : <u32>load<u8>(inner, IPV6_NEXT_HEADER);
  if (next !== PROTOCOL_GRE) return false;
  const source = inner + (is4 ? IPV4_SOURCE : IPV6_SOURCE);
  const destination = inner + (is4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  if (!isAddress(record + RECORD_LOCAL, source, family)) return false;
  if (!isAddress(record + RECORD_REMOTE, destination, family)) return false;
  if (is4 && isFragment4(inner)) return false;
  const header = is4 ? headerLength4(inner) : IPV6_LENGTH;
  const available = (is4 ? totalLength4(inner) : totalLength6(inner)) - header;
  if (available < GRE_BASE_LENGTH) return false;
  const gre = inner + header;
  const flags = greFlags(gre);
  if (flags & (GRE_VERSION | GRE_R) || greLength(flags) > available) return false;
  return load<u16>(gre, GRE_PROTOCOL_TYPE) === 0;
}

/** Whether a health check that answers itself is to go straight back: an echo reply to somebody else. */
function isReflected(image: usize, record: usize, inner: usize, family: u32): bool {
  if (!(load<u32>(record, RECORD_FLAGS) & FLAG_REFLECT)) return false;
  if (echoReply(inner, family) === 0) return false;
  const destination = inner + (family === 4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  if (isMulticast(highOf(destination, family), lowOf(destination, family))) return false;
  return ownFlags(image, destination, family) === 0;
}

/** Whether a packet to an address of ours is the answer to this tunnel's probe. */
export function isProbeAnswer(record: usize, inner: usize, family: u32): bool {
  const icmp = echoReply(inner, family);
  if (icmp === 0) return false;
  const source = inner + (family === 4 ? IPV4_SOURCE : IPV6_SOURCE);
  if (!isAddress(record + RECORD_PROBE_TARGET, source, family)) return false;
  return load16(icmp + ECHO_IDENTIFIER) === <u32>load<u16>(record, RECORD_PROBE);
}

/** Where the ICMP header of an echo reply begins, or 0: it is none. */
function echoReply(inner: usize, family: u32): usize {
  if (family === 4) {
    if (<u32>load<u8>(inner, IPV4_PROTOCOL) !== PROTOCOL_ICMP || isFragment4(inner)) return 0;
    const header = headerLength4(inner);
    if (totalLength4(inner) - header < ECHO_LENGTH) return 0;
    return load16(inner + header) === ECHO_REPLY ? inner + header : 0;
  }
  if (<u32>load<u8>(inner, IPV6_NEXT_HEADER) !== PROTOCOL_ICMP6) return 0;
  if (totalLength6(inner) - IPV6_LENGTH < ECHO_LENGTH) return 0;
  return load16(inner + IPV6_LENGTH) === ECHO_REPLY6 ? inner + IPV6_LENGTH : 0;
}

/** Whether the 16 bytes at `mapped` are the address at `ptr`. */
function isAddress(mapped: usize, ptr: usize, family: u32): bool {
  return load<u64>(mapped) === highOf(ptr, family) && load<u64>(mapped, 8) === lowOf(ptr, family);
}
