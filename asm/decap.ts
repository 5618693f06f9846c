// decap path: underlay -> ring -> decap -> ring -> TUN
//
//   1. decapBatch       every filled slot; shows them to the draining end together
//   2. decapPacket      one packet, in this order:
//      checkOuter4/6    received.ts: outer header sound, whole, from a possible sender
//      checkUdp         received.ts: UDP header of GRE-in-UDP whole, checksum right or absent
//      checkGre         GRE header: known and whole
//      find             table.ts: tunnel by (mode, local, remote, key)
//      receiveGre       reserved bits, checksum, sequence, protocol type
//   3. leave            leave.ts: may the inner packet or frame leave the tunnel, and how?
//      endHere          local.ts: what is meant for the router itself

import { partialTcpHeaders } from './device-header';
import { ETHERNET_LENGTH, findIp } from './frame';
import {
  CONTROL_TABLE,
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_PAYLOAD,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  FLAG_CHECKSUM_IN,
  FLAG_ETHERNET,
  FLAG_KEEPALIVE,
  FLAG_KEY_IN,
  FLAG_LINUX,
  FLAG_REORDER,
  FLAG_SEQUENCE_IN,
  LOCAL_ANSWER,
  MODE_GRE,
  MODE_GRE_UDP,
  MODE_GRETAP,
  MODE_IPIP,
  MODE_OVER6,
  MODE_SIT,
  NO_TUNNEL,
  RECORD_FLAGS,
  RECORD_MODE,
  RESYNC_COUNT,
  RING_DESCRIPTORS,
  RING_FILLED,
  RING_MASK,
  RING_PROCESSED,
  RING_STATES,
  STATE_RX_NEXT,
  STATE_RX_SYNCED,
  STATE_SIZE,
  STATE_STALE_COUNT,
  STATE_STALE_NEXT,
} from './layout';
import { CARRIES_ETHERNET, innerLength, leave } from './leave';
import { endHere } from './local';
import {
  REASON_EARLY,
  REASON_GRE_CHECKSUM,
  REASON_GRE_RESERVED_BITS,
  REASON_GRE_ROUTING_PRESENT,
  REASON_GRE_SEQUENCE,
  REASON_GRE_TRUNCATED,
  REASON_GRE_VERSION,
  REASON_LOCAL,
  REASON_NO_TUNNEL,
  REASON_NONE,
  REASON_OUTER_FRAGMENT,
  REASON_OUTER_HEADER,
  REASON_UNKNOWN_PROTOCOL,
} from './reason';
import { checkOuter4, checkSource6, checkUdp } from './received';
import { lookup, recordAt } from './table';
import { finish, sum } from './wire/checksum';
import {
  GRE_BASE_LENGTH,
  GRE_C,
  GRE_K,
  GRE_PROTOCOL_TYPE,
  GRE_R,
  GRE_RESERVED,
  GRE_RESERVED_LINUX,
  GRE_S,
  GRE_VERSION,
  greFlags,
  greKey,
  greLength,
  greSequence,
  PROTOCOL_TYPE_ETHERNET,
  PROTOCOL_TYPE_IPV4,
  PROTOCOL_TYPE_IPV6,
  PROTOCOL_TYPE_WCCP,
} from './wire/gre';
import {
  headerLength4,
  IPV4_DESTINATION,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  isSound4,
  PROTOCOL_GRE,
  PROTOCOL_IPIP,
  PROTOCOL_SIT,
  PROTOCOL_UDP,
  totalLength4,
  version,
} from './wire/ipv4';
import {
  IPV6_DESTINATION,
  IPV6_SOURCE,
  isSound6,
  totalLength6,
  WALK_FRAGMENT,
  walkExtensions,
} from './wire/ipv6';
import { UDP_LENGTH, udpLength } from './wire/udp';

/** What carriedBy returns besides IP versions and CARRIES_ETHERNET. */
const CARRIES_NOTHING: u32 = 0;
/** Bytes of the redirect header that WCCP version 2 puts in front of the packet. */
const WCCP_LENGTH: u32 = 4;

/** Decapsulates the packets between PROCESSED and FILLED. Returns how many that were. */
export function decapBatch(ring: usize): u32 {
  const filled = load<u32>(ring, RING_FILLED);
  const first = load<u32>(ring, RING_PROCESSED);
  const mask = load<u32>(ring, RING_MASK);
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const states = <usize>load<u32>(ring, RING_STATES);
  // One image for the whole batch: the host may publish another meanwhile. Before the first publication
  // this is 0, the control block, whose leading words are 0: an image that matches nothing.
  const image = <usize>atomic.load<u32>(CONTROL_TABLE);

  for (let position = first; position !== filled; position++) {
    const descriptor = descriptors + (position & mask) * DESCRIPTOR_SIZE;
    store<u32>(descriptor, NO_TUNNEL, DESCRIPTOR_TUNNEL);
    store<u32>(descriptor, (position & mask) + 1, DESCRIPTOR_EMIT); // alone in its turn, nothing follows
    store<u32>(descriptor, decapPacket(descriptor, image, states), DESCRIPTOR_REASON);
  }
  store<u32>(ring, filled, RING_PROCESSED);
  return filled - first;
}

/** Decapsulates one packet. Returns its reason. */
function decapPacket(descriptor: usize, image: usize, states: usize): u32 {
  const rest = load<u32>(descriptor, DESCRIPTOR_PAYLOAD_LENGTH);
  const length = load<u32>(descriptor, DESCRIPTOR_LENGTH) + rest;
  const outer = <usize>load<u32>(descriptor, DESCRIPTOR_ADDRESS);
  if (length === 0) return REASON_OUTER_HEADER;
  const outerFamily = version(outer);
  let own: u32;
  let available: u32;
  let protocol: u32;
  if (outerFamily === 6) {
    if (!isSound6(outer, length)) return REASON_OUTER_HEADER;
    const upper = walkExtensions(outer, totalLength6(outer));
    if (upper >= WALK_FRAGMENT) {
      return upper === WALK_FRAGMENT ? REASON_OUTER_FRAGMENT : REASON_OUTER_HEADER;
    }
    const fault = checkSource6(outer, image);
    if (fault !== REASON_NONE) return fault;
    own = upper & 0xffff;
    available = totalLength6(outer) - own;
    protocol = upper >>> 16;
  } else {
    const fault = checkOuter4(outer, length, image);
    if (fault !== REASON_NONE) return fault;
    own = headerLength4(outer);
    available = totalLength4(outer) - own;
    protocol = <u32>load<u8>(outer, IPV4_PROTOCOL);
  }
  let payload = outer + own;
  if (protocol === PROTOCOL_UDP) {
    // INVARIANT: the filling end makes a first piece of two of IP and UDP header, nothing else.
    const gre =
      rest === 0 ? payload + UDP_LENGTH : <usize>load<u32>(descriptor, DESCRIPTOR_PAYLOAD);
    const fault = checkUdp(outer, outerFamily, payload, available, gre, rest !== 0);
    if (fault !== REASON_NONE) return fault;
    available = udpLength(payload) - UDP_LENGTH;
    payload = gre;
  }
  const isGre = protocol === PROTOCOL_GRE || protocol === PROTOCOL_UDP;
  if (isGre) {
    const fault = checkGre(payload, available);
    if (fault !== REASON_NONE) return fault;
  } else if (protocol !== PROTOCOL_IPIP) {
    if (protocol !== PROTOCOL_SIT) return REASON_NO_TUNNEL;
  }
  const tunnel = find(descriptor, outer, outerFamily, isGre ? payload : 0, image, protocol);
  if (tunnel === NO_TUNNEL) return REASON_NO_TUNNEL;
  store<u32>(descriptor, tunnel, DESCRIPTOR_TUNNEL); // from here on a drop counts at the tunnel

  const record = recordAt(image, tunnel);
  const state = states + tunnel * STATE_SIZE;
  let family: u32 = protocol === PROTOCOL_SIT ? 6 : 4;
  let header: u32 = 0;
  if (isGre) {
    const fault = receiveGre(payload, available, record, state, outerFamily);
    header = greLength(greFlags(payload));
    if (fault !== REASON_NONE) {
      if (fault !== REASON_LOCAL) return fault;
      return endHere(descriptor, LOCAL_ANSWER, payload + header, available - header);
    }
    family = carriedBy(payload, outerFamily);
    header += redirectLength(payload, header, available, family);
    if (header > available) return REASON_GRE_TRUNCATED;
  }
  const inner = payload + header;
  return leave(descriptor, outer, image, record, state, inner, available - header, family);
}

/** Whether the GRE header is one that RFC 2784 and RFC 2890 know, and whole. */
function checkGre(gre: usize, length: u32): u32 {
  if (length < GRE_BASE_LENGTH) return REASON_GRE_TRUNCATED;
  const flags = greFlags(gre);
  if (flags & (GRE_VERSION | GRE_R)) {
    return flags & GRE_VERSION ? REASON_GRE_VERSION : REASON_GRE_ROUTING_PRESENT;
  }
  return length < greLength(flags) ? REASON_GRE_TRUNCATED : REASON_NONE;
}

/** The tunnel that a packet belongs to, or NO_TUNNEL. `gre`: its GRE header, 0 without one. */
function find(
  descriptor: usize,
  outer: usize,
  family: u32,
  gre: usize,
  image: usize,
  protocol: u32,
): u32 {
  const flags = gre !== 0 ? greFlags(gre) : 0;
  const local = outer + (family === 4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  const remote = outer + (family === 4 ? IPV4_SOURCE : IPV6_SOURCE);
  const link = load<u32>(descriptor, DESCRIPTOR_LINK);
  const keyed: u32 = flags & GRE_K ? FLAG_KEY_IN : 0;
  const key = greKey(gre, flags);
  let mode = modeOf(protocol, gre) | (family === 4 ? 0 : MODE_OVER6);
  let tunnel: u32 = NO_TUNNEL;
  for (let tries = 0; tries < 2; tries++) {
    tunnel = lookup(image, mode, family, local, remote, keyed, key, link);
    if (tunnel !== NO_TUNNEL || protocol !== PROTOCOL_GRE) break;
    // A frame for a tunnel of packets, or the other way round: the tunnel is known, the protocol is not.
    mode ^= MODE_GRE ^ MODE_GRETAP;
  }
  return tunnel;
}

/** RECORD_MODE of tunnels with this protocol over IPv4. */
function modeOf(protocol: u32, gre: usize): u32 {
  if (protocol === PROTOCOL_GRE) {
    const type = <u32>load<u16>(gre, GRE_PROTOCOL_TYPE);
    return type === PROTOCOL_TYPE_ETHERNET ? MODE_GRETAP : MODE_GRE;
  }
  if (protocol === PROTOCOL_UDP) return MODE_GRE_UDP;
  return protocol === PROTOCOL_IPIP ? MODE_IPIP : MODE_SIT;
}

/**
 * What a tunnel asks of a whole GRE packet: reserved bits, checksum, sequence number, a payload that it carries;
 * REASON_LOCAL: the answer to a keepalive.
 */
function receiveGre(gre: usize, length: u32, record: usize, state: usize, outerFamily: u32): u32 {
  const flags = greFlags(gre);
  const own = load<u32>(record, RECORD_FLAGS);
  const isLinux = (own & FLAG_LINUX) !== 0;
  if (flags & (isLinux ? GRE_RESERVED_LINUX : GRE_RESERVED)) return REASON_GRE_RESERVED_BITS;
  // Verified whenever it is there, whatever the tunnel sends itself (RFC 2784, 2.2).
  if (flags & GRE_C) {
    if (finish(sum(gre, length, 0)) !== 0) {
      if (!isMerged(gre, length)) return REASON_GRE_CHECKSUM;
    }
  }
  if (isLinux) {
    if (((flags & GRE_C) !== 0) !== ((own & FLAG_CHECKSUM_IN) !== 0)) return REASON_GRE_CHECKSUM;
    if (own & FLAG_SEQUENCE_IN && !(flags & GRE_S)) return REASON_GRE_SEQUENCE;
  }
  if (flags & GRE_S) {
    if (own & FLAG_SEQUENCE_IN) {
      const sequence = greSequence(gre, flags);
      if (own & FLAG_REORDER && isEarly(state, sequence)) return REASON_EARLY;
      if (!acceptsSequence(state, sequence)) return REASON_GRE_SEQUENCE;
    }
  }
  const carried = carriedBy(gre, outerFamily);
  if (carried === CARRIES_NOTHING) {
    const isAnswer = own & FLAG_KEEPALIVE && load<u16>(gre, GRE_PROTOCOL_TYPE) === 0;
    const isHere = (load<u32>(record, RECORD_MODE) & ~MODE_OVER6) === MODE_GRE;
    return isAnswer && isHere ? REASON_LOCAL : REASON_UNKNOWN_PROTOCOL;
  }
  const isFrame = carried === CARRIES_ETHERNET;
  return isFrame === ((own & FLAG_ETHERNET) !== 0) ? REASON_NONE : REASON_UNKNOWN_PROTOCOL;
}

/**
 * What the protocol type announces: an IP version, CARRIES_ETHERNET or CARRIES_NOTHING that we know. A new payload is
 * a line here, its handler in decapPacket, and the same in src/packet/payload.ts.
 */
function carriedBy(gre: usize, outerFamily: u32): u32 {
  const type = <u32>load<u16>(gre, GRE_PROTOCOL_TYPE);
  if (type === PROTOCOL_TYPE_IPV4) return 4;
  if (type === PROTOCOL_TYPE_IPV6) return 6;
  if (type === PROTOCOL_TYPE_ETHERNET) return CARRIES_ETHERNET;
  const isRedirect = type === PROTOCOL_TYPE_WCCP && greLength(greFlags(gre)) === GRE_BASE_LENGTH;
  return isRedirect ? outerFamily : CARRIES_NOTHING;
}

/**
 * Bytes between GRE header and packet: version 2 of WCCP has a header there, whose first bits look like no IP
 * version, version 1 nothing.
 */
function redirectLength(gre: usize, header: u32, available: u32, family: u32): u32 {
  if (<u32>load<u16>(gre, GRE_PROTOCOL_TYPE) !== PROTOCOL_TYPE_WCCP) return 0;
  const isBare = available > header && version(gre + header) === family;
  return isBare ? 0 : WCCP_LENGTH;
}

/**
 * Whether the kernel made this packet of several on receipt (GRO). It verified the GRE checksum of each,
 * and left that of the first in the merged one, where it fits nothing.
 */
function isMerged(gre: usize, length: u32): bool {
  const own = greLength(greFlags(gre));
  let inner = gre + own;
  let available = length - own;
  const type = <u32>load<u16>(gre, GRE_PROTOCOL_TYPE);
  let family: u32 = type === PROTOCOL_TYPE_IPV4 ? 4 : type === PROTOCOL_TYPE_IPV6 ? 6 : 0;
  if (type === PROTOCOL_TYPE_ETHERNET && available >= ETHERNET_LENGTH) {
    const start = findIp(inner, available);
    if (start === 0) return false;
    inner += start;
    available -= start;
    family = version(inner);
  }
  if (available === 0 || family === 0 || version(inner) !== family) return false;
  const isSound = family === 4 ? isSound4(inner, available) : isSound6(inner, available);
  return isSound && partialTcpHeaders(inner, innerLength(inner, family), family) !== 0;
}

/** Whether numbers before this one are still to come (RFC 2890, 2.2). */
function isEarly(state: usize, sequence: u32): bool {
  if (!load<u32>(state, STATE_RX_SYNCED)) return false;
  return <i32>(sequence - load<u32>(state, STATE_RX_NEXT)) > 0;
}

/**
 * Whether a sequence number is the expected one or newer (RFC 2890, 2.2). Old numbers in unbroken order are
 * a sender that began anew: after RESYNC_COUNT of them it is followed.
 */
function acceptsSequence(state: usize, sequence: u32): bool {
  if (load<u32>(state, STATE_RX_SYNCED) && <i32>(sequence - load<u32>(state, STATE_RX_NEXT)) < 0) {
    const continues = sequence === load<u32>(state, STATE_STALE_NEXT);
    const count = continues ? load<u32>(state, STATE_STALE_COUNT) + 1 : 1;
    store<u32>(state, count, STATE_STALE_COUNT);
    store<u32>(state, sequence + 1, STATE_STALE_NEXT);
    if (count < <u32>RESYNC_COUNT) return false;
  }
  store<u32>(state, 1, STATE_RX_SYNCED);
  store<u32>(state, sequence + 1, STATE_RX_NEXT);
  store<u32>(state, 0, STATE_STALE_COUNT);
  return true;
}
