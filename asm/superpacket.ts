// A run -> one superpacket for the device, and back
//
//   finishRun     the first packet's headers stand for all; of the others only the payload is written
//   separateRun   takes it apart again, for a kernel that refuses it
import { sumPseudo } from './device-header';
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_IP,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_MERGED,
  DESCRIPTOR_NEXT,
  DESCRIPTOR_SIZE,
  DEVICE_CHECKSUM_OFFSET,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP,
  NEEDS_CHECKSUM,
  RING_DESCRIPTORS,
  RING_MASK,
} from './layout';
import { store16 } from './wire/bytes';
import { finish, fold, sum } from './wire/checksum';
import {
  IPV4_CHECKSUM,
  IPV4_LENGTH,
  IPV4_PROTOCOL,
  IPV4_TOTAL_LENGTH,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  version,
} from './wire/ipv4';
import { IPV6_LENGTH, IPV6_NEXT_HEADER, IPV6_PAYLOAD_LENGTH } from './wire/ipv6';
import { TCP_CHECKSUM, TCP_FLAGS, TCP_PSH } from './wire/tcp';
import { UDP_CHECKSUM, UDP_TOTAL_LENGTH } from './wire/udp';

// The bytes at DESCRIPTOR_MERGED, as they were in the first packet of a run.
const MERGED_LENGTH = 0; // u16: IPv4 total or IPv6 payload length
const MERGED_NETWORK_CHECKSUM = 2; // u16
const MERGED_UPPER_CHECKSUM = 4; // u16
const MERGED_FLAGS = 6; // u8: TCP flags
const MERGED_PARTIAL = 7; // u8: its checksum was left open
const MERGED_HEADERS = 8; // u16: what the others were cut by

/** Bytes in front of the IP packet at ADDRESS: the Ethernet header of a frame. */
export function linkOf(descriptor: usize): u32 {
  return load<u32>(descriptor, DESCRIPTOR_IP) >>> 8;
}

/** Where the IP packet begins, and how long it is. */
export function ipOf(descriptor: usize): usize {
  return <usize>load<u32>(descriptor, DESCRIPTOR_ADDRESS) + linkOf(descriptor);
}

export function ipLengthOf(descriptor: usize): u32 {
  return load<u32>(descriptor, DESCRIPTOR_LENGTH) - linkOf(descriptor);
}

/**
 * Makes a superpacket of the run that begins with `first`, whose `headers` bytes of IP and transport header stand for
 * all. `size`: payload of every packet but the last.
 */
export function finishRun(descriptors: usize, first: usize, headers: u32, size: u32): void {
  const packet = ipOf(first);
  const link = linkOf(first);
  const start = startOf(packet);
  const upper = packet + start;
  const is4 = start === IPV4_LENGTH;
  const isTcp = <u32>load<u8>(packet + (is4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER)) === PROTOCOL_TCP;
  const field = upper + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  const lengthField = packet + (is4 ? IPV4_TOTAL_LENGTH : IPV6_PAYLOAD_LENGTH);
  const merged = first + DESCRIPTOR_MERGED;
  store<u16>(merged, load<u16>(lengthField), MERGED_LENGTH);
  if (is4) store<u16>(merged, load<u16>(packet, IPV4_CHECKSUM), MERGED_NETWORK_CHECKSUM);
  store<u16>(merged, load<u16>(field), MERGED_UPPER_CHECKSUM);
  if (isTcp) store<u8>(merged, load<u8>(upper, TCP_FLAGS), MERGED_FLAGS);
  store<u8>(merged, isPartial(first) ? 1 : 0, MERGED_PARTIAL);
  store<u16>(merged, <u16>(link + headers), MERGED_HEADERS);

  let length = ipLengthOf(first) - start; // of what IP carries
  let next = <u32>load<u16>(first, DESCRIPTOR_NEXT);
  let pushed: u32 = 0;
  while (next !== 0) {
    const member = descriptors + (next - 1) * DESCRIPTOR_SIZE;
    const ip = ipOf(member);
    if (isTcp) pushed |= <u32>load<u8>(ip + start, TCP_FLAGS) & TCP_PSH;
    const payload = ipLengthOf(member) - headers;
    store<u32>(member, <u32>ip + headers, DESCRIPTOR_ADDRESS);
    store<u32>(member, payload, DESCRIPTOR_LENGTH);
    length += payload;
    next = <u32>load<u16>(member, DESCRIPTOR_NEXT);
  }
  if (isTcp) store<u8>(upper, <u8>(<u32>load<u8>(upper, TCP_FLAGS) | pushed), TCP_FLAGS);
  else store16(upper + UDP_TOTAL_LENGTH, length);
  store16(lengthField, is4 ? start + length : length);
  if (is4) {
    store<u16>(packet, 0, IPV4_CHECKSUM);
    store<u16>(packet, <u16>finish(sum(packet, start, 0)), IPV4_CHECKSUM);
  }
  const pseudo = sumPseudo(packet, length, is4 ? 4 : 6, isTcp ? PROTOCOL_TCP : PROTOCOL_UDP);
  store<u16>(field, <u16>fold(pseudo));

  let type: u32 = GSO_UDP;
  if (isTcp) type = is4 ? GSO_TCPV4 : GSO_TCPV6;
  store<u64>(
    first,
    <u64>NEEDS_CHECKSUM |
      ((<u64>type) << 8) |
      ((<u64>(link + headers)) << 16) |
      ((<u64>size) << 32) |
      ((<u64>(link + start)) << 48),
    DESCRIPTOR_DEVICE_HEADER,
  );
  const offset: u32 = isTcp ? TCP_CHECKSUM : UDP_CHECKSUM;
  store<u16>(first + DESCRIPTOR_DEVICE_HEADER, <u16>offset, DEVICE_CHECKSUM_OFFSET);
}

/**
 * Takes the run that begins with the packet of slot `index` apart: every packet is again as decap left it,
 * and DESCRIPTOR_NEXT still leads from one to the next.
 */
export function separateRun(ring: usize, index: u32): void {
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const mask = load<u32>(ring, RING_MASK);
  const first = descriptors + (index & mask) * DESCRIPTOR_SIZE;
  let next = <u32>load<u16>(first, DESCRIPTOR_NEXT);
  if (next === 0) return;
  const merged = first + DESCRIPTOR_MERGED;
  const packet = ipOf(first);
  const link = linkOf(first);
  const start = startOf(packet);
  const is4 = start === IPV4_LENGTH;
  const isTcp = <u32>load<u8>(packet + (is4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER)) === PROTOCOL_TCP;
  const upper = packet + start;
  const headers = <u32>load<u16>(merged, MERGED_HEADERS);
  store<u16>(
    packet + (is4 ? IPV4_TOTAL_LENGTH : IPV6_PAYLOAD_LENGTH),
    load<u16>(merged, MERGED_LENGTH),
  );
  if (is4) store<u16>(packet, load<u16>(merged, MERGED_NETWORK_CHECKSUM), IPV4_CHECKSUM);
  if (isTcp) store<u8>(upper, load<u8>(merged, MERGED_FLAGS), TCP_FLAGS);
  else store16(upper + UDP_TOTAL_LENGTH, ipLengthOf(first) - start);
  store<u16>(
    upper + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM),
    load<u16>(merged, MERGED_UPPER_CHECKSUM),
  );
  if (load<u8>(merged, MERGED_PARTIAL)) {
    const begin = <u64>(link + start);
    store<u64>(first, <u64>NEEDS_CHECKSUM | (begin << 48), DESCRIPTOR_DEVICE_HEADER);
  } else {
    store<u64>(first, 0, DESCRIPTOR_DEVICE_HEADER);
    store<u16>(first + DESCRIPTOR_DEVICE_HEADER, 0, DEVICE_CHECKSUM_OFFSET);
  }
  while (next !== 0) {
    const member = descriptors + ((next - 1) & mask) * DESCRIPTOR_SIZE;
    store<u32>(member, load<u32>(member, DESCRIPTOR_ADDRESS) - headers, DESCRIPTOR_ADDRESS);
    store<u32>(member, load<u32>(member, DESCRIPTOR_LENGTH) + headers, DESCRIPTOR_LENGTH);
    next = <u32>load<u16>(member, DESCRIPTOR_NEXT);
  }
}
/** Where the transport header of a packet without options or extension headers begins. */
export function startOf(packet: usize): u32 {
  return version(packet) === 4 ? IPV4_LENGTH : IPV6_LENGTH;
}

/** Whether the checksum of a packet was left to the device. */
export function isPartial(descriptor: usize): bool {
  return (<u32>load<u8>(descriptor, DESCRIPTOR_DEVICE_HEADER) & <u32>NEEDS_CHECKSUM) !== 0;
}
