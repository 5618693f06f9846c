// May this inner packet enter its tunnel?
//
//   checkPacket    an IP packet, its header whole and right, of a version that the tunnel carries
//   isTooLong      MTU; IPv6 that every link has to take goes to be fragmented (mustPass)
//   checkRoute     TTL, an end to send to, and no packet that would come back again and again (RFC 2003, 3.2)
//   checkFrame     the same for an Ethernet frame, which has neither TTL nor routes
//   innerLimit     how many tunnels more it may enter
import { encapLimitOf, isOptional, NO_LIMIT } from './encap-limit';
import {
  FLAG_KEEPALIVE,
  FLAG_LINUX,
  FLAG_ONLY4,
  FLAG_ONLY6,
  FLAG_OVER6,
  OWN_OUTER,
  RECORD_MTU,
  RECORD_OUTER,
  STATE_PATH_MTU,
} from './layout';
import {
  REASON_INNER_HEADER,
  REASON_INNER_SRC_SPOOF,
  REASON_INNER_TRUNCATED,
  REASON_INNER_TTL,
  REASON_INNER_VERSION,
  REASON_NESTING_LIMIT,
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_UNKNOWN_PROTOCOL,
} from './reason';
import { ownFlags } from './table';
import { highOf, lowOf } from './wire/address';
import { load16 } from './wire/bytes';
import {
  headerLength4,
  IPV4_DESTINATION,
  IPV4_LENGTH,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TTL,
  isLaterFragment4,
  isTunnelProtocol,
  PROTOCOL_UDP,
  totalLength4,
} from './wire/ipv4';
import {
  IPV6_DESTINATION,
  IPV6_HOP_LIMIT,
  IPV6_LENGTH,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
  isExtension,
  totalLength6,
  WALK_FRAGMENT,
  walkExtensions,
} from './wire/ipv6';
import { GRE_UDP_PORT, UDP_DESTINATION_PORT, UDP_LENGTH } from './wire/udp';

/** TTL of a frame that carries no IP packet to take one from. */
const FRAME_TTL: u32 = 64;
/** Bytes that every link takes of an IPv6 packet (RFC 8200, 5). */
const IPV6_MTU_MIN: u32 = 1280;
/** Where in a record the last four bytes of the far end's address lie. */
const FAR4: usize = RECORD_OUTER + IPV4_DESTINATION;
const FAR6: usize = RECORD_OUTER + IPV6_DESTINATION + 12;
/** The port of GRE-in-UDP as it is loaded. */
const GRE_UDP_WIRE: u32 = ((GRE_UDP_PORT & 0xff) << 8) | (GRE_UDP_PORT >>> 8);
/** Bits by protocol: tunnels (GRE, IPIP, 6in4), and the extension headers that one may be behind. */
const TUNNELS: u64 =
  ((<u64>1) << 47) |
  ((<u64>1) << 4) |
  ((<u64>1) << 41) |
  ((<u64>1) << 0) |
  ((<u64>1) << 43) |
  ((<u64>1) << 44) |
  ((<u64>1) << 60);

/** Whether the bytes are a whole IP packet of a version that the tunnel carries. */
export function checkPacket(flags: u32, inner: usize, length: u32, family: u32): u32 {
  if (family === 4) {
    if (length < IPV4_LENGTH) return REASON_INNER_TRUNCATED;
    const own = headerLength4(inner);
    if (own < IPV4_LENGTH || own > length) return REASON_INNER_HEADER;
    if (totalLength4(inner) !== length) return REASON_INNER_HEADER;
    return flags & FLAG_ONLY6 ? REASON_UNKNOWN_PROTOCOL : REASON_NONE;
  }
  if (family !== 6) return REASON_INNER_VERSION;
  if (length < IPV6_LENGTH) return REASON_INNER_TRUNCATED;
  if (totalLength6(inner) !== length) return REASON_INNER_HEADER;
  return flags & FLAG_ONLY4 ? REASON_UNKNOWN_PROTOCOL : REASON_NONE;
}

/** Whether `length` bytes are more than the tunnel takes: as it was told, or as its path was found to. */
export function isTooLong(record: usize, state: usize, length: u32): bool {
  const own = load<u32>(record, RECORD_MTU);
  const path = atomic.load<u32>(state, STATE_PATH_MTU);
  return length > (path === 0 ? own : min(own, path));
}

/** Whether a packet is IPv6 that every link has to take: whole, or in fragments (RFC 2473, 7.1; RFC 4213, 3.2.2). */
export function mustPass(length: u32, family: u32): bool {
  return family === 6 && length <= IPV6_MTU_MIN;
}

/** Whether a sound inner packet may take this tunnel. */
export function checkRoute(
  image: usize,
  record: usize,
  flags: u32,
  inner: usize,
  family: u32,
): u32 {
  // Of both versions TTL and protocol lie side by side; of the addresses the last four bytes do to tell them apart.
  let ttl: u32;
  let next: u32;
  let source: u32;
  let destination: u32;
  let upper = inner;
  if (family === 4) {
    const pair = <u32>load<u16>(inner, IPV4_TTL);
    ttl = pair & 0xff;
    next = pair >>> 8;
    source = load<u32>(inner, IPV4_SOURCE);
    destination = load<u32>(inner, IPV4_DESTINATION);
    upper += headerLength4(inner);
  } else {
    const pair = <u32>load<u16>(inner, IPV6_NEXT_HEADER);
    next = pair & 0xff;
    ttl = pair >>> 8;
    source = load<u32>(inner, IPV6_SOURCE + 12);
    destination = load<u32>(inner, IPV6_DESTINATION + 12);
    upper += IPV6_LENGTH;
  }
  // RFC 2003, 3.1: a packet whose time is up is not encapsulated.
  if (ttl === 0) return REASON_INNER_TTL;
  if (!hasEndpoints(record, flags)) return REASON_NO_ROUTE;
  const far = load<u32>(record + (flags & FLAG_OVER6 ? FAR6 : FAR4));
  if (source !== far && destination !== far && !looksLikeTunnel(next, upper)) return REASON_NONE;
  return checkLoop(image, record, flags, inner, family);
}

/** False of nearly every packet. Whether what is read belongs to the packet is looked at later (isTunnelPacket). */
function looksLikeTunnel(protocol: u32, upper: usize): bool {
  if (protocol === PROTOCOL_UDP)
    return <u32>load<u16>(upper, UDP_DESTINATION_PORT) === GRE_UDP_WIRE;
  return protocol < 64 && ((TUNNELS >>> protocol) & 1) !== 0;
}

/**
 * RFC 2003, 3.2: no packet is tunnelled that would come back and go in again and again. Linux has no look at who sends
 * it, but for IPv6 in IPv6 whether that is the far end.
 */
function checkLoop(image: usize, record: usize, flags: u32, inner: usize, family: u32): u32 {
  const source = inner + (family === 4 ? IPV4_SOURCE : IPV6_SOURCE);
  const destination = inner + (family === 4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  if (isFarEnd(record, flags, destination, family)) return REASON_NESTING_LIMIT;
  const isLinux = (flags & FLAG_LINUX) !== 0;
  if (!isLinux && isOwnTunnels(image, inner, source, family)) return REASON_NESTING_LIMIT;
  if (!isFarEnd(record, flags, source, family)) return REASON_NONE;
  if (isLinux && !(flags & FLAG_OVER6 && family === 6)) return REASON_NONE;
  // From there it has come back, or is forged; but a keepalive of ours is one that the peer is to send back.
  const isAsking = flags & FLAG_KEEPALIVE && isNearEnd(record, flags, destination, family);
  return isAsking ? REASON_NONE : REASON_INNER_SRC_SPOOF;
}

/** Whether the inner address at `ptr` is the tunnel's far end, an outer address. */
function isFarEnd(record: usize, flags: u32, ptr: usize, family: u32): bool {
  return isOuter(record, flags, IPV4_DESTINATION, IPV6_DESTINATION, ptr, family);
}

/** The same for our own end. */
function isNearEnd(record: usize, flags: u32, ptr: usize, family: u32): bool {
  return isOuter(record, flags, IPV4_SOURCE, IPV6_SOURCE, ptr, family);
}

function isOuter(
  record: usize,
  flags: u32,
  field4: usize,
  field6: usize,
  ptr: usize,
  family: u32,
): bool {
  const over6 = (flags & FLAG_OVER6) !== 0;
  const end = record + RECORD_OUTER + (over6 ? field6 : field4);
  const outerFamily: u32 = over6 ? 6 : 4;
  if (lowOf(ptr, family) !== lowOf(end, outerFamily)) return false;
  return highOf(ptr, family) === highOf(end, outerFamily);
}

/**
 * Whether a packet is one that a tunnel of ours has just sent: it came back to go in again, and would do so as often as
 * it fits. What else the router sends from such an address may take a tunnel, as what it sends from any other.
 */
function isOwnTunnels(image: usize, inner: usize, source: usize, family: u32): bool {
  if (!isTunnelPacket(inner, family)) return false;
  return (ownFlags(image, source, family) & OWN_OUTER) !== 0;
}

function isTunnelPacket(inner: usize, family: u32): bool {
  let next: u32;
  let start: u32;
  let length: u32;
  if (family === 4) {
    next = <u32>load<u8>(inner, IPV4_PROTOCOL);
    if (next !== PROTOCOL_UDP) return isTunnelProtocol(next);
    start = headerLength4(inner);
    length = totalLength4(inner);
    if (isLaterFragment4(inner)) return false; // its port is in the first
  } else {
    next = <u32>load<u8>(inner, IPV6_NEXT_HEADER);
    start = IPV6_LENGTH;
    length = totalLength6(inner);
    if (isExtension(next)) {
      const upper = walkExtensions(inner, length);
      if (upper >= WALK_FRAGMENT) return false;
      next = upper >>> 16;
      start = upper & 0xffff;
    }
    if (next !== PROTOCOL_UDP) return isTunnelProtocol(next);
  }
  if (start + UDP_LENGTH > length) return false;
  return load16(inner + start + UDP_DESTINATION_PORT) === GRE_UDP_PORT;
}

/** The same for a frame: a segment has neither TTL nor routes. */
export function checkFrame(record: usize, flags: u32): u32 {
  return hasEndpoints(record, flags) ? REASON_NONE : REASON_NO_ROUTE;
}

/** Whether there is an address to send to and, as no kernel fills it in over IPv6, one to send from. */
function hasEndpoints(record: usize, flags: u32): bool {
  const outer = record + RECORD_OUTER;
  if (!(flags & FLAG_OVER6)) {
    return load<u32>(outer, IPV4_DESTINATION) !== 0;
  }
  const source = load<u64>(outer, IPV6_SOURCE) | load<u64>(outer, IPV6_SOURCE + 8);
  const destination = load<u64>(outer, IPV6_DESTINATION) | load<u64>(outer, IPV6_DESTINATION + 8);
  return source !== 0 && destination !== 0;
}

/**
 * How many tunnels more an IPv6 packet says it may enter, of whatever kind (RFC 2473, 4.1.1), or NO_LIMIT. Linux looks
 * for that only in tunnels over IPv6.
 */
export function innerLimit(flags: u32, ip: usize, family: u32): u32 {
  if (family !== 6 || (flags & (FLAG_LINUX | FLAG_OVER6)) === <u32>FLAG_LINUX) return NO_LIMIT;
  if (!isOptional(<u32>load<u8>(ip, IPV6_NEXT_HEADER))) return NO_LIMIT;
  return encapLimitOf(ip, totalLength6(ip));
}

/** `family` 0: a frame without an IP packet, which gets the TTL of most systems. */
export function innerTtl(inner: usize, family: u32): u32 {
  if (family === 0) return FRAME_TTL;
  return family === 4 ? <u32>load<u8>(inner, IPV4_TTL) : <u32>load<u8>(inner, IPV6_HOP_LIMIT);
}
