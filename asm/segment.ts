// segment: a packet as a device hands it over -> the packets it stands for, each with its checksum
//
//   1. segmentSlot     the device header: what did the kernel leave to do?
//   2. finishChecksum  one packet: its checksum field holds the pseudo-header sum, the rest is added
//   3. split           TCP longer than a segment: one slot each, in order, the first in place
import { GSO_NONE, GSO_TCPV4, GSO_TCPV6, NEEDS_CHECKSUM } from './device';
import {
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_OFFSET,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  DEVICE_HEADER_SIZE,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_SLOTS,
  SLOT_STRIDE,
} from './layout';
import { REASON_NONE } from './reason';
import { load16, load32, store16, store32, swap16 } from './wire/bytes';
import { copySum, finish, sum } from './wire/checksum';
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
import { UDP_CHECKSUM } from './wire/udp';

// struct virtio_net_hdr, as in device.ts
const HEADER_GSO_TYPE = 1;
const HEADER_GSO_SIZE = 4;
const HEADER_CHECKSUM_START = 6;
const HEADER_CHECKSUM_OFFSET = 8;

/**
 * Does what the kernel left to do on the packet at `position`, which is filled but not published, and may
 * use the `room` slots from there on. Returns how many packets there are now, at least 1. One whose device
 * header makes no sense is left empty, for encap to drop.
 */
export function segmentSlot(ring: usize, position: u32, room: u32): u32 {
  const mask = load<u32>(ring, RING_MASK);
  const slot = <usize>load<u32>(ring, RING_SLOTS) + (position & mask) * SLOT_STRIDE;
  const descriptor = <usize>load<u32>(ring, RING_DESCRIPTORS) + (position & mask) * DESCRIPTOR_SIZE;
  const packet = slot + load<u32>(descriptor, DESCRIPTOR_OFFSET);
  const length = load<u32>(descriptor, DESCRIPTOR_LENGTH);
  const header = packet - DEVICE_HEADER_SIZE;

  const type = <u32>load<u8>(header, HEADER_GSO_TYPE);
  const needsChecksum = (<u32>load<u8>(header) & <u32>NEEDS_CHECKSUM) !== 0;
  if (type === GSO_NONE && !needsChecksum) return 1;
  const start = <u32>load<u16>(header, HEADER_CHECKSUM_START);
  const field = start + <u32>load<u16>(header, HEADER_CHECKSUM_OFFSET);
  if (!needsChecksum || field + 2 > length) return refuse(descriptor);
  if (type === GSO_NONE) {
    finishChecksum(packet, start, length, field);
    return 1;
  }

  const headers = tcpHeaders(packet, type, start, field, length);
  const size = <u32>load<u16>(header, HEADER_GSO_SIZE);
  if (headers === 0 || size === 0) return refuse(descriptor);
  if (length <= headers + size) {
    finishChecksum(packet, start, length, field);
    return 1;
  }
  const count = (length - headers + size - 1) / size;
  if (count > room) return refuse(descriptor);
  split(ring, position, packet, start, headers, size, length);
  return count;
}

function refuse(descriptor: usize): u32 {
  store<u32>(descriptor, 0, DESCRIPTOR_LENGTH);
  return 1;
}

/** Length of the IP and TCP headers of a superpacket, 0 when it is none. */
function tcpHeaders(packet: usize, type: u32, start: u32, field: u32, length: u32): u32 {
  if (type !== GSO_TCPV4 && type !== GSO_TCPV6) return 0;
  const family: u32 = type === GSO_TCPV4 ? 4 : 6;
  if (version(packet) !== family || field !== start + TCP_CHECKSUM) return 0;
  if (family === 4 && (start < IPV4_LENGTH || start !== headerLength4(packet))) return 0;
  if (family === 6 && start < IPV6_LENGTH) return 0;
  const own = tcpHeaderLength(packet + start, length - start);
  return own === 0 ? 0 : start + own;
}

function finishChecksum(packet: usize, start: u32, length: u32, field: u32): void {
  let checksum = finish(sum(packet + start, length - start, 0));
  // A UDP checksum of 0 would mean none (RFC 768).
  if (checksum === 0 && field - start === UDP_CHECKSUM) checksum = 0xffff;
  store<u16>(packet + field, <u16>checksum);
}

/** Puts every segment of a superpacket into a slot of its own; the first stays where it is. */
function split(
  ring: usize,
  position: u32,
  packet: usize,
  start: u32,
  headers: u32,
  size: u32,
  length: u32,
): void {
  const mask = load<u32>(ring, RING_MASK);
  const slots = <usize>load<u32>(ring, RING_SLOTS);
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const source = descriptors + (position & mask) * DESCRIPTOR_SIZE;
  const offset = load<u32>(source, DESCRIPTOR_OFFSET);
  const tunnel = load<u32>(source, DESCRIPTOR_TUNNEL);
  // The pseudo-header sum without its length, which differs from segment to segment.
  const whole = swap16(length - start);
  const pseudo = <u64>load<u16>(packet + start, TCP_CHECKSUM) + <u64>(~whole & 0xffff);

  let index: u32 = 1;
  for (let at = headers + size; at < length; at += size) {
    const payload = min(size, length - at);
    const place = (position + index) & mask;
    const copy = slots + place * SLOT_STRIDE + offset;
    copySum(copy, packet, headers);
    const acc = pseudo + copySum(copy + headers, packet + at, payload);
    putSegment(copy, start, headers, payload, index, index * size, at + payload < length, acc);
    describe(descriptors + place * DESCRIPTOR_SIZE, offset, headers + payload, tunnel);
    index++;
  }
  const acc = pseudo + sum(packet + headers, size, 0);
  putSegment(packet, start, headers, size, 0, 0, true, acc);
  describe(source, offset, headers + size, tunnel);
}

/** Sets what differs from segment to segment in copied headers, and both checksums. */
function putSegment(
  packet: usize,
  start: u32,
  headers: u32,
  payload: u32,
  index: u32,
  skipped: u32,
  isFollowed: bool,
  acc: u64,
): void {
  const length = headers + payload;
  if (version(packet) === 4) {
    store16(packet + IPV4_TOTAL_LENGTH, length);
    store16(packet + IPV4_IDENTIFICATION, load16(packet + IPV4_IDENTIFICATION) + index);
    store<u16>(packet, 0, IPV4_CHECKSUM);
    store<u16>(packet, <u16>finish(sum(packet, start, 0)), IPV4_CHECKSUM);
  } else {
    store16(packet + IPV6_PAYLOAD_LENGTH, length - IPV6_LENGTH);
  }
  const tcp = packet + start;
  store32(tcp + TCP_SEQUENCE, load32(tcp + TCP_SEQUENCE) + skipped);
  let flags = <u32>load<u8>(tcp, TCP_FLAGS);
  if (isFollowed) flags &= ~(TCP_FIN | TCP_PSH);
  if (index !== 0) flags &= ~TCP_CWR;
  store<u8>(tcp, <u8>flags, TCP_FLAGS);
  store<u16>(tcp, 0, TCP_CHECKSUM);
  const total = acc + <u64>swap16(length - start);
  store<u16>(tcp, <u16>finish(sum(tcp, headers - start, total)), TCP_CHECKSUM);
}

function describe(descriptor: usize, offset: u32, length: u32, tunnel: u32): void {
  store<u32>(descriptor, offset, DESCRIPTOR_OFFSET);
  store<u32>(descriptor, length, DESCRIPTOR_LENGTH);
  store<u32>(descriptor, tunnel, DESCRIPTOR_TUNNEL);
  store<u32>(descriptor, REASON_NONE, DESCRIPTOR_REASON);
  store<u32>(descriptor, length, DESCRIPTOR_INNER_LENGTH);
  store<u32>(descriptor, 0, DESCRIPTOR_LINK);
}
