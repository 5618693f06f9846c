// The runs of a batch, and which of them a flow has open.
//
// A run lies at the place of the slot whose packet came first. The open run of a flow is found by a hash of tunnel, ports
// and addresses, in a table that every batch begins empty (clearPlaces).
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_IP,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  FLOW_PLACES,
  FLOW_RUN_SIZE,
} from './layout';
import { ipOf, linkOf } from './superpacket';
import { IPV4_DESTINATION, IPV4_LENGTH, IPV4_PROTOCOL, IPV4_SOURCE } from './wire/ipv4';
import { IPV6_LENGTH, IPV6_NEXT_HEADER, IPV6_SOURCE } from './wire/ipv6';

// A run: u32 each.
export const RUN_FIRST = 0; // slot index of the packet in front
export const RUN_LAST = 4; // slot index of the packet behind
export const RUN_PACKETS = 8; // 0: no run began with this slot
export const RUN_LENGTH = 12; // bytes of the IP packet as merged
export const RUN_HEADERS = 16; // bytes of IP and transport header
export const RUN_SIZE = 20; // payload of every packet but the last
export const RUN_BEGIN = 24; // TCP: sequence number of its first byte
export const RUN_END = 28; // TCP: sequence number after its last byte
export const RUN_ENDED = 32; // 1: nothing can be appended: PSH, or a packet shorter than the others
export const RUN_SUMMED = 36; // 1: the checksum of the only packet was verified

/** Forgets which flows have open runs. */
export function clearPlaces(places: usize): void {
  for (let at: usize = 0; at < <usize>(FLOW_PLACES * 2); at += 8) store<u64>(places + at, 0);
}

/** The run that began with the packet of slot `index`. */
export function runAt(places: usize, index: u32): usize {
  return places + FLOW_PLACES * 2 + index * FLOW_RUN_SIZE;
}

/** The place of the packet's flow: that of its latest run, or the free one where the next is to be noted. */
export function findPlace(
  descriptors: usize,
  places: usize,
  descriptor: usize,
  packet: usize,
  start: u32,
): usize {
  let at = hashFlow(descriptor, packet, start);
  let place = places + (at & (FLOW_PLACES - 1)) * 2;
  // INVARIANT: there are twice as many places as slots, so a free one ends the search.
  for (let open = <u32>load<u16>(place); open !== 0; open = <u32>load<u16>(place)) {
    const run = runAt(places, open - 1);
    const other = descriptors + load<u32>(run, RUN_FIRST) * DESCRIPTOR_SIZE;
    if (isSameFlow(descriptor, packet, other, start)) break;
    place = places + (++at & (FLOW_PLACES - 1)) * 2;
  }
  return place;
}

/** Of tunnel, addresses, ports and protocol. */
function hashFlow(descriptor: usize, packet: usize, start: u32): u32 {
  let hash = load<u32>(packet + start) ^ (load<u32>(descriptor, DESCRIPTOR_TUNNEL) * 0x9e3779b1);
  const end = packet + start;
  for (let at = end - (start === IPV4_LENGTH ? 8 : 32); at < end; at += 4) {
    hash = (hash ^ load<u32>(at)) * 0x85ebca77;
    hash ^= hash >>> 15;
  }
  return hash;
}

function isSameFlow(descriptor: usize, packet: usize, other: usize, start: u32): bool {
  const first = ipOf(other);
  if (load<u32>(descriptor, DESCRIPTOR_TUNNEL) !== load<u32>(other, DESCRIPTOR_TUNNEL))
    return false;
  // IP version, and where in a frame: both behind the same Ethernet header.
  if (load<u32>(descriptor, DESCRIPTOR_IP) !== load<u32>(other, DESCRIPTOR_IP)) return false;
  if (linkOf(descriptor) !== 0 && !isSameLink(descriptor, other)) return false;
  if (load<u32>(packet + start) !== load<u32>(first + start)) return false; // both ports
  if (start === IPV4_LENGTH) {
    if (load<u8>(packet, IPV4_PROTOCOL) !== load<u8>(first, IPV4_PROTOCOL)) return false;
    if (load<u32>(packet, IPV4_SOURCE) !== load<u32>(first, IPV4_SOURCE)) return false;
    return load<u32>(packet, IPV4_DESTINATION) === load<u32>(first, IPV4_DESTINATION);
  }
  if (load<u8>(packet, IPV6_NEXT_HEADER) !== load<u8>(first, IPV6_NEXT_HEADER)) return false;
  for (let at = IPV6_SOURCE; at < <i32>IPV6_LENGTH; at += 8) {
    if (load<u64>(packet + at) !== load<u64>(first + at)) return false;
  }
  return true;
}

/** Whether two frames have the same Ethernet header; it is as long in both. */
function isSameLink(descriptor: usize, other: usize): bool {
  const frame = <usize>load<u32>(descriptor, DESCRIPTOR_ADDRESS);
  const first = <usize>load<u32>(other, DESCRIPTOR_ADDRESS);
  for (let at: u32 = 0; at < linkOf(descriptor); at += 2) {
    if (load<u16>(frame + at) !== load<u16>(first + at)) return false;
  }
  return true;
}
