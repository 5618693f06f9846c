// decap path: underlay -> ring -> decap -> ring -> TUN
//
//   1. decapBatch       every filled slot; shows them to the draining end together
//   2. decapPacket      outer header: sound, whole, from a possible sender; which protocol
//   3. decapGre         GRE header, tunnel by (local, remote, key), checksum, sequence, protocol type
//      decapIp          IPIP and SIT: tunnel by (local, remote)
//   4. deliver          the inner packet: checks, ECN, trim to it, device header in front
//      checkInner4/6    inner header sound, addresses possible
//      checkPolicy      addresses allowed from this tunnel, TTL
import { partialTcpHeaders, putDeviceHeader } from './device';
import {
  CONTROL_TABLE,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_OFFSET,
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
  RING_SLOTS,
  RING_STATES,
  SLOT_STRIDE,
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
  REASON_UNKNOWN_PROTOCOL,
} from './reason';
import { acceptsSource, lookup, ownFlags, recordAt } from './tunnel';
import { isLinkLocal6, isMulticast, MAPPED_HIGH, mappedLow } from './wire/address';
import { load32 } from './wire/bytes';
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
  setEcn6,
  totalLength6,
  trafficClass,
} from './wire/ipv6';

/** Decapsulates the packets between PROCESSED and FILLED. Returns how many that were. */
export function decapBatch(ring: usize): u32 {
  const filled = load<u32>(ring, RING_FILLED);
  const first = load<u32>(ring, RING_PROCESSED);
  const mask = load<u32>(ring, RING_MASK);
  const slots = <usize>load<u32>(ring, RING_SLOTS);
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const states = <usize>load<u32>(ring, RING_STATES);
  // One image for the whole batch: the host may publish another meanwhile. Before the first publication
  // this is 0, the control block, whose leading words are 0: an image that matches nothing.
  const image = <usize>atomic.load<u32>(CONTROL_TABLE);

  for (let position = first; position !== filled; position++) {
    const descriptor = descriptors + (position & mask) * DESCRIPTOR_SIZE;
    const slot = slots + (position & mask) * SLOT_STRIDE;
    store<u32>(descriptor, NO_TUNNEL, DESCRIPTOR_TUNNEL);
    store<u32>(descriptor, decapPacket(descriptor, slot, image, states), DESCRIPTOR_REASON);
  }
  store<u32>(ring, filled, RING_PROCESSED);
  return filled - first;
}

/** Decapsulates one packet. Returns its reason. */
function decapPacket(descriptor: usize, slot: usize, image: usize, states: usize): u32 {
  const length = load<u32>(descriptor, DESCRIPTOR_LENGTH);
  const outer = slot + load<u32>(descriptor, DESCRIPTOR_OFFSET);
  if (length === 0) return REASON_OUTER_HEADER;
  const family = version(outer);
  if (family === 6) return length < IPV6_LENGTH ? REASON_OUTER_HEADER : REASON_NO_TUNNEL;
  if (family !== 4 || !isSound4(outer, length)) return REASON_OUTER_HEADER;
  if (isFragment4(outer)) return REASON_OUTER_FRAGMENT;
  if (isMartianSource4(outer + IPV4_SOURCE)) return REASON_OUTER_MARTIAN;
  // A packet of our own that came back, or a forged one.
  if (ownFlags(image, MAPPED_HIGH, mappedLow(outer + IPV4_SOURCE)) & OWN_OUTER) {
    return REASON_OUTER_MARTIAN;
  }
  const protocol = <u32>load<u8>(outer, IPV4_PROTOCOL);
  if (protocol === PROTOCOL_GRE) return decapGre(descriptor, slot, outer, image, states);
  if (protocol === PROTOCOL_IPIP) return decapIp(descriptor, slot, outer, image, protocol, 4);
  if (protocol === PROTOCOL_SIT) return decapIp(descriptor, slot, outer, image, protocol, 6);
  return REASON_NO_TUNNEL;
}

function decapGre(descriptor: usize, slot: usize, outer: usize, image: usize, states: usize): u32 {
  const gre = outer + headerLength4(outer);
  const length = totalLength4(outer) - headerLength4(outer);
  if (length < GRE_BASE_LENGTH) return REASON_GRE_TRUNCATED;
  const flags = greFlags(gre);
  if (flags & GRE_VERSION) return REASON_GRE_VERSION;
  if (flags & GRE_R) return REASON_GRE_ROUTING_PRESENT;
  if (flags & GRE_RESERVED) return REASON_GRE_RESERVED_BITS;
  const own = greLength(flags);
  if (length < own) return REASON_GRE_TRUNCATED;

  const keyed: u32 = flags & GRE_K ? FLAG_KEY_IN : 0;
  const tunnel = find(descriptor, outer, image, PROTOCOL_GRE, keyed, greKey(gre, flags));
  if (tunnel === NO_TUNNEL) return REASON_NO_TUNNEL;
  const record = recordAt(image, tunnel);
  // Verified whenever it is there, whatever the tunnel sends itself (RFC 2784, 2.2).
  if (flags & GRE_C && finish(sum(gre, length, 0)) !== 0) {
    if (!isMerged(gre, own, length)) return REASON_GRE_CHECKSUM;
  }
  if (flags & GRE_S && load<u32>(record, RECORD_FLAGS) & FLAG_SEQUENCE_IN) {
    const state = states + tunnel * STATE_SIZE;
    if (!acceptsSequence(state, greSequence(gre, flags))) return REASON_GRE_SEQUENCE;
  }
  const type = <u32>load<u16>(gre, GRE_PROTOCOL_TYPE);
  if (type === PROTOCOL_TYPE_IPV4) {
    return deliver(descriptor, slot, outer, image, record, gre + own, length - own, 4);
  }
  if (type === PROTOCOL_TYPE_IPV6) {
    return deliver(descriptor, slot, outer, image, record, gre + own, length - own, 6);
  }
  return REASON_UNKNOWN_PROTOCOL;
}

/**
 * Whether the kernel made this packet of several on receipt (GRO). It verified the GRE checksum of each,
 * and left that of the first in the merged one, where it fits nothing.
 */
function isMerged(gre: usize, own: u32, length: u32): bool {
  const inner = gre + own;
  const available = length - own;
  const type = <u32>load<u16>(gre, GRE_PROTOCOL_TYPE);
  if (type === PROTOCOL_TYPE_IPV4) {
    if (available < IPV4_LENGTH || version(inner) !== 4 || !isSound4(inner, available))
      return false;
    return partialTcpHeaders(inner, totalLength4(inner), 4) !== 0;
  }
  if (type !== PROTOCOL_TYPE_IPV6 || available < IPV6_LENGTH || version(inner) !== 6) return false;
  return totalLength6(inner) <= available && partialTcpHeaders(inner, totalLength6(inner), 6) !== 0;
}

function decapIp(
  descriptor: usize,
  slot: usize,
  outer: usize,
  image: usize,
  protocol: u32,
  family: u32,
): u32 {
  const tunnel = find(descriptor, outer, image, protocol, 0, 0);
  if (tunnel === NO_TUNNEL) return REASON_NO_TUNNEL;
  const own = headerLength4(outer);
  const length = totalLength4(outer) - own;
  const record = recordAt(image, tunnel);
  return deliver(descriptor, slot, outer, image, record, outer + own, length, family);
}

/** Finds the tunnel of a packet and notes it: from then on its drops count there. */
function find(
  descriptor: usize,
  outer: usize,
  image: usize,
  protocol: u32,
  keyed: u32,
  key: u32,
): u32 {
  const local = load32(outer + IPV4_DESTINATION);
  const remote = load32(outer + IPV4_SOURCE);
  const link = load<u32>(descriptor, DESCRIPTOR_LINK);
  const tunnel = lookup(image, protocol, local, remote, keyed, key, link);
  store<u32>(descriptor, tunnel, DESCRIPTOR_TUNNEL);
  return tunnel;
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
  slot: usize,
  outer: usize,
  image: usize,
  record: usize,
  inner: usize,
  available: u32,
  family: u32,
): u32 {
  if (available === 0) return REASON_INNER_TRUNCATED;
  if (version(inner) !== family) return REASON_INNER_VERSION;
  const reason =
    family === 4
      ? checkInner4(image, record, inner, available)
      : checkInner6(image, record, inner, available);
  if (reason !== REASON_NONE) return reason;

  const outerEcn = <u32>load<u8>(outer, IPV4_TOS) & ECN_MASK;
  if (outerEcn !== ECN_NOT_ECT) {
    const tos = family === 4 ? <u32>load<u8>(inner, IPV4_TOS) : trafficClass(inner);
    const innerEcn = tos & ECN_MASK;
    const ecn = mergeEcn(outerEcn, innerEcn);
    if (ecn === ECN_DROP) return REASON_ECN;
    if (ecn !== innerEcn) {
      if (family === 4) setEcn4(inner, ecn);
      else setEcn6(inner, ecn);
    }
  }
  const length = family === 4 ? totalLength4(inner) : totalLength6(inner);
  putDeviceHeader(record, inner, length, family);
  store<u32>(descriptor, <u32>(inner - slot), DESCRIPTOR_OFFSET);
  store<u32>(descriptor, length, DESCRIPTOR_LENGTH);
  store<u32>(descriptor, length, DESCRIPTOR_INNER_LENGTH);
  return REASON_NONE;
}

function checkInner4(image: usize, record: usize, inner: usize, available: u32): u32 {
  if (available < IPV4_LENGTH) return REASON_INNER_TRUNCATED;
  if (!isSound4(inner, available)) return REASON_INNER_HEADER;
  const source = inner + IPV4_SOURCE;
  const destination = inner + IPV4_DESTINATION;
  if (isMartianSource4(source) || isMartianDestination4(destination)) return REASON_INNER_MARTIAN;
  if (isLinkLocal4(source) || isLinkLocal4(destination)) {
    if (!(load<u32>(record, RECORD_FLAGS) & FLAG_ALLOW_LINK_LOCAL)) return REASON_INNER_MARTIAN;
  }
  return checkPolicy(
    image,
    record,
    MAPPED_HIGH,
    mappedLow(source),
    MAPPED_HIGH,
    mappedLow(destination),
    <u32>load<u8>(inner, IPV4_PROTOCOL),
    <u32>load<u8>(inner, IPV4_TTL),
  );
}

function checkInner6(image: usize, record: usize, inner: usize, available: u32): u32 {
  if (available < IPV6_LENGTH) return REASON_INNER_TRUNCATED;
  if (totalLength6(inner) > available) return REASON_INNER_HEADER;
  const sourceHigh = load<u64>(inner, IPV6_SOURCE);
  const sourceLow = load<u64>(inner, IPV6_SOURCE + 8);
  const destinationHigh = load<u64>(inner, IPV6_DESTINATION);
  const destinationLow = load<u64>(inner, IPV6_DESTINATION + 8);
  if (isMartianSource6(sourceHigh, sourceLow, destinationHigh)) return REASON_INNER_MARTIAN;
  if (isMartianDestination6(destinationHigh, destinationLow)) return REASON_INNER_MARTIAN;
  return checkPolicy(
    image,
    record,
    sourceHigh,
    sourceLow,
    destinationHigh,
    destinationLow,
    <u32>load<u8>(inner, IPV6_NEXT_HEADER),
    <u32>load<u8>(inner, IPV6_HOP_LIMIT),
  );
}

/** What this tunnel may send us: addresses in the form of wire/address, so one function serves both families. */
function checkPolicy(
  image: usize,
  record: usize,
  sourceHigh: u64,
  sourceLow: u64,
  destinationHigh: u64,
  destinationLow: u64,
  protocol: u32,
  ttl: u32,
): u32 {
  if (ownFlags(image, sourceHigh, sourceLow)) return REASON_INNER_SRC_SPOOF;
  const own = ownFlags(image, destinationHigh, destinationLow);
  if (own & OWN_OUTER) {
    // A tunnel packet inside a tunnel packet would reach the tunnel past the underlay's filters.
    const isTunnel =
      protocol === PROTOCOL_GRE || protocol === PROTOCOL_IPIP || protocol === PROTOCOL_SIT;
    return isTunnel ? REASON_NESTING_LIMIT : REASON_INNER_DST_POLICY;
  }
  if (!(load<u32>(record, RECORD_FLAGS) & FLAG_ALLOW_ANY)) {
    // Link-local sources got here only with a link-local destination: they stay on this link.
    if (!acceptsSource(record, sourceHigh, sourceLow) && !isLinkLocal6(sourceHigh)) {
      return REASON_INNER_SRC_SPOOF;
    }
  }
  if (ttl === 0) return REASON_INNER_TTL;
  // RFC 791, 3.2: a router would have to drop it. What ends here is not forwarded.
  if (ttl === 1 && own === 0 && !isMulticast(destinationHigh, destinationLow)) {
    return REASON_INNER_TTL;
  }
  return REASON_NONE;
}
