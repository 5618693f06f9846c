// The recorder's module: keeps the first bytes of the last packets of every tunnel. It is none of the codec's business:
// whatever build is live, and swapped, this one stays. See src/lane/recorder.ts for who calls it when.
//
//   1. note    decap: where the packets of a batch lie, before the codec moves their addresses
//   2. take    behind the codec: copies them into the rings of their records
//   3. finish  behind the draining end: the verdict of each, and how long it took
//
// It reads what a codec left of descriptors: any address is good to copy from, as long as it is in the memory.

import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_PAYLOAD,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  DEVICE_HEADER_LENGTH,
  DIRECTION_ENCAP,
  RING_DESCRIPTORS,
  RING_DIRECTION,
  RING_DRAINED,
  RING_FILLED,
  RING_MASK,
  RING_PROCESSED,
  TUNNEL_CAPACITY,
} from './layout';
import {
  REASON_CAPACITY,
  REASON_CODEC_FAULT,
  REASON_EARLY,
  REASON_LOCAL,
  REASON_NONE,
} from './reason';
import {
  DROPPED_RING,
  KEPT_BYTES,
  KEPT_CODEC,
  KEPT_DIRECTION,
  KEPT_END,
  KEPT_IN_HAND,
  KEPT_INNER,
  KEPT_LENGTH,
  KEPT_MOVED,
  KEPT_PACKETS,
  KEPT_REASON,
  KEPT_SEQUENCE,
  KEPT_SIZE,
  KEPT_SNAP,
  KEPT_SNAPPED,
  KEPT_TIME,
  NOTE_ADDRESS,
  NOTE_LENGTH,
  NOTE_PAYLOAD,
  NOTE_PAYLOAD_LENGTH,
  NOTE_PLACE,
  NOTE_SEQUENCE,
  NOTE_SIZE,
  RECEIVED_RING,
  RECORDER_KEPT,
  RECORDER_NOTES,
  RECORDER_RECORDS,
  RECORDER_RINGS,
  RECORDER_SEQUENCE,
  RECORDER_TURN,
  RECORDER_WRITTEN,
  RINGS_A_RECORD,
  SENT_RING,
} from './recorder-layout';

/** Notes where the packets between DRAINED and FILLED lie. */
export function note(recorder: usize, ring: usize): void {
  const filled = load<u32>(ring, RING_FILLED);
  const mask = load<u32>(ring, RING_MASK);
  for (let position = load<u32>(ring, RING_DRAINED); position !== filled; position++) {
    const descriptor = descriptorAt(ring, position & mask);
    const at = noteAt(recorder, position & mask);
    store<u64>(at, load<u64>(descriptor, DESCRIPTOR_ADDRESS), NOTE_ADDRESS);
    store<u64>(at, load<u64>(descriptor, DESCRIPTOR_PAYLOAD), NOTE_PAYLOAD);
  }
}

/**
 * Keeps the packets between DRAINED and PROCESSED. `timeMs`: when the batch was filled, since 1970; `codecNs`: how long
 * ago that was.
 */
export function take(recorder: usize, ring: usize, timeMs: f64, codecNs: u32): void {
  const processed = load<u32>(ring, RING_PROCESSED);
  const mask = load<u32>(ring, RING_MASK);
  const kept = load<u32>(recorder, RECORDER_KEPT);
  const isEncap = load<u32>(ring, RING_DIRECTION) === DIRECTION_ENCAP;
  const passed = isEncap ? SENT_RING : RECEIVED_RING;
  turn(recorder);
  let position = load<u32>(ring, RING_DRAINED);
  while (position !== processed) {
    const end = runEnd(ring, position, processed);
    // Of packets that follow one another the last ones would overwrite the others: those are not even written.
    for (; end - position > kept; position++)
      store<u32>(noteAt(recorder, position & mask), 0, NOTE_PLACE);
    for (; position !== end; position++) {
      const descriptor = descriptorAt(ring, position & mask);
      const reason = load<u32>(descriptor, DESCRIPTOR_REASON);
      let place: usize = 0;
      if (reason !== REASON_EARLY) {
        const which = reason === REASON_NONE || reason === REASON_LOCAL ? passed : DROPPED_RING;
        place = keep(recorder, ring, position & mask, which);
        if (place !== 0) {
          store<f64>(place, timeMs, KEPT_TIME);
          store<u32>(place, codecNs, KEPT_CODEC);
          store<u8>(place, <u8>KEPT_IN_HAND, KEPT_REASON);
          const sequence = load<u32>(place, KEPT_SEQUENCE);
          store<u32>(noteAt(recorder, position & mask), sequence, NOTE_SEQUENCE);
        }
      }
      store<u32>(noteAt(recorder, position & mask), <u32>place, NOTE_PLACE);
    }
  }
  turn(recorder);
}

/**
 * Says what became of the packets between DRAINED and PROCESSED. Those that were refused behind the codec go to the
 * dropped ones. `timeMs`, `codecNs`: as for `take`; `endNs`: from then until now.
 */
export function finish(recorder: usize, ring: usize, timeMs: f64, codecNs: u32, endNs: u32): void {
  const processed = load<u32>(ring, RING_PROCESSED);
  const mask = load<u32>(ring, RING_MASK);
  for (let position = load<u32>(ring, RING_DRAINED); position !== processed; position++) {
    const descriptor = descriptorAt(ring, position & mask);
    let reason = load<u32>(descriptor, DESCRIPTOR_REASON);
    if (reason >= <u32>REASON_CAPACITY) reason = REASON_CODEC_FAULT;
    const at = noteAt(recorder, position & mask);
    let place = <usize>load<u32>(at, NOTE_PLACE);
    const isThere = place !== 0 && load<u32>(place, KEPT_SEQUENCE) === load<u32>(at, NOTE_SEQUENCE);
    const isDrop = reason !== REASON_NONE && reason !== REASON_LOCAL && reason !== REASON_EARLY;
    if (isDrop && !isAmongDropped(recorder, place)) {
      turn(recorder);
      place = isThere
        ? move(recorder, place, load<u32>(descriptor, DESCRIPTOR_TUNNEL))
        : keep(recorder, ring, position & mask, DROPPED_RING);
      if (place !== 0) {
        store<f64>(place, timeMs, KEPT_TIME);
        store<u32>(place, codecNs, KEPT_CODEC);
      }
      turn(recorder);
    } else if (!isThere) {
      continue;
    }
    if (place === 0) continue;
    store<u32>(place, endNs, KEPT_END);
    store<u8>(place, <u8>reason, KEPT_REASON);
  }
}

/** Whether a place is in a ring of dropped packets. */
function isAmongDropped(recorder: usize, place: usize): bool {
  if (place === 0) return false;
  const rings = <usize>load<u32>(recorder, RECORDER_RINGS);
  const size = <usize>load<u32>(recorder, RECORDER_KEPT) * KEPT_SIZE;
  return ((place - rings) / size) % RINGS_A_RECORD === DROPPED_RING;
}

/** Moves a packet that was refused in the end to the dropped ones of its record. Returns where it is then. */
function move(recorder: usize, place: usize, tunnel: u32): usize {
  const moved = reserve(recorder, tunnel, DROPPED_RING);
  if (moved === 0) return place;
  memory.copy(moved, place, KEPT_SIZE);
  store<u8>(place, <u8>KEPT_MOVED, KEPT_REASON);
  return moved;
}

/** Writes what is known of a slot's packet to ring `which` of its record. Returns where, 0 = nowhere. */
function keep(recorder: usize, ring: usize, slot: u32, which: u32): usize {
  const descriptor = descriptorAt(ring, slot);
  const place = reserve(recorder, load<u32>(descriptor, DESCRIPTOR_TUNNEL), which);
  if (place === 0) return 0;
  const direction = load<u32>(ring, RING_DIRECTION);
  const isEncap = direction === DIRECTION_ENCAP;
  // Encap puts its header in front of the packet, decap takes it away: the longer one has both.
  const whole = isEncap ? descriptor : noteAt(recorder, slot);
  const address = <usize>load<u32>(whole, NOTE_ADDRESS);
  const first = load<u32>(whole, NOTE_LENGTH);
  const payload = <usize>load<u32>(whole + (isEncap ? DESCRIPTOR_PAYLOAD : NOTE_PAYLOAD));
  const rest = load<u32>(whole + (isEncap ? DESCRIPTOR_PAYLOAD_LENGTH : NOTE_PAYLOAD_LENGTH));
  const length = first + rest;
  const inner =
    load<u32>(descriptor, DESCRIPTOR_REASON) !== REASON_NONE
      ? 0
      : isEncap
        ? length - ownLength(descriptor)
        : offsetOf(<usize>load<u32>(descriptor, DESCRIPTOR_ADDRESS), address, first, payload, rest);
  store<u32>(place, length, KEPT_LENGTH);
  store<u8>(place, <u8>direction, KEPT_DIRECTION);
  store<u8>(place, <u8>copyFirst(place + KEPT_BYTES, address, first, payload, rest), KEPT_SNAPPED);
  store<u8>(place, <u8>(inner < KEPT_SNAP ? inner : 0), KEPT_INNER);
  store<u16>(place, load<u16>(descriptor, DESCRIPTOR_PACKETS), KEPT_PACKETS);
  return place;
}

/** Bytes that the device handed over: the headers of a superpacket count once a segment, and are there once. */
function ownLength(descriptor: usize): u32 {
  const more = <u32>load<u16>(descriptor, DESCRIPTOR_PACKETS) - 1;
  const headers = <u32>load<u16>(descriptor + DESCRIPTOR_DEVICE_HEADER, DEVICE_HEADER_LENGTH);
  return load<u32>(descriptor, DESCRIPTOR_INNER_LENGTH) - more * headers;
}

/** Where in a packet of one or two pieces the byte at `inner` is, 0 = nowhere. */
function offsetOf(inner: usize, address: usize, first: u32, payload: usize, rest: u32): u32 {
  if (inner >= address && inner < address + first) return <u32>(inner - address);
  if (inner >= payload && inner < payload + rest) return first + <u32>(inner - payload);
  return 0;
}

/** The next place of ring `which` of a record, its number written; 0 where the record has no rings. */
function reserve(recorder: usize, tunnel: u32, which: u32): usize {
  // An impossible descriptor: counted as of no tunnel.
  const record = tunnel < <u32>TUNNEL_CAPACITY ? tunnel : 0;
  if (record >= load<u32>(recorder, RECORDER_RECORDS)) return 0;
  const ring = record * RINGS_A_RECORD + which;
  const counter = <usize>load<u32>(recorder, RECORDER_WRITTEN) + ((<usize>ring) << 2);
  const written = load<u32>(counter);
  store<u32>(counter, written + 1);
  const kept = load<u32>(recorder, RECORDER_KEPT);
  const index = <usize>(ring * kept + (written & (kept - 1)));
  const place = <usize>load<u32>(recorder, RECORDER_RINGS) + index * KEPT_SIZE;
  const sequence = load<u32>(recorder, RECORDER_SEQUENCE);
  store<u32>(recorder, sequence + 1, RECORDER_SEQUENCE);
  store<u32>(place, sequence, KEPT_SEQUENCE);
  return place;
}

/** Copies the first bytes of a packet of one or two pieces, at most KEPT_SNAP. Returns how many there are of them. */
function copyFirst(to: usize, address: usize, first: u32, payload: usize, rest: u32): u32 {
  const limit = ((<usize>memory.size()) << 16) - KEPT_SNAP;
  if (first > 0) {
    if (address > limit) return 0;
    copySnap(to, address);
  }
  if (first >= <u32>KEPT_SNAP) return KEPT_SNAP;
  if (rest === 0 || payload > limit) return first;
  const more = min(rest, <u32>KEPT_SNAP - first);
  copyBehind(to + first, payload, more);
  return first + more;
}

/** Copies KEPT_SNAP bytes, whatever is behind the packet: how many count is said elsewhere. */
function copySnap(to: usize, from: usize): void {
  copy32(to, from);
  copy32(to + 32, from + 32);
  copy32(to + 64, from + 64);
  copy32(to + 96, from + 96);
}

function copy32(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
  store<u64>(to, load<u64>(from, 16), 16);
  store<u64>(to, load<u64>(from, 24), 24);
}

function copyBehind(to: usize, from: usize, count: u32): void {
  let left = <i32>count;
  for (; left >= 8; left -= 8, to += 8, from += 8) store<u64>(to, load<u64>(from));
  for (; left > 0; left--, to++, from++) store<u8>(to, load<u8>(from));
}

/** Position behind the packets from `position` on that go on and are of the same record; at least the next. */
function runEnd(ring: usize, position: u32, processed: u32): u32 {
  const mask = load<u32>(ring, RING_MASK);
  const first = descriptorAt(ring, position & mask);
  const tunnel = load<u32>(first, DESCRIPTOR_TUNNEL);
  if (load<u32>(first, DESCRIPTOR_REASON) !== REASON_NONE) return position + 1;
  for (position++; position !== processed; position++) {
    const next = descriptorAt(ring, position & mask);
    if (load<u32>(next, DESCRIPTOR_REASON) !== REASON_NONE) break;
    if (load<u32>(next, DESCRIPTOR_TUNNEL) !== tunnel) break;
  }
  return position;
}

function turn(recorder: usize): void {
  atomic.add<u32>(recorder, 1, RECORDER_TURN);
}

function descriptorAt(ring: usize, slot: u32): usize {
  return <usize>load<u32>(ring, RING_DESCRIPTORS) + slot * DESCRIPTOR_SIZE;
}

function noteAt(recorder: usize, slot: u32): usize {
  return recorder + RECORDER_NOTES + slot * NOTE_SIZE;
}
