// segment: a packet as a device hands it over -> the packets it stands for
//
//   1. segmentSlot   the device header: what did the kernel leave to do?
//   2. finishOne     one packet: its checksum field holds the pseudo-header sum, the rest is added
//   3. keepWhole     a superpacket that a kernel will split behind us: described, otherwise as it is
//   4. split         a superpacket: one slot each, in order, the first in place. A slot gets headers only;
//                    the payload stays where the device wrote it
import { linkLength } from './frame';
import {
  CONTROL_TABLE,
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_PAYLOAD,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SUM,
  DESCRIPTOR_TUNNEL,
  DEVICE_CHECKSUM_OFFSET,
  DEVICE_CHECKSUM_START,
  DEVICE_GSO_SIZE,
  DEVICE_GSO_TYPE,
  DEVICE_HEADER_LENGTH,
  FLAG_ETHERNET,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP,
  IMAGE_RECORD_COUNT,
  MERGE_TCP,
  MERGE_UDP,
  NEEDS_CHECKSUM,
  RECORD_FLAGS,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_SLOTS,
  SEGMENT_LIMIT,
  SLOT_HEADROOM,
  SLOT_STRIDE,
} from './layout';
import { REASON_NONE } from './reason';
import { recordAt } from './table';
import { load16, load32, store16, swap16 } from './wire/bytes';
import { copyBytes, finish, fold, sum } from './wire/checksum';
import {
  headerLength4,
  IPV4_CHECKSUM,
  IPV4_IDENTIFICATION,
  IPV4_LENGTH,
  IPV4_TOTAL_LENGTH,
  version,
} from './wire/ipv4';
import { IPV6_LENGTH, IPV6_PAYLOAD_LENGTH } from './wire/ipv6';
import {
  TCP_CHECKSUM,
  TCP_CWR,
  TCP_FIN,
  TCP_FLAGS,
  TCP_PSH,
  TCP_SEQUENCE,
  tcpHeaderLength,
} from './wire/tcp';
import { UDP_CHECKSUM, UDP_LENGTH, UDP_TOTAL_LENGTH } from './wire/udp';

/** Longest superpacket that stays whole: with its outer headers it must fit an IP packet. */
const KEPT_LIMIT: u32 = 65535 - SLOT_HEADROOM;

/**
 * Does what the kernel left to do on the packet at `position`, which is filled but not published, and may
 * use the `room` slots from there on. Superpackets of the kinds in `keep` (MERGE_*) stay whole. Returns how many
 * packets there are now, at least 1. One whose device header makes no sense is left empty, for encap to drop.
 */
export function segmentSlot(ring: usize, position: u32, room: u32, keep: u32): u32 {
  const mask = load<u32>(ring, RING_MASK);
  const descriptor = <usize>load<u32>(ring, RING_DESCRIPTORS) + (position & mask) * DESCRIPTOR_SIZE;
  const packet = <usize>load<u32>(descriptor, DESCRIPTOR_ADDRESS);
  const length = load<u32>(descriptor, DESCRIPTOR_LENGTH);
  const header = descriptor + DESCRIPTOR_DEVICE_HEADER;

  const type = <u32>load<u8>(header, DEVICE_GSO_TYPE);
  const needsChecksum = (<u32>load<u8>(header) & <u32>NEEDS_CHECKSUM) !== 0;
  if (type === GSO_NONE && !needsChecksum) {
    store<u16>(header, 0, DEVICE_GSO_SIZE); // whatever it says: there are no segments
    return 1;
  }
  const start = <u32>load<u16>(header, DEVICE_CHECKSUM_START);
  const field = start + <u32>load<u16>(header, DEVICE_CHECKSUM_OFFSET);
  if (!needsChecksum || field + 2 > length) return refuse(descriptor);
  if (type === GSO_NONE) return finishOne(descriptor, packet, start, length, field);

  // Of a frame the Ethernet header, which comes first in every segment.
  const isFrame = hasFrame(load<u32>(descriptor, DESCRIPTOR_TUNNEL));
  const link = isFrame ? linkLength(packet, length) : 0;
  if (start < link || (isFrame && link === 0)) return refuse(descriptor);
  const own = segmentHeaders(packet + link, type, start - link, field - link, length - link);
  const headers: u32 = own === 0 ? 0 : link + own;
  const size = <u32>load<u16>(header, DEVICE_GSO_SIZE);
  if (headers === 0 || size === 0) return refuse(descriptor);
  if (length <= headers + size) return finishOne(descriptor, packet, start, length, field);
  const count = (length - headers + size - 1) / size;
  const kind: u32 = type === GSO_UDP ? MERGE_UDP : MERGE_TCP;
  if (!isFrame && keep & kind && count <= <u32>SEGMENT_LIMIT && length <= KEPT_LIMIT) {
    keepWhole(descriptor, headers, length, count);
    return 1;
  }
  if (count > room) return refuse(descriptor);
  split(ring, position, packet, link, start, headers, size, length, field, type);
  return count;
}

/** Whether the packets of a tunnel are Ethernet frames. */
function hasFrame(tunnel: u32): bool {
  const image = <usize>atomic.load<u32>(CONTROL_TABLE);
  if (tunnel >= load<u32>(image, IMAGE_RECORD_COUNT)) return false;
  return (load<u32>(recordAt(image, tunnel), RECORD_FLAGS) & FLAG_ETHERNET) !== 0;
}

function refuse(descriptor: usize): u32 {
  store<u32>(descriptor, 0, DESCRIPTOR_LENGTH);
  store<u64>(descriptor, 0, DESCRIPTOR_DEVICE_HEADER);
  return 1;
}

/** Length of the IP and transport headers of a superpacket, 0 when it is none. */
function segmentHeaders(packet: usize, type: u32, start: u32, field: u32, length: u32): u32 {
  const isUdp = type === GSO_UDP;
  if (!isUdp && type !== GSO_TCPV4 && type !== GSO_TCPV6) return 0;
  const family = version(packet);
  if (family !== 4 && family !== 6) return 0;
  if (type === GSO_TCPV4 && family !== 4) return 0;
  if (type === GSO_TCPV6 && family !== 6) return 0;
  if (field !== start + <u32>(isUdp ? UDP_CHECKSUM : TCP_CHECKSUM)) return 0;
  if (family === 4 && (start < IPV4_LENGTH || start !== headerLength4(packet))) return 0;
  // Extension headers are whole multiples of 8 bytes (RFC 8200, 4).
  if (family === 6 && (start < IPV6_LENGTH || start & 7)) return 0;
  const own = isUdp ? UDP_LENGTH : tcpHeaderLength(packet + start, length - start);
  return own === 0 || start + own > length ? 0 : start + own;
}

/** Finishes the checksum of a packet that is one, and remembers what the packet adds up to. */
function finishOne(descriptor: usize, packet: usize, start: u32, length: u32, field: u32): u32 {
  const pseudo = <u32>load<u16>(packet + field);
  let checksum = finish(sum(packet + start, length - start, 0));
  // A UDP checksum of 0 would mean none (RFC 768).
  if (checksum === 0 && field - start === UDP_CHECKSUM) checksum = 0xffff;
  store<u16>(packet + field, <u16>checksum);
  // Known where start and field are even: otherwise the words of the packet are other ones than those summed.
  const known = (start | field) & 1 ? 0 : fold(sum(packet, start, <u64>(~pseudo & 0xffff)));
  store<u32>(descriptor, known, DESCRIPTOR_SUM);
  store<u64>(descriptor, 0, DESCRIPTOR_DEVICE_HEADER);
  return 1;
}

/** Describes a superpacket that is sent as it is: its headers' true length, and what it counts for. */
function keepWhole(descriptor: usize, headers: u32, length: u32, count: u32): void {
  store<u16>(descriptor + DESCRIPTOR_DEVICE_HEADER, <u16>headers, DEVICE_HEADER_LENGTH);
  store<u16>(descriptor, <u16>count, DESCRIPTOR_PACKETS);
  store<u32>(descriptor, length + (count - 1) * headers, DESCRIPTOR_INNER_LENGTH);
}

/** Puts the headers of every segment into a slot of its own; the first stays where it is. */
function split(
  ring: usize,
  position: u32,
  packet: usize,
  link: u32,
  start: u32,
  headers: u32,
  size: u32,
  length: u32,
  field: u32,
  type: u32,
): void {
  const ip = packet + link;
  const mask = load<u32>(ring, RING_MASK);
  const slots = <usize>load<u32>(ring, RING_SLOTS) + SLOT_HEADROOM;
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const tunnel = load<u32>(descriptors + (position & mask) * DESCRIPTOR_SIZE, DESCRIPTOR_TUNNEL);
  const upper = packet + start;
  const is4 = version(ip) === 4;
  const isUdp = type === GSO_UDP;
  // The pseudo-header sum without its length, which differs from segment to segment.
  const pseudo = <u64>load<u16>(packet + field) + <u64>(~swap16(length - start) & 0xffff);
  const identification = is4 ? load16(ip + IPV4_IDENTIFICATION) : 0;
  const sequence = isUdp ? 0 : load32(upper + TCP_SEQUENCE);
  const flags = isUdp ? 0 : <u32>load<u8>(upper, TCP_FLAGS);

  // What differs is taken out, so that the headers of all segments add up to the same two sums.
  if (is4) {
    store<u32>(ip, <u32>load<u16>(ip)); // total length 0
    store<u16>(ip, 0, IPV4_IDENTIFICATION);
    store<u16>(ip, 0, IPV4_CHECKSUM);
  } else {
    store<u16>(ip, 0, IPV6_PAYLOAD_LENGTH);
  }
  if (isUdp) {
    store<u16>(upper, 0, UDP_TOTAL_LENGTH);
  } else {
    store<u32>(upper, 0, TCP_SEQUENCE);
    store<u8>(upper, 0, TCP_FLAGS);
  }
  store<u16>(packet + field, 0);
  const linkSum = sum(packet, link, 0);
  const networkSum = sum(ip, start - link, 0);
  const upperSum = sum(upper, headers - start, pseudo);

  // The last one first: the headers of slot 0 are the others' template until it gets its own.
  const count = (length - headers + size - 1) / size;
  for (let index = count; index-- > 0; ) {
    const at = headers + index * size;
    const payload = min(size, length - at);
    const place = (position + index) & mask;
    const descriptor = descriptors + place * DESCRIPTOR_SIZE;
    const copy = index === 0 ? packet : slots + place * SLOT_STRIDE;
    if (index !== 0) copyBytes(copy, packet, headers);
    const top = copy + start;
    const own = headers - start + payload;
    const lengthSum = <u64>swap16(own);
    let acc = upperSum + lengthSum + sum(packet + at, payload, 0);
    if (isUdp) {
      store16(top + UDP_TOTAL_LENGTH, own);
      acc += lengthSum;
    } else {
      const number = bswap<u32>(sequence + index * size);
      let bits = flags;
      if (index !== count - 1) bits &= ~(TCP_FIN | TCP_PSH);
      if (index !== 0) bits &= ~TCP_CWR;
      store<u32>(top, number, TCP_SEQUENCE);
      store<u8>(top, <u8>bits, TCP_FLAGS);
      acc += <u64>number + <u64>(bits << 8); // the flags are the second byte of their word
    }
    let checksum = finish(acc);
    if (checksum === 0 && isUdp) checksum = 0xffff; // 0 would mean none (RFC 768)
    store<u16>(copy + field, <u16>checksum);

    // A segment with its right checksum adds up to the complement of its pseudo-header, an IPv4 header to 0.
    const rest = <u64>(~fold(pseudo + lengthSum) & 0xffff);
    let known = rest + 0xffff;
    const carried = start - link + own;
    if (is4) putNetwork4(copy + link, networkSum, carried, identification + index);
    else known = rest + networkSum + putNetwork6(copy + link, carried);

    store<u32>(descriptor, <u32>copy, DESCRIPTOR_ADDRESS);
    const whole = index === 0 ? payload : 0; // the payload of the first lies behind its headers
    store<u32>(descriptor, headers + whole, DESCRIPTOR_LENGTH);
    store<u32>(descriptor, <u32>(packet + at), DESCRIPTOR_PAYLOAD);
    store<u32>(descriptor, payload - whole, DESCRIPTOR_PAYLOAD_LENGTH);
    store<u32>(descriptor, tunnel, DESCRIPTOR_TUNNEL);
    store<u32>(descriptor, REASON_NONE, DESCRIPTOR_REASON);
    store<u32>(descriptor, headers + payload, DESCRIPTOR_INNER_LENGTH);
    store<u32>(descriptor, 0, DESCRIPTOR_LINK);
    store<u64>(descriptor, 0, DESCRIPTOR_DEVICE_HEADER);
    store<u16>(descriptor, 1, DESCRIPTOR_PACKETS);
    store<u32>(descriptor, fold(known + linkSum), DESCRIPTOR_SUM);
  }
}

/** Length, identification and checksum of an IPv4 header whose other fields add up to `base`. */
function putNetwork4(header: usize, base: u64, length: u32, identification: u32): void {
  const total = swap16(length);
  const ident = swap16(identification);
  store<u16>(header, <u16>total, IPV4_TOTAL_LENGTH);
  store<u16>(header, <u16>ident, IPV4_IDENTIFICATION);
  store<u16>(header, <u16>finish(base + <u64>total + <u64>ident), IPV4_CHECKSUM);
}

/** Payload length of an IPv6 header. Returns what it adds to the header's sum. */
function putNetwork6(header: usize, length: u32): u64 {
  const payload = swap16(length - IPV6_LENGTH);
  store<u16>(header, <u16>payload, IPV6_PAYLOAD_LENGTH);
  return <u64>payload;
}
