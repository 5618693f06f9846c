// coalesce: which neighbours of one flow make a run, for the device to get as one superpacket
//
//   1. coalesceBatch   every packet that decap lets through, in order of arrival
//   2. take            is it TCP or UDP whose flow can be told, and may it merge?
//   3. findPlace       runs.ts: the open run of its flow
//   4. join            in front of that run or behind it; else the run is closed and the packet begins the next
//   5. finishRuns      superpacket.ts: each becomes one
//
// A flow has one open run at most, and any packet of the flow that does not fit closes it: nothing overtakes
// anything within a flow. All of it is forgotten at the end of a batch: no packet waits for another.
import { sumPseudo } from './device-header';
import {
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_IP,
  DESCRIPTOR_NEXT,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DEVICE_GSO_TYPE,
  GSO_NONE,
  MERGE_TCP,
  MERGE_UDP,
  RING_DESCRIPTORS,
  RING_DRAINED,
  RING_FLOWS,
  RING_MASK,
  RING_PROCESSED,
} from './layout';
import { REASON_NONE } from './reason';
import {
  clearPlaces,
  findPlace,
  RUN_BEGIN,
  RUN_END,
  RUN_ENDED,
  RUN_FIRST,
  RUN_HEADERS,
  RUN_LAST,
  RUN_LENGTH,
  RUN_PACKETS,
  RUN_SIZE,
  RUN_SUMMED,
  runAt,
} from './runs';
import { finishRun, ipLengthOf, ipOf, isPartial, startOf } from './superpacket';
import { load16, load32 } from './wire/bytes';
import { finish, sum } from './wire/checksum';
import { ECN_MASK } from './wire/ecn';
import {
  FRAGMENT_DF,
  IPV4_FRAGMENT,
  IPV4_IDENTIFICATION,
  IPV4_LENGTH,
  IPV4_PROTOCOL,
  IPV4_TTL,
  isFragment4,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  totalLength4,
  version,
} from './wire/ipv4';
import {
  IPV6_HOP_LIMIT,
  IPV6_LENGTH,
  IPV6_NEXT_HEADER,
  totalLength6,
  trafficClass,
} from './wire/ipv6';
import {
  TCP_ACK,
  TCP_ACKNOWLEDGEMENT,
  TCP_DATA_OFFSET,
  TCP_FLAGS,
  TCP_LENGTH,
  TCP_PSH,
  TCP_SEQUENCE,
  TCP_WINDOW,
  tcpHeaderLength,
} from './wire/tcp';
import { UDP_CHECKSUM, UDP_LENGTH, UDP_TOTAL_LENGTH } from './wire/udp';

/** Largest IP packet. */
const LENGTH_LIMIT: u32 = 65535;
/** Most datagrams of a superpacket: UDP_MAX_SEGMENTS of kernels before 6.9. */
const DATAGRAM_LIMIT: u32 = 64;

/** Merges what may be merged of the packets between DRAINED and PROCESSED. `kinds`: MERGE_*. */
export function coalesceBatch(ring: usize, kinds: u32): void {
  const processed = load<u32>(ring, RING_PROCESSED);
  const first = load<u32>(ring, RING_DRAINED);
  if (processed - first < 2) return;
  const mask = load<u32>(ring, RING_MASK);
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const places = <usize>load<u32>(ring, RING_FLOWS);
  clearPlaces(places);
  let merged: u32 = 0;
  for (let position = first; position !== processed; position++) {
    const index = position & mask;
    const descriptor = descriptors + index * DESCRIPTOR_SIZE;
    store<u32>(runAt(places, index), 0, RUN_PACKETS);
    const hasIp = load<u32>(descriptor, DESCRIPTOR_IP) !== 0;
    if (hasIp && load<u32>(descriptor, DESCRIPTOR_REASON) === REASON_NONE) {
      merged += take(descriptors, places, index, kinds);
    }
  }
  if (merged !== 0) finishRuns(descriptors, places, first, processed, mask);
}

/** Puts one packet into the run it belongs to, or lets it stand alone. Returns 1 when it was merged. */
function take(descriptors: usize, places: usize, index: u32, kinds: u32): u32 {
  const descriptor = descriptors + index * DESCRIPTOR_SIZE;
  const packet = ipOf(descriptor);
  const is4 = version(packet) === 4;
  // A packet is as long as it says, but a frame may be padded.
  const room = ipLengthOf(descriptor);
  const length = min(is4 ? totalLength4(packet) : totalLength6(packet), room);
  const protocol = <u32>load<u8>(packet + (is4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER));
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) {
    // Behind extension headers may be a packet of any flow; another protocol has nothing to do with one.
    if (!is4 && hidesFlow(protocol)) clearPlaces(places);
    return 0;
  }
  const start: u32 = is4 ? IPV4_LENGTH : IPV6_LENGTH;
  const isTcp = protocol === PROTOCOL_TCP;
  if (!(kinds & (isTcp ? MERGE_TCP : MERGE_UDP))) return 0;
  const least: u32 = isTcp ? TCP_LENGTH : UDP_LENGTH;
  if (length < start + least || (is4 && (load<u8>(packet) !== 0x45 || isFragment4(packet)))) {
    clearPlaces(places); // its ports are elsewhere or not there at all
    return 0;
  }
  const place = findPlace(descriptors, places, descriptor, packet, start);
  const open = <u32>load<u16>(place);
  const isPadded = length !== room;
  const headers = isPadded ? 0 : candidateHeaders(descriptor, packet, start, length, isTcp);
  if (headers === 0) {
    // INVARIANT: a place that was taken stays taken, or probes for others would end at it too early.
    if (open !== 0) closeRun(runAt(places, open - 1));
    return 0;
  }
  if (open !== 0) {
    const run = runAt(places, open - 1);
    if (join(descriptors, run, index, packet, headers, length, isTcp)) return 1;
  }
  beginRun(runAt(places, index), index, packet, headers, length, isTcp);
  store<u16>(place, <u16>(index + 1));
  return 0;
}

/** Hop-by-hop, routing, fragment, destination and mobility headers, and the two of IPsec. */
function hidesFlow(protocol: u32): bool {
  return (
    protocol === 0 ||
    protocol === 43 ||
    protocol === 44 ||
    protocol === 50 ||
    protocol === 51 ||
    protocol === 60 ||
    protocol === 135
  );
}

/** Length of the headers of a packet that may be merged with others of its flow, or 0. */
function candidateHeaders(
  descriptor: usize,
  packet: usize,
  start: u32,
  length: u32,
  isTcp: bool,
): u32 {
  // One that the kernel merged before is as long as it may be.
  if (load<u8>(descriptor + DESCRIPTOR_DEVICE_HEADER, DEVICE_GSO_TYPE) !== GSO_NONE) return 0;
  const upper = packet + start;
  if (isTcp) {
    const own = tcpHeaderLength(upper, length - start);
    if (own === 0 || start + own >= length) return 0;
    const flags = <u32>load<u8>(upper, TCP_FLAGS);
    return (flags & ~TCP_PSH) === TCP_ACK ? start + own : 0;
  }
  // A congestion mark in a datagram superpacket is refused by the kernel.
  const tos = start === IPV4_LENGTH ? <u32>load<u8>(packet, 1) : trafficClass(packet);
  if ((tos & ECN_MASK) !== 0 || load16(upper + UDP_TOTAL_LENGTH) !== length - start) return 0;
  return length > start + UDP_LENGTH ? start + UDP_LENGTH : 0;
}

function beginRun(
  run: usize,
  index: u32,
  packet: usize,
  headers: u32,
  length: u32,
  isTcp: bool,
): void {
  const payload = length - headers;
  store<u32>(run, index, RUN_FIRST);
  store<u32>(run, index, RUN_LAST);
  store<u32>(run, 1, RUN_PACKETS);
  store<u32>(run, length, RUN_LENGTH);
  store<u32>(run, headers, RUN_HEADERS);
  store<u32>(run, payload, RUN_SIZE);
  store<u32>(run, 0, RUN_SUMMED);
  store<u32>(run, 0, RUN_ENDED);
  if (!isTcp) return;
  const upper = packet + startOf(packet);
  const sequence = load32(upper + TCP_SEQUENCE);
  store<u32>(run, sequence, RUN_BEGIN);
  store<u32>(run, sequence + payload, RUN_END);
  store<u32>(run, <u32>load<u8>(upper, TCP_FLAGS) & TCP_PSH ? 1 : 0, RUN_ENDED);
}

/** A run that nothing can join any more. */
function closeRun(run: usize): void {
  store<u32>(run, LENGTH_LIMIT, RUN_LENGTH);
}

/** Joins a packet to the open run of its flow, in front or behind. Returns false when it does not fit. */
function join(
  descriptors: usize,
  run: usize,
  index: u32,
  packet: usize,
  headers: u32,
  length: u32,
  isTcp: bool,
): bool {
  const payload = length - headers;
  const total = load<u32>(run, RUN_LENGTH) + payload;
  if (total > LENGTH_LIMIT || headers !== load<u32>(run, RUN_HEADERS)) return false;
  const descriptor = descriptors + index * DESCRIPTOR_SIZE;
  const first = descriptors + load<u32>(run, RUN_FIRST) * DESCRIPTOR_SIZE;
  const front = ipOf(first);
  const upper = packet + startOf(packet);
  const packets = load<u32>(run, RUN_PACKETS);

  let isBehind = true;
  if (isTcp) {
    const sequence = load32(upper + TCP_SEQUENCE);
    isBehind = sequence === load<u32>(run, RUN_END);
    if (!isBehind && sequence + payload !== load<u32>(run, RUN_BEGIN)) return false;
  } else if (packets === DATAGRAM_LIMIT) {
    return false;
  }
  const size = load<u32>(run, RUN_SIZE);
  if (isBehind) {
    if (load<u32>(run, RUN_ENDED) || payload > size) return false;
  } else {
    if (<u32>load<u8>(upper, TCP_FLAGS) & TCP_PSH || payload < size) return false;
    if (payload > size && packets > 1) return false;
  }
  if (!isAlike(packet, front, isTcp, headers, isBehind ? packets : <u32>-1)) return false;
  if (packets === 1 && !load<u32>(run, RUN_SUMMED)) {
    if (!isWhole(first, front, ipLengthOf(first), isTcp)) return false;
    store<u32>(run, 1, RUN_SUMMED);
  }
  if (!isWhole(descriptor, packet, length, isTcp)) return false;

  store<u32>(run, total, RUN_LENGTH);
  store<u32>(run, packets + 1, RUN_PACKETS);
  if (isBehind) {
    const last = descriptors + load<u32>(run, RUN_LAST) * DESCRIPTOR_SIZE;
    store<u16>(last, <u16>(index + 1), DESCRIPTOR_NEXT);
    store<u32>(run, index, RUN_LAST);
    store<u32>(run, load<u32>(run, RUN_END) + payload, RUN_END);
    const isPushed = isTcp && (<u32>load<u8>(upper, TCP_FLAGS) & TCP_PSH) !== 0;
    if (payload < size || isPushed) store<u32>(run, 1, RUN_ENDED);
  } else {
    store<u16>(descriptor, <u16>(load<u32>(run, RUN_FIRST) + 1), DESCRIPTOR_NEXT);
    store<u32>(run, index, RUN_FIRST);
    store<u32>(run, load<u32>(run, RUN_BEGIN) - payload, RUN_BEGIN);
    store<u32>(run, payload, RUN_SIZE);
    if (payload > size) store<u32>(run, 1, RUN_ENDED); // the one behind is the shorter, so the last
  }
  store<u16>(descriptor, 0, DESCRIPTOR_EMIT);
  return true;
}

/**
 * Whether two packets of a flow differ in nothing that a superpacket has once. `distance`: how many
 * identifications `packet` is behind `front`.
 */
function isAlike(packet: usize, front: usize, isTcp: bool, headers: u32, distance: u32): bool {
  const start = startOf(packet);
  if (start === IPV4_LENGTH) {
    const fragment = <u32>load<u16>(packet, IPV4_FRAGMENT);
    if (load<u8>(packet, 1) !== load<u8>(front, 1)) return false;
    if (load<u8>(packet, IPV4_TTL) !== load<u8>(front, IPV4_TTL)) return false;
    if (fragment !== <u32>load<u16>(front, IPV4_FRAGMENT)) return false;
    // What may be fragmented needs its identification (RFC 6864, 4.2): it must be the one splitting gives.
    const apart = load16(packet + IPV4_IDENTIFICATION) - load16(front + IPV4_IDENTIFICATION);
    if (!(fragment & FRAGMENT_DF) && ((apart ^ distance) & 0xffff) !== 0) return false;
  } else {
    // Version, traffic class and flow label.
    if (load<u32>(packet) !== load<u32>(front)) return false;
    if (load<u8>(packet, IPV6_HOP_LIMIT) !== load<u8>(front, IPV6_HOP_LIMIT)) return false;
  }
  if (!isTcp) return true;
  const upper = packet + start;
  const other = front + start;
  // The data offset is the same; beside it lies the ninth flag (RFC 9768).
  if (load<u8>(upper, TCP_DATA_OFFSET) !== load<u8>(other, TCP_DATA_OFFSET)) return false;
  if (load<u32>(upper, TCP_ACKNOWLEDGEMENT) !== load<u32>(other, TCP_ACKNOWLEDGEMENT)) return false;
  if (load<u16>(upper, TCP_WINDOW) !== load<u16>(other, TCP_WINDOW)) return false;
  for (let at: u32 = TCP_LENGTH; start + at < headers; at += 4) {
    if (load<u32>(upper + at) !== load<u32>(other + at)) return false;
  }
  return true;
}

/** Whether the transport checksum is right, or left to the device: merged, nobody could tell any more. */
function isWhole(descriptor: usize, packet: usize, length: u32, isTcp: bool): bool {
  if (isPartial(descriptor)) return true;
  const start = startOf(packet);
  const family: u32 = start === IPV4_LENGTH ? 4 : 6;
  const upper = packet + start;
  // No checksum: IPv4 alone allows it (RFC 768; RFC 8200, 8.1).
  if (!isTcp && load<u16>(upper, UDP_CHECKSUM) === 0) return family === 4;
  const pseudo = sumPseudo(packet, length - start, family, isTcp ? PROTOCOL_TCP : PROTOCOL_UDP);
  return finish(sum(upper, length - start, pseudo)) === 0;
}

/** Makes of every run of more than one packet what the device is given. */
function finishRuns(descriptors: usize, places: usize, from: u32, to: u32, mask: u32): void {
  for (let position = from; position !== to; position++) {
    const index = position & mask;
    const run = runAt(places, index);
    if (load<u32>(run, RUN_PACKETS) < 2) continue;
    // Written when the turn of the packet comes that was here first.
    const first = load<u32>(run, RUN_FIRST);
    store<u16>(descriptors + index * DESCRIPTOR_SIZE, <u16>(first + 1), DESCRIPTOR_EMIT);
    const headers = load<u32>(run, RUN_HEADERS);
    const size = load<u32>(run, RUN_SIZE);
    finishRun(descriptors, descriptors + first * DESCRIPTOR_SIZE, headers, size);
  }
}
