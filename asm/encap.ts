// encap path: TUN -> ring -> encap -> ring -> underlay
//
//   1. encapBatch     every filled slot; shows them to the draining end together
//   2. encapPacket    the tunnel the host chose, the inner header, what the tunnel carries
//   3. checkRoute     MTU, TTL, destination: may this packet go this way?
//   4. putOuter       IPv4 header = the record's template + fix-up
//   5. putGre         GRE header = the rest of the template + protocol type, sequence, checksum
//   6. putUdp         UDP header between the two, for GRE-in-UDP
import { flowPort, ORDERED_PORT } from './flow';
import {
  CONTROL_TABLE,
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SUM,
  DESCRIPTOR_TUNNEL,
  DEVICE_GSO_SIZE,
  DEVICE_HEADER_LENGTH,
  FLAG_PMTUDISC,
  FLAG_SEQUENCE_OUT,
  FLAG_TOS_INHERIT,
  FLAG_TTL_INHERIT,
  FLAG_UP,
  IMAGE_RECORD_COUNT,
  MODE_GRE,
  MODE_GRE_UDP,
  MODE_IPIP,
  MODE_SIT,
  NO_TUNNEL,
  RECORD_FLAGS,
  RECORD_MODE,
  RECORD_MTU,
  RECORD_OUTER,
  RECORD_OUTER_LENGTH,
  RECORD_REMOTE,
  RING_DESCRIPTORS,
  RING_FILLED,
  RING_MASK,
  RING_PROCESSED,
  RING_STATES,
  STATE_IDENT,
  STATE_SIZE,
  STATE_TX_SEQUENCE,
} from './layout';
import {
  REASON_INNER_HEADER,
  REASON_INNER_TRUNCATED,
  REASON_INNER_TTL,
  REASON_INNER_VERSION,
  REASON_NESTING_LIMIT,
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TUNNEL_DOWN,
  REASON_UNKNOWN_PROTOCOL,
} from './reason';
import { recordAt } from './tunnel';
import { load32, swap16 } from './wire/bytes';
import { finish, fold, sum } from './wire/checksum';
import { ECN_MASK } from './wire/ecn';
import {
  GRE_BASE_LENGTH,
  GRE_C,
  GRE_CHECKSUM,
  GRE_K,
  GRE_S,
  greFlags,
  PROTOCOL_TYPE_IPV4,
  PROTOCOL_TYPE_IPV6,
} from './wire/gre';
import {
  FRAGMENT_DF,
  headerLength4,
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_LENGTH,
  IPV4_SOURCE,
  IPV4_TOS,
  IPV4_TTL,
  PROTOCOL_UDP,
  sumPseudo4,
  totalLength4,
  version,
} from './wire/ipv4';
import { IPV6_HOP_LIMIT, IPV6_LENGTH, totalLength6, trafficClass } from './wire/ipv6';
import { GRE_UDP_PORT, UDP_LENGTH, UDP_TOTAL_LENGTH, udpPorts } from './wire/udp';

/** Encapsulates the packets between PROCESSED and FILLED. Returns how many that were. */
export function encapBatch(ring: usize): u32 {
  const filled = load<u32>(ring, RING_FILLED);
  const first = load<u32>(ring, RING_PROCESSED);
  const mask = load<u32>(ring, RING_MASK);
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const states = <usize>load<u32>(ring, RING_STATES);
  // One image for the whole batch: the host may publish another meanwhile. Before the first publication
  // this is 0, the control block, whose leading words are 0: an image without records.
  const image = <usize>atomic.load<u32>(CONTROL_TABLE);

  for (let position = first; position !== filled; position++) {
    const descriptor = descriptors + (position & mask) * DESCRIPTOR_SIZE;
    store<u32>(descriptor, encapPacket(descriptor, image, states), DESCRIPTOR_REASON);
  }
  store<u32>(ring, filled, RING_PROCESSED);
  return filled - first;
}

/** Encapsulates one packet. Returns its reason. */
function encapPacket(descriptor: usize, image: usize, states: usize): u32 {
  const tunnel = load<u32>(descriptor, DESCRIPTOR_TUNNEL);
  if (tunnel >= load<u32>(image, IMAGE_RECORD_COUNT)) {
    store<u32>(descriptor, NO_TUNNEL, DESCRIPTOR_TUNNEL);
    return REASON_TUNNEL_DOWN;
  }
  const record = recordAt(image, tunnel);
  const mode = load<u32>(record, RECORD_MODE);
  if (mode === 0 || !(load<u32>(record, RECORD_FLAGS) & FLAG_UP)) return REASON_TUNNEL_DOWN;

  const inner = <usize>load<u32>(descriptor, DESCRIPTOR_ADDRESS);
  const first = load<u32>(descriptor, DESCRIPTOR_LENGTH);
  const length = first + load<u32>(descriptor, DESCRIPTOR_PAYLOAD_LENGTH);
  if (length === 0) return REASON_INNER_TRUNCATED;
  const family = version(inner);
  if (family === 4) {
    if (length < IPV4_LENGTH) return REASON_INNER_TRUNCATED;
    const own = headerLength4(inner);
    if (own < IPV4_LENGTH || own > length) return REASON_INNER_HEADER;
    if (totalLength4(inner) !== length) return REASON_INNER_HEADER;
  } else {
    if (family !== 6) return REASON_INNER_VERSION;
    if (length < IPV6_LENGTH) return REASON_INNER_TRUNCATED;
    if (totalLength6(inner) !== length) return REASON_INNER_HEADER;
  }
  if (mode === (family === 4 ? MODE_SIT : MODE_IPIP)) return REASON_UNKNOWN_PROTOCOL;

  const reason = checkRoute(record, inner, wireLength(descriptor, length), family);
  if (reason !== REASON_NONE) return reason;

  const outerLength = load<u32>(record, RECORD_OUTER_LENGTH);
  const outer = inner - outerLength;
  const state = states + tunnel * STATE_SIZE;
  const packets = <u32>load<u16>(descriptor, DESCRIPTOR_PACKETS);
  putOuter(record, state, outer, inner, outerLength + length, family, packets);
  if (mode === MODE_GRE || mode === MODE_GRE_UDP) {
    const before: u32 = mode === MODE_GRE ? IPV4_LENGTH : IPV4_LENGTH + UDP_LENGTH;
    let known = load<u32>(descriptor, DESCRIPTOR_SUM);
    // Both checksums cover the payload: it is summed once. A superpacket has no UDP checksum.
    if (mode === MODE_GRE_UDP && known === 0 && packets === 1) known = fold(sum(inner, length, 0));
    const template = record + RECORD_OUTER + before;
    putGre(template, state, outer + before, inner, length, family, known);
    if (mode === MODE_GRE_UDP) putUdp(record, outer, inner, length, family, known, packets);
  }
  store<u32>(descriptor, <u32>outer, DESCRIPTOR_ADDRESS);
  store<u32>(descriptor, outerLength + first, DESCRIPTOR_LENGTH);
  return REASON_NONE;
}

/** Bytes of the largest inner packet on the wire: of a superpacket that was kept whole, its segments. */
function wireLength(descriptor: usize, length: u32): u32 {
  const size = <u32>load<u16>(descriptor + DESCRIPTOR_DEVICE_HEADER, DEVICE_GSO_SIZE);
  if (size === 0) return length;
  return <u32>load<u16>(descriptor + DESCRIPTOR_DEVICE_HEADER, DEVICE_HEADER_LENGTH) + size;
}

/** Whether a sound inner packet may take this tunnel. */
function checkRoute(record: usize, inner: usize, length: u32, family: u32): u32 {
  if (length > load<u32>(record, RECORD_MTU)) return REASON_TOO_BIG;
  // RFC 2003, 3.1: a packet whose time is up is not encapsulated.
  if (innerTtl(inner, family) === 0) return REASON_INNER_TTL;
  const remote = load<u32>(record, RECORD_REMOTE);
  if (remote === 0) return REASON_NO_ROUTE;
  // RFC 2003, 3.2: a packet to the tunnel's own far end would be encapsulated again and again.
  if (family === 4 && load32(inner + IPV4_DESTINATION) === remote) return REASON_NESTING_LIMIT;
  return REASON_NONE;
}

function innerTtl(inner: usize, family: u32): u32 {
  return family === 4 ? <u32>load<u8>(inner, IPV4_TTL) : <u32>load<u8>(inner, IPV6_HOP_LIMIT);
}

/**
 * Writes the outer IPv4 header. It is put together in registers: nothing just stored is read again. A kernel
 * that splits a superpacket counts identifications up, so it takes as many as it has `packets`.
 */
function putOuter(
  record: usize,
  state: usize,
  outer: usize,
  inner: usize,
  length: u32,
  family: u32,
  packets: u32,
): void {
  const flags = load<u32>(record, RECORD_FLAGS);
  const innerTos = family === 4 ? <u32>load<u8>(inner, IPV4_TOS) : trafficClass(inner);
  const innerFragment = family === 4 ? <u32>load<u16>(inner, IPV4_FRAGMENT) : 0;

  const dscp = flags & FLAG_TOS_INHERIT ? innerTos : <u32>load<u8>(record, RECORD_OUTER + IPV4_TOS);
  // Normal mode of RFC 6040, 4.1: the ECN field is copied.
  const tos = (dscp & ~ECN_MASK) | (innerTos & ECN_MASK);
  const fragment = flags & FLAG_PMTUDISC ? FRAGMENT_DF : innerFragment & FRAGMENT_DF;
  // Atomic datagrams need no identification (RFC 6864, 4.1).
  const ident = fragment ? 0 : swap16(atomic.add<u32>(state, packets, STATE_IDENT));
  const first = <u32>load<u8>(record, RECORD_OUTER) | (tos << 8) | (swap16(length) << 16);
  const second = ident | (fragment << 16);
  let third = load<u32>(record, RECORD_OUTER + IPV4_TTL); // TTL, protocol, checksum 0
  if (flags & FLAG_TTL_INHERIT) third = (third & 0xffffff00) | innerTtl(inner, family);
  const addresses = load<u64>(record, RECORD_OUTER + IPV4_SOURCE);

  const acc = <u64>first + <u64>second + <u64>third + (addresses & 0xffffffff) + (addresses >>> 32);
  store<u64>(outer, <u64>first | ((<u64>second) << 32));
  store<u32>(outer, third | (finish(acc) << 16), IPV4_TTL);
  store<u64>(outer, addresses, IPV4_SOURCE);
}

/**
 * Writes the GRE header in front of `length` bytes at `inner`, likewise in registers. `known`: their sum, or 0;
 * a packet in two pieces has a known one.
 */
function putGre(
  template: usize,
  state: usize,
  gre: usize,
  inner: usize,
  length: u32,
  family: u32,
  known: u32,
): void {
  const flags = greFlags(template);
  const type = family === 4 ? PROTOCOL_TYPE_IPV4 : PROTOCOL_TYPE_IPV6;
  const base = <u32>load<u16>(template) | (type << 16);
  store<u32>(gre, base);
  let acc = <u64>base;
  let option = gre + GRE_BASE_LENGTH;
  if (flags & GRE_C) {
    option += 4;
    template += 4;
  }
  if (flags & GRE_K) {
    const key = load<u32>(template, GRE_BASE_LENGTH);
    store<u32>(option, key);
    acc += key;
    option += 4;
  }
  if (flags & GRE_S) {
    const sequence = bswap<u32>(atomic.add<u32>(state, 1, STATE_TX_SEQUENCE));
    store<u32>(option, sequence);
    acc += sequence;
  }
  // Over GRE header and payload, its own field taken as 0; Reserved1 stays 0 (RFC 2784, 2.5 and 2.6).
  if (flags & GRE_C) {
    const payload = known !== 0 ? <u64>known : sum(inner, length, 0);
    store<u32>(gre, finish(acc + payload), GRE_CHECKSUM);
  }
}

/** Writes the UDP header between outer and GRE header, when that is there. `payload`: sum of the inner packet. */
function putUdp(
  record: usize,
  outer: usize,
  inner: usize,
  length: u32,
  family: u32,
  payload: u32,
  packets: u32,
): void {
  const udp = outer + IPV4_LENGTH;
  const gre = udp + UDP_LENGTH;
  const total = <u32>(inner - udp) + length;
  const isOrdered = (load<u32>(record, RECORD_FLAGS) & <u32>FLAG_SEQUENCE_OUT) !== 0;
  const port = isOrdered ? ORDERED_PORT : flowPort(inner, length, family);
  const ports = udpPorts(port, GRE_UDP_PORT);
  let checksum: u32 = 0;
  // The checksum covers the source address: where the kernel is to choose that, none is sent. Nor by a kernel that
  // splits a superpacket: it would send this one in every segment.
  if (load<u32>(outer, IPV4_SOURCE) !== 0 && packets === 1) {
    const header = <u64>ports + <u64>swap16(total) + sumPseudo4(outer, PROTOCOL_UDP, total);
    checksum = finish(sum(gre, inner - gre, header + <u64>payload));
    // A sum that comes to 0 is sent as its other form: 0 would mean none (RFC 768).
    if (checksum === 0) checksum = 0xffff;
  }
  store<u32>(udp, ports);
  store<u32>(udp, swap16(total) | (checksum << 16), UDP_TOTAL_LENGTH);
}
