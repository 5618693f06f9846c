// decap path: underlay -> ring -> decap -> ring -> TUN
//
//   1. decapBatch       every filled slot; shows them to the draining end together
//   2. decapPacket      one packet, in this order:
//      checkOuter       outer header: sound, whole, from a possible sender
//      checkUdp         UDP header of GRE-in-UDP: whole, checksum right or absent
//      checkGre         GRE header: known and whole
//      find             tunnel by (local, remote, key)
//      receiveGre       checksum, sequence, protocol type
//   3. deliver          the inner packet:
//      checkInner4/6    header sound, addresses possible
//      checkPolicy      addresses allowed from this tunnel, TTL
//      takeEcn          congestion seen on the way
import { partialTcpHeaders, putDeviceHeader } from './device';
import {
  CONTROL_TABLE,
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_PAYLOAD,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  FLAG_ALLOW_ANY,
  FLAG_ALLOW_LINK_LOCAL,
  FLAG_KEY_IN,
  FLAG_SEQUENCE_IN,
  NO_TUNNEL,
  OWN_OUTER,
  RECORD_FLAGS,
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
import {
  REASON_ECN,
  REASON_GRE_CHECKSUM,
  REASON_GRE_RESERVED_BITS,
  REASON_GRE_ROUTING_PRESENT,
  REASON_GRE_SEQUENCE,
  REASON_GRE_TRUNCATED,
  REASON_GRE_VERSION,
  REASON_INNER_DST_POLICY,
  REASON_INNER_HEADER,
  REASON_INNER_MARTIAN,
  REASON_INNER_SRC_SPOOF,
  REASON_INNER_TRUNCATED,
  REASON_INNER_TTL,
  REASON_INNER_VERSION,
  REASON_NESTING_LIMIT,
  REASON_NO_TUNNEL,
  REASON_NONE,
  REASON_OUTER_FRAGMENT,
  REASON_OUTER_HEADER,
  REASON_OUTER_MARTIAN,
  REASON_UDP_CHECKSUM,
  REASON_UDP_HEADER,
  REASON_UNKNOWN_PROTOCOL,
} from './reason';
import { acceptsSource, lookup, ownFlags, recordAt } from './tunnel';
import { highOf, isLinkLocal6, isMulticast, isUnspecified6, lowOf } from './wire/address';
import { load16, load32 } from './wire/bytes';
import { finish, sum } from './wire/checksum';
import { ECN_DROP, ECN_MASK, ECN_NOT_ECT, mergeEcn } from './wire/ecn';
import {
  GRE_BASE_LENGTH,
  GRE_C,
  GRE_K,
  GRE_PROTOCOL_TYPE,
  GRE_R,
  GRE_RESERVED,
  GRE_S,
  GRE_VERSION,
  greFlags,
  greKey,
  greLength,
  greSequence,
  PROTOCOL_TYPE_IPV4,
  PROTOCOL_TYPE_IPV6,
} from './wire/gre';
import {
  headerLength4,
  IPV4_DESTINATION,
  IPV4_LENGTH,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOS,
  IPV4_TTL,
  isFragment4,
  isLinkLocal4,
  isMartianDestination4,
  isMartianSource4,
  isSound4,
  PROTOCOL_GRE,
  PROTOCOL_IPIP,
  PROTOCOL_SIT,
  PROTOCOL_UDP,
  setEcn4,
  totalLength4,
  version,
} from './wire/ipv4';
import {
  IPV6_DESTINATION,
  IPV6_HOP_LIMIT,
  IPV6_LENGTH,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
  isMartianDestination6,
  isMartianSource6,
  isSound6,
  setEcn6,
  totalLength6,
  trafficClass,
} from './wire/ipv6';
import {
  GRE_UDP_PORT,
  isUdpChecksumRight,
  UDP_DESTINATION_PORT,
  UDP_LENGTH,
  udpLength,
} from './wire/udp';

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
  const reason = checkOuter(outer, length, image);
  if (reason !== REASON_NONE) return reason;

  const own = headerLength4(outer);
  let payload = outer + own;
  let available = totalLength4(outer) - own;
  const protocol = <u32>load<u8>(outer, IPV4_PROTOCOL);
  if (protocol === PROTOCOL_UDP) {
    // INVARIANT: the filling end makes a first piece of two of IPv4 and UDP header, nothing else.
    const gre =
      rest === 0 ? payload + UDP_LENGTH : <usize>load<u32>(descriptor, DESCRIPTOR_PAYLOAD);
    const fault = checkUdp(outer, payload, available, gre);
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
  const tunnel = find(descriptor, outer, isGre ? payload : 0, image, protocol);
  if (tunnel === NO_TUNNEL) return REASON_NO_TUNNEL;
  store<u32>(descriptor, tunnel, DESCRIPTOR_TUNNEL); // from here on a drop counts at the tunnel

  const record = recordAt(image, tunnel);
  let family: u32 = protocol === PROTOCOL_SIT ? 6 : 4;
  let header: u32 = 0;
  if (isGre) {
    const fault = receiveGre(payload, available, record, states + tunnel * STATE_SIZE);
    if (fault !== REASON_NONE) return fault;
    header = greLength(greFlags(payload));
    family = carriedFamily(payload);
  }
  const inner = payload + header;
  return deliver(descriptor, outer, image, record, inner, available - header, family);
}

/** Whether the outer header is sound, whole, and from a possible sender. */
function checkOuter(outer: usize, length: u32, image: usize): u32 {
  if (length === 0) return REASON_OUTER_HEADER;
  if (version(outer) !== 4) {
    // No tunnel has an IPv6 underlay.
    return version(outer) === 6 && length >= IPV6_LENGTH ? REASON_NO_TUNNEL : REASON_OUTER_HEADER;
  }
  if (!isSound4(outer, length)) return REASON_OUTER_HEADER;
  if (isFragment4(outer)) return REASON_OUTER_FRAGMENT;
  if (isMartianSource4(outer + IPV4_SOURCE)) return REASON_OUTER_MARTIAN;
  // A packet of our own that came back, or a forged one.
  if (ownFlags(image, outer + IPV4_SOURCE, 4) & OWN_OUTER) return REASON_OUTER_MARTIAN;
  return REASON_NONE;
}

/** Whether a datagram is GRE-in-UDP and sound; its payload, as far as it is there, lies at `gre`. */
function checkUdp(outer: usize, udp: usize, available: u32, gre: usize): u32 {
  if (available < 4) return REASON_NO_TUNNEL;
  if (load16(udp + UDP_DESTINATION_PORT) !== GRE_UDP_PORT) return REASON_NO_TUNNEL;
  if (available < UDP_LENGTH) return REASON_UDP_HEADER;
  const length = udpLength(udp);
  if (length < UDP_LENGTH || length > available) return REASON_UDP_HEADER;
  const isRight = isUdpChecksumRight(outer, udp, gre, length - UDP_LENGTH);
  return isRight ? REASON_NONE : REASON_UDP_CHECKSUM;
}

/** Whether the GRE header is one that RFC 2784 and RFC 2890 know, and whole. */
function checkGre(gre: usize, length: u32): u32 {
  if (length < GRE_BASE_LENGTH) return REASON_GRE_TRUNCATED;
  const flags = greFlags(gre);
  if (flags & (GRE_VERSION | GRE_R | GRE_RESERVED)) {
    if (flags & GRE_VERSION) return REASON_GRE_VERSION;
    return flags & GRE_R ? REASON_GRE_ROUTING_PRESENT : REASON_GRE_RESERVED_BITS;
  }
  return length < greLength(flags) ? REASON_GRE_TRUNCATED : REASON_NONE;
}

/** The tunnel that a packet belongs to, or NO_TUNNEL. `gre`: its GRE header, 0 without one. */
function find(descriptor: usize, outer: usize, gre: usize, image: usize, protocol: u32): u32 {
  const flags = gre !== 0 ? greFlags(gre) : 0;
  const local = load32(outer + IPV4_DESTINATION);
  const remote = load32(outer + IPV4_SOURCE);
  const link = load<u32>(descriptor, DESCRIPTOR_LINK);
  const keyed: u32 = flags & GRE_K ? FLAG_KEY_IN : 0;
  return lookup(image, protocol, local, remote, keyed, greKey(gre, flags), link);
}

/** What a tunnel asks of a whole GRE packet: checksum, sequence number, a payload that is IP. */
function receiveGre(gre: usize, length: u32, record: usize, state: usize): u32 {
  const flags = greFlags(gre);
  // Verified whenever it is there, whatever the tunnel sends itself (RFC 2784, 2.2).
  if (flags & GRE_C) {
    if (finish(sum(gre, length, 0)) !== 0) {
      if (!isMerged(gre, length)) return REASON_GRE_CHECKSUM;
    }
  }
  if (flags & GRE_S) {
    if (load<u32>(record, RECORD_FLAGS) & FLAG_SEQUENCE_IN) {
      if (!acceptsSequence(state, greSequence(gre, flags))) return REASON_GRE_SEQUENCE;
    }
  }
  return carriedFamily(gre) === 0 ? REASON_UNKNOWN_PROTOCOL : REASON_NONE;
}

/** IP version that the protocol type announces, 0 for any other protocol. */
function carriedFamily(gre: usize): u32 {
  const type = <u32>load<u16>(gre, GRE_PROTOCOL_TYPE);
  if (type === PROTOCOL_TYPE_IPV4) return 4;
  return type === PROTOCOL_TYPE_IPV6 ? 6 : 0;
}

/**
 * Whether the kernel made this packet of several on receipt (GRO). It verified the GRE checksum of each,
 * and left that of the first in the merged one, where it fits nothing.
 */
function isMerged(gre: usize, length: u32): bool {
  const own = greLength(greFlags(gre));
  const inner = gre + own;
  const available = length - own;
  const family = carriedFamily(gre);
  if (available === 0 || family === 0 || version(inner) !== family) return false;
  const isSound = family === 4 ? isSound4(inner, available) : isSound6(inner, available);
  return isSound && partialTcpHeaders(inner, innerLength(inner, family), family) !== 0;
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

/** Checks the `available` bytes at `inner` as a packet of `family` and makes them the slot's packet. */
function deliver(
  descriptor: usize,
  outer: usize,
  image: usize,
  record: usize,
  inner: usize,
  available: u32,
  family: u32,
): u32 {
  if (available === 0) return REASON_INNER_TRUNCATED;
  if (version(inner) !== family) return REASON_INNER_VERSION;
  const fault =
    family === 4 ? checkInner4(record, inner, available) : checkInner6(inner, available);
  if (fault !== REASON_NONE) return fault;
  const refusal = checkPolicy(image, record, inner, family);
  if (refusal !== REASON_NONE) return refusal;
  const outerEcn = <u32>load<u8>(outer, IPV4_TOS) & ECN_MASK;
  if (outerEcn !== ECN_NOT_ECT) {
    if (!takeEcn(inner, family, outerEcn)) return REASON_ECN;
  }
  const length = innerLength(inner, family);
  putDeviceHeader(descriptor, record, inner, length, family);
  store<u32>(descriptor, <u32>inner, DESCRIPTOR_ADDRESS);
  store<u32>(descriptor, length, DESCRIPTOR_LENGTH);
  store<u32>(descriptor, 0, DESCRIPTOR_PAYLOAD_LENGTH);
  store<u32>(descriptor, length, DESCRIPTOR_INNER_LENGTH);
  return REASON_NONE;
}

/** What a sound inner packet says its length is: bytes behind it are padding. */
function innerLength(inner: usize, family: u32): u32 {
  return family === 4 ? totalLength4(inner) : totalLength6(inner);
}

/** Whether an inner IPv4 header is sound and its addresses are possible in another network. */
function checkInner4(record: usize, inner: usize, available: u32): u32 {
  if (available < IPV4_LENGTH) return REASON_INNER_TRUNCATED;
  if (!isSound4(inner, available)) return REASON_INNER_HEADER;
  const source = inner + IPV4_SOURCE;
  const destination = inner + IPV4_DESTINATION;
  if (isMartianSource4(source)) return REASON_INNER_MARTIAN;
  if (isMartianDestination4(destination)) return REASON_INNER_MARTIAN;
  if (isLinkLocal4(source) || isLinkLocal4(destination)) {
    if (!(load<u32>(record, RECORD_FLAGS) & FLAG_ALLOW_LINK_LOCAL)) return REASON_INNER_MARTIAN;
  }
  return REASON_NONE;
}

/** The same for IPv6, whose header has no checksum. */
function checkInner6(inner: usize, available: u32): u32 {
  if (available < IPV6_LENGTH) return REASON_INNER_TRUNCATED;
  if (!isSound6(inner, available)) return REASON_INNER_HEADER;
  const destinationHigh = load<u64>(inner, IPV6_DESTINATION);
  const destinationLow = load<u64>(inner, IPV6_DESTINATION + 8);
  const sourceHigh = load<u64>(inner, IPV6_SOURCE);
  const sourceLow = load<u64>(inner, IPV6_SOURCE + 8);
  if (isMartianSource6(sourceHigh, sourceLow, destinationHigh)) return REASON_INNER_MARTIAN;
  if (isMartianDestination6(destinationHigh, destinationLow)) return REASON_INNER_MARTIAN;
  return REASON_NONE;
}

/** What this tunnel may send us. */
function checkPolicy(image: usize, record: usize, inner: usize, family: u32): u32 {
  const is4 = family === 4;
  const source = inner + (is4 ? IPV4_SOURCE : IPV6_SOURCE);
  const destination = inner + (is4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  if (ownFlags(image, source, family)) return REASON_INNER_SRC_SPOOF;
  const own = ownFlags(image, destination, family);
  if (own & OWN_OUTER) {
    // A tunnel packet inside a tunnel packet would reach the tunnel past the underlay's filters.
    const next = is4 ? <u32>load<u8>(inner, IPV4_PROTOCOL) : <u32>load<u8>(inner, IPV6_NEXT_HEADER);
    return isTunnelProtocol(next) ? REASON_NESTING_LIMIT : REASON_INNER_DST_POLICY;
  }
  if (!(load<u32>(record, RECORD_FLAGS) & FLAG_ALLOW_ANY)) {
    const high = highOf(source, family);
    const low = lowOf(source, family);
    if (!acceptsSource(record, high, low)) {
      // These got here only with a link-local destination: they stay on this link.
      if (!isLinkLocal6(high) && !isUnspecified6(high, low)) return REASON_INNER_SRC_SPOOF;
    }
  }
  const ttl = is4 ? <u32>load<u8>(inner, IPV4_TTL) : <u32>load<u8>(inner, IPV6_HOP_LIMIT);
  if (ttl > 1) return REASON_NONE;
  // A router would have to drop it (RFC 1812, 5.3.1). What ends here is not forwarded.
  const endsHere =
    own !== 0 || isMulticast(highOf(destination, family), lowOf(destination, family));
  return ttl === 1 && endsHere ? REASON_NONE : REASON_INNER_TTL;
}

function isTunnelProtocol(protocol: u32): bool {
  return protocol === PROTOCOL_GRE || protocol === PROTOCOL_IPIP || protocol === PROTOCOL_SIT;
}

/** Carries the ECN field of the outer header over. Returns false when the packet must be dropped. */
function takeEcn(inner: usize, family: u32, outerEcn: u32): bool {
  const tos = family === 4 ? <u32>load<u8>(inner, IPV4_TOS) : trafficClass(inner);
  const ecn = mergeEcn(outerEcn, tos & ECN_MASK);
  if (ecn === ECN_DROP) return false;
  if (ecn === (tos & ECN_MASK)) return true;
  if (family === 4) setEcn4(inner, ecn);
  else setEcn6(inner, ecn);
  return true;
}
