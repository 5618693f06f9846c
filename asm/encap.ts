// encap path: TUN -> ring -> encap -> ring -> underlay
//
//   1. encapBatch     every filled slot; shows them to the draining end together
//   2. encapPacket    the tunnel the host chose, and what it carries; enter.ts: may it go in?
//      choosePeer     peers.ts: in a tunnel with several, whose destination it is
//      isBack         peers.ts: not one that a group of receivers has had already
//   3. hashFlow       flow.ts: what tells the network its flow, where the tunnel does
//   4. putOuter4/6    IP header = the record's template + fix-up
//   5. clampMss       mss.ts: what hosts tell each other of segment sizes
//   6. putGre         GRE header = the rest of the template + protocol type, sequence, checksum
//   7. putUdp         UDP header between the two, for GRE-in-UDP
import { LIMIT_OFFSET, NO_LIMIT } from './encap-limit';
import {
  checkFrame,
  checkPacket,
  checkRoute,
  innerLimit,
  innerTtl,
  isTooLong,
  mustPass,
} from './enter';
import { flowPort, hashedLabel, hashFlow } from './flow';
import { ETHERNET_LENGTH, findIp } from './frame';
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
  FLAG_ECN_COMPATIBILITY,
  FLAG_ENCAP_LIMIT,
  FLAG_ETHERNET,
  FLAG_FLOW_HASH,
  FLAG_FLOW_INHERIT,
  FLAG_GROUP,
  FLAG_IGNORE_DF,
  FLAG_OVER6,
  FLAG_PEERS,
  FLAG_PMTUDISC,
  FLAG_TOS_INHERIT,
  FLAG_TTL_INHERIT,
  FLAG_UDP,
  FLAG_UP,
  IMAGE_RECORD_COUNT,
  NO_TUNNEL,
  RECORD_FLAGS,
  RECORD_GRE,
  RECORD_OUTER,
  RECORD_OUTER_LENGTH,
  RING_DESCRIPTORS,
  RING_FILLED,
  RING_MASK,
  RING_PROCESSED,
  RING_STATES,
  STATE_IDENT,
  STATE_SIZE,
  STATE_TX_SEQUENCE,
} from './layout';
import { clampMss } from './mss';
import { choosePeer, isBack } from './peers';
import {
  REASON_ENCAP_LIMIT,
  REASON_INNER_TRUNCATED,
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TUNNEL_DOWN,
} from './reason';
import { recordAt } from './table';
import { swap16 } from './wire/bytes';
import { copyBytes, finish, fold, sum } from './wire/checksum';
import { ECN_MASK } from './wire/ecn';
import {
  GRE_BASE_LENGTH,
  GRE_C,
  GRE_CHECKSUM,
  GRE_K,
  GRE_S,
  greFlags,
  PROTOCOL_TYPE_ETHERNET,
  PROTOCOL_TYPE_IPV4,
  PROTOCOL_TYPE_IPV6,
} from './wire/gre';
import {
  FRAGMENT_DF,
  IPV4_FRAGMENT,
  IPV4_SOURCE,
  IPV4_TOS,
  IPV4_TTL,
  PROTOCOL_UDP,
  sumPseudo4,
  version,
} from './wire/ipv4';
import {
  flowLabel,
  IPV6_LENGTH,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
  sumPseudo6,
  trafficClass,
} from './wire/ipv6';
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
  let tunnel = load<u32>(descriptor, DESCRIPTOR_TUNNEL);
  if (tunnel >= load<u32>(image, IMAGE_RECORD_COUNT)) {
    store<u32>(descriptor, NO_TUNNEL, DESCRIPTOR_TUNNEL);
    return REASON_TUNNEL_DOWN;
  }
  let record = recordAt(image, tunnel);
  const flags = load<u32>(record, RECORD_FLAGS);
  if (!(flags & FLAG_UP)) return REASON_TUNNEL_DOWN;

  const inner = <usize>load<u32>(descriptor, DESCRIPTOR_ADDRESS);
  const first = load<u32>(descriptor, DESCRIPTOR_LENGTH);
  const length = first + load<u32>(descriptor, DESCRIPTOR_PAYLOAD_LENGTH);
  // The IP packet, and its version; family 0: there is none in the frame.
  let ip = inner;
  let family: u32 = 0;
  let frameLength: u32 = 0;
  if (flags & FLAG_ETHERNET) {
    if (length < ETHERNET_LENGTH) return REASON_INNER_TRUNCATED;
    const start = findIp(inner, length);
    ip += start;
    if (start !== 0) family = version(ip);
    frameLength = ETHERNET_LENGTH;
  } else {
    if (length === 0) return REASON_INNER_TRUNCATED;
    family = version(inner);
    const fault = checkPacket(flags, inner, length, family);
    if (fault !== REASON_NONE) return fault;
    if (flags & FLAG_PEERS) {
      tunnel = choosePeer(descriptor, image, tunnel, inner, family);
      record = recordAt(image, tunnel);
      if (!(load<u32>(record, RECORD_FLAGS) & FLAG_UP)) return REASON_TUNNEL_DOWN;
    }
  }
  const state = states + tunnel * STATE_SIZE;
  const wire = wireLength(descriptor, length);
  const isLong = isTooLong(record, state, wire - frameLength);
  if (isLong && !mustPass(wire - <u32>(ip - inner), family)) return REASON_TOO_BIG;
  const reason =
    frameLength === 0 ? checkRoute(image, record, flags, inner, family) : checkFrame(record, flags);
  if (reason !== REASON_NONE) return reason;
  if (flags & FLAG_GROUP && isBack(image, record, flags, inner, family)) return REASON_NO_ROUTE;

  const limit = innerLimit(flags, ip, family);
  if (limit === 0) return REASON_ENCAP_LIMIT;
  const outerLength = load<u32>(record, RECORD_OUTER_LENGTH);
  const outer = inner - outerLength;
  const packets = <u32>load<u16>(descriptor, DESCRIPTOR_PACKETS);
  const flow = flags & (FLAG_UDP | FLAG_FLOW_HASH) ? hashFlow(ip, family) : 0;
  if (flags & FLAG_OVER6) {
    putOuter6(record, flags, outer, ip, length, family, limit, flow);
  } else {
    const own = isLong ? flags & ~FLAG_PMTUDISC : flags;
    putOuter4(record, own, state, outer, ip, outerLength + length, family, packets);
  }
  // No known sum changes with the MSS: the checksum makes up for it.
  if (family !== 0) clampMss(record, ip, length - <u32>(ip - inner), family, false);
  const before = <u32>load<u16>(record, RECORD_GRE);
  if (before !== 0) {
    const isUdp = (flags & FLAG_UDP) !== 0;
    let known = load<u32>(descriptor, DESCRIPTOR_SUM);
    // Both checksums cover the payload: it is summed once. A superpacket has no UDP checksum.
    if (isUdp && known === 0 && packets === 1) known = fold(sum(inner, length, 0));
    const template = record + RECORD_OUTER + before;
    const type =
      flags & FLAG_ETHERNET
        ? PROTOCOL_TYPE_ETHERNET
        : family === 4
          ? PROTOCOL_TYPE_IPV4
          : PROTOCOL_TYPE_IPV6;
    putGre(template, state, outer + before, inner, length, type, known);
    if (isUdp) putUdp(template, flags, outer, outer + before, inner, length, flow, known, packets);
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

function innerTos(inner: usize, family: u32): u32 {
  if (family === 0) return 0;
  return family === 4 ? <u32>load<u8>(inner, IPV4_TOS) : trafficClass(inner);
}

/** The outer TOS byte: DSCP as the tunnel chooses it, ECN as the peer understands it (RFC 6040, 4.1). */
function outerTos(flags: u32, fixed: u32, inner: u32): u32 {
  const ecn = flags & FLAG_ECN_COMPATIBILITY ? 0 : inner & ECN_MASK;
  const dscp = flags & FLAG_TOS_INHERIT ? inner : fixed;
  return (dscp & ~ECN_MASK) | ecn;
}

/**
 * Writes the outer IPv4 header. It is put together in registers: nothing just stored is read again. A kernel
 * that splits a superpacket counts identifications up, so it takes as many as it has `packets`.
 */
function putOuter4(
  record: usize,
  flags: u32,
  state: usize,
  outer: usize,
  inner: usize,
  length: u32,
  family: u32,
  packets: u32,
): void {
  const fixed = <u32>load<u8>(record, RECORD_OUTER + IPV4_TOS);
  const tos = outerTos(flags, fixed, innerTos(inner, family));
  const copied = family === 4 && !(flags & FLAG_IGNORE_DF);
  const innerFragment = copied ? <u32>load<u16>(inner, IPV4_FRAGMENT) : 0;
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
 * Writes the outer IPv6 header and, where the tunnel has one, the options header with the encapsulation limit.
 * `length`: of the inner packet; `limit`: its own limit, or NO_LIMIT; `flow`: its hash, where the tunnel has use for it.
 */
function putOuter6(
  record: usize,
  flags: u32,
  outer: usize,
  inner: usize,
  length: u32,
  family: u32,
  limit: u32,
  flow: u32,
): void {
  const template = record + RECORD_OUTER;
  // A header of IPv6 is 40 bytes, whose first 8 follow the packet; UDP and GRE headers are put behind it.
  const outerLength = load<u32>(record, RECORD_OUTER_LENGTH);
  const tos = outerTos(flags, trafficClass(template), innerTos(inner, family));
  let label = flowLabel(template);
  if (flags & FLAG_FLOW_INHERIT && family === 6) label = flowLabel(inner);
  if (flags & FLAG_FLOW_HASH && family !== 0) label = hashedLabel(flow);
  const first = label | 0x60 | (tos >>> 4) | ((tos & 15) << 12);
  let second = load<u32>(template, IPV6_PAYLOAD_LENGTH); // payload length 0, next header, hop limit
  if (flags & FLAG_TTL_INHERIT) second = (second & 0x00ffffff) | (innerTtl(inner, family) << 24);
  second |= swap16(outerLength - IPV6_LENGTH + length);
  store<u64>(outer, <u64>first | ((<u64>second) << 32));
  copyBytes(outer + IPV6_SOURCE, template + IPV6_SOURCE, IPV6_LENGTH - <u32>IPV6_SOURCE);
  if (!(flags & FLAG_ENCAP_LIMIT)) return;
  store<u64>(outer + IPV6_LENGTH, load<u64>(template + IPV6_LENGTH));
  if (limit !== NO_LIMIT) store<u8>(outer + IPV6_LENGTH, <u8>(limit - 1), LIMIT_OFFSET);
}

/**
 * Writes the GRE header in front of `length` bytes at `inner`, likewise in registers. `type`: protocol type as
 * stored; `known`: sum of the bytes, or 0; a packet in two pieces has a known one.
 */
function putGre(
  template: usize,
  state: usize,
  gre: usize,
  inner: usize,
  length: u32,
  type: u32,
  known: u32,
): void {
  const flags = greFlags(template);
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

/**
 * Writes the UDP header between outer and GRE header, when those are there. `template`: of the GRE header; `payload`: sum
 * of the inner packet.
 */
function putUdp(
  template: usize,
  flags: u32,
  outer: usize,
  gre: usize,
  inner: usize,
  length: u32,
  flow: u32,
  payload: u32,
  packets: u32,
): void {
  const udp = gre - UDP_LENGTH;
  const total = <u32>(inner - udp) + length;
  let ports = load<u32>(template - UDP_LENGTH);
  if ((ports & 0xffff) === 0) ports = udpPorts(flowPort(flow), GRE_UDP_PORT);
  let checksum: u32 = 0;
  // The checksum covers the source address: where the kernel is to choose that, none is sent. Nor by a kernel that
  // splits a superpacket: it would send this one in every segment.
  const over6 = (flags & FLAG_OVER6) !== 0;
  if (packets === 1 && (over6 || load<u32>(outer, IPV4_SOURCE) !== 0)) {
    const pseudo = over6
      ? sumPseudo6(outer, PROTOCOL_UDP, total)
      : sumPseudo4(outer, PROTOCOL_UDP, total);
    const header = <u64>ports + <u64>swap16(total) + pseudo;
    checksum = finish(sum(gre, inner - gre, header + <u64>payload));
    // A sum that comes to 0 is sent as its other form: 0 would mean none (RFC 768).
    if (checksum === 0) checksum = 0xffff;
  }
  store<u32>(udp, ports);
  store<u32>(udp, swap16(total) | (checksum << 16), UDP_TOTAL_LENGTH);
}
