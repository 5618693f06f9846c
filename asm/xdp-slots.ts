// Between the rings of an AF_XDP socket and the slots of a lane:
//
//   receiveSlots    received frames -> descriptors of the decap ring; packets stay in their frames
//   releaseSlots    frames of drained slots -> fill ring
//   transmitSlots   packets of the encap ring -> frames of the transmit ring, behind an Ethernet header
import {
  ADJACENCY_HEADER,
  CONTROL_NEXT_HOPS,
  DESCRIPTOR_ADDRESS,
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
  NO_TUNNEL,
  RING_DESCRIPTORS,
  RING_FILLED,
  RING_MASK,
} from './layout';
import { REASON_NO_ROUTE, REASON_NONE, REASON_TOO_BIG, REASON_TX_ENOBUFS } from './reason';
import { completeFrames, fillEntry } from './xdp-frames';
import {
  XDP_DESCRIPTOR_LENGTH,
  XDP_DESCRIPTOR_SIZE,
  XDP_FILL,
  XDP_FRAME_SIZE,
  XDP_FREE,
  XDP_FREE_COUNT,
  XDP_HELD,
  XDP_IN_FLIGHT,
  XDP_LINK,
  XDP_RECEIVE,
  XDP_RECEIVED_BYTES,
  XDP_RECEIVED_FRAMES,
  XDP_RING_DESCRIPTORS,
  XDP_RING_MASK,
  XDP_RING_OWN,
  XDP_SENT_BYTES,
  XDP_SENT_FRAMES,
  XDP_TRANSMIT,
  XDP_UMEM,
} from './xdp-layout';
import { add, consume, produce, ready, room } from './xdp-ring';

const ETHERNET_LENGTH: u32 = 14;

/** Describes received packets, at most `max`, in the slots from FILLED on. Publishes nothing. Returns how many. */
export function receiveSlots(block: usize, ring: usize, max: u32): u32 {
  const view = block + XDP_RECEIVE;
  const count = min<u32>(ready(view), max);
  if (count === 0) return 0;
  const mask = load<u32>(ring, RING_MASK);
  const slots = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const filled = load<u32>(ring, RING_FILLED);
  const first = load<u32>(view, XDP_RING_OWN);
  const viewMask = load<u32>(view, XDP_RING_MASK);
  const received = <usize>load<u32>(view, XDP_RING_DESCRIPTORS);
  const umem = load<u32>(block, XDP_UMEM);
  const held = <usize>load<u32>(block, XDP_HELD);
  const link = load<u32>(block, XDP_LINK);
  let bytes: u64 = 0;
  for (let n: u32 = 0; n < count; n++) {
    const entry = received + <usize>((first + n) & viewMask) * XDP_DESCRIPTOR_SIZE;
    const frame = umem + load<u32>(entry);
    const length = load<u32>(entry, XDP_DESCRIPTOR_LENGTH);
    const index = (filled + n) & mask;
    const descriptor = slots + index * DESCRIPTOR_SIZE;
    store<u32>(held + (index << 2), frame);
    store<u32>(descriptor, frame + ETHERNET_LENGTH, DESCRIPTOR_ADDRESS);
    // The program redirects nothing shorter than Ethernet and IPv4 header.
    store<u32>(descriptor, length - ETHERNET_LENGTH, DESCRIPTOR_LENGTH);
    store<u32>(descriptor, NO_TUNNEL, DESCRIPTOR_TUNNEL);
    store<u32>(descriptor, REASON_NONE, DESCRIPTOR_REASON);
    store<u32>(descriptor, length - ETHERNET_LENGTH, DESCRIPTOR_INNER_LENGTH);
    store<u32>(descriptor, link, DESCRIPTOR_LINK);
    store<u32>(descriptor, 0, DESCRIPTOR_PAYLOAD_LENGTH);
    store<u16>(descriptor, 1, DESCRIPTOR_PACKETS);
    store<u32>(descriptor, 0, DESCRIPTOR_SUM);
    bytes += length;
  }
  consume(view, count);
  add(block + XDP_RECEIVED_FRAMES, count);
  add(block + XDP_RECEIVED_BYTES, bytes);
  return count;
}

/** Gives the frames of the slots from `from` to before `to` back to be received into. Returns how many. */
export function releaseSlots(block: usize, ring: usize, from: u32, to: u32): u32 {
  const view = block + XDP_FILL;
  const mask = load<u32>(ring, RING_MASK);
  const held = <usize>load<u32>(block, XDP_HELD);
  const umem = load<u32>(block, XDP_UMEM);
  const frameMask = ~(load<u32>(block, XDP_FRAME_SIZE) - 1);
  let count: u32 = 0;
  for (let position = from; position !== to; position++) {
    const place = held + ((position & mask) << 2);
    const frame = load<u32>(place);
    if (frame === 0) continue;
    store<u32>(place, 0);
    store<u64>(fillEntry(view, count), (frame - umem) & frameMask);
    count++;
  }
  // INVARIANT: the fill ring has an entry for every frame that is received into.
  if (count !== 0) produce(view, count);
  return count;
}

/**
 * Copies the packets from `from` to before `to` without a reason into frames and gives those to the kernel, in
 * order; one that cannot be sent gets its reason. Returns how many were given.
 */
export function transmitSlots(block: usize, ring: usize, from: u32, to: u32): u32 {
  const view = block + XDP_TRANSMIT;
  const mask = load<u32>(ring, RING_MASK);
  const slots = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const nextHops = <usize>load<u32>(CONTROL_NEXT_HOPS);
  const entries = <usize>load<u32>(view, XDP_RING_DESCRIPTORS);
  const viewMask = load<u32>(view, XDP_RING_MASK);
  const stack = <usize>load<u32>(block, XDP_FREE);
  const umem = load<u32>(block, XDP_UMEM);
  const size = load<u32>(block, XDP_FRAME_SIZE);
  completeFrames(block);
  const most = min<u32>(room(view), load<u32>(block, XDP_FREE_COUNT));
  const first = load<u32>(view, XDP_RING_OWN);
  let free = load<u32>(block, XDP_FREE_COUNT);
  let count: u32 = 0;
  let bytes: u64 = 0;
  for (let position = from; position !== to; position++) {
    const descriptor = slots + (position & mask) * DESCRIPTOR_SIZE;
    if (load<u32>(descriptor, DESCRIPTOR_REASON) !== REASON_NONE) continue;
    const head = load<u32>(descriptor, DESCRIPTOR_LENGTH);
    const rest = load<u32>(descriptor, DESCRIPTOR_PAYLOAD_LENGTH);
    const length = ETHERNET_LENGTH + head + rest;
    const tunnel = load<u32>(descriptor, DESCRIPTOR_TUNNEL);
    const adjacency = <usize>atomic.load<u32>(nextHops + (tunnel << 2));
    let reason: u32 = REASON_NONE;
    if (adjacency === 0) reason = REASON_NO_ROUTE;
    else if (length > size) reason = REASON_TOO_BIG;
    else if (count === most) reason = REASON_TX_ENOBUFS;
    if (reason !== REASON_NONE) {
      store<u32>(descriptor, reason, DESCRIPTOR_REASON);
      continue;
    }
    free--;
    const frame = load<u32>(stack + ((<usize>free) << 2));
    const at = <usize>frame;
    store<u64>(at, load<u64>(adjacency, ADJACENCY_HEADER));
    store<u32>(at, load<u32>(adjacency, ADJACENCY_HEADER + 8), 8);
    store<u16>(at, load<u16>(adjacency, ADJACENCY_HEADER + 12), 12);
    memory.copy(at + ETHERNET_LENGTH, load<u32>(descriptor, DESCRIPTOR_ADDRESS), head);
    if (rest !== 0) {
      const payload = load<u32>(descriptor, DESCRIPTOR_PAYLOAD);
      memory.copy(at + ETHERNET_LENGTH + head, payload, rest);
    }
    const entry = entries + <usize>((first + count) & viewMask) * XDP_DESCRIPTOR_SIZE;
    store<u64>(entry, frame - umem);
    store<u64>(entry, length, XDP_DESCRIPTOR_LENGTH); // options 0
    bytes += length;
    count++;
  }
  if (count === 0) return 0;
  store<u32>(block, free, XDP_FREE_COUNT);
  store<u32>(block, load<u32>(block, XDP_IN_FLIGHT) + count, XDP_IN_FLIGHT);
  produce(view, count);
  add(block + XDP_SENT_FRAMES, count);
  add(block + XDP_SENT_BYTES, bytes);
  return count;
}
