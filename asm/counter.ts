// Every packet is counted here, once, after the draining end is through with it: that end may have given
// it a reason of its own (tx-error, queue-full). Only then is its slot free. A superpacket counts as the
// packets it stands for on the wire.
import {
  COUNTER_DECAP_DROPS,
  COUNTER_ENCAP_DROPS,
  COUNTER_LAST_RX,
  COUNTER_ROW_SIZE,
  COUNTER_RX_BYTES,
  COUNTER_RX_PACKETS,
  COUNTER_TX_BYTES,
  COUNTER_TX_PACKETS,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  DIRECTION_ENCAP,
  RING_COUNTERS,
  RING_DESCRIPTORS,
  RING_DIRECTION,
  RING_DRAINED,
  RING_MASK,
  RING_PROCESSED,
  TOTALS_SIZE,
  TUNNEL_CAPACITY,
} from './layout';
import { REASON_CAPACITY, REASON_CODEC_FAULT, REASON_NONE } from './reason';

/** Counts the packets between DRAINED and PROCESSED and moves DRAINED up. */
export function settleBatch(ring: usize, now: u64): void {
  const processed = load<u32>(ring, RING_PROCESSED);
  const mask = load<u32>(ring, RING_MASK);
  const descriptors = <usize>load<u32>(ring, RING_DESCRIPTORS);
  const rows = <usize>load<u32>(ring, RING_COUNTERS) + TOTALS_SIZE;
  const isEncap = load<u32>(ring, RING_DIRECTION) === DIRECTION_ENCAP;
  const drops: usize = isEncap ? COUNTER_ENCAP_DROPS : COUNTER_DECAP_DROPS;
  const packets: usize = isEncap ? COUNTER_TX_PACKETS : COUNTER_RX_PACKETS;
  const bytes: usize = isEncap ? COUNTER_TX_BYTES : COUNTER_RX_BYTES;

  for (let position = load<u32>(ring, RING_DRAINED); position !== processed; position++) {
    const descriptor = descriptors + (position & mask) * DESCRIPTOR_SIZE;
    let tunnel = load<u32>(descriptor, DESCRIPTOR_TUNNEL);
    let reason = load<u32>(descriptor, DESCRIPTOR_REASON);
    // An impossible descriptor must not write outside the counters.
    if (tunnel >= <u32>TUNNEL_CAPACITY || reason >= <u32>REASON_CAPACITY) {
      tunnel = 0;
      reason = REASON_CODEC_FAULT;
    }
    const row = rows + tunnel * COUNTER_ROW_SIZE;
    const count = <u64>load<u16>(descriptor, DESCRIPTOR_PACKETS);
    if (reason !== REASON_NONE) {
      add(row + drops + (reason << 3), count);
      continue;
    }
    add(row + packets, count);
    add(row + bytes, load<u32>(descriptor, DESCRIPTOR_INNER_LENGTH));
    if (!isEncap) store<u64>(row, now, COUNTER_LAST_RX);
  }
  store<u32>(ring, processed, RING_DRAINED);
}

/** Adds to a counter of this lane. */
function add(counter: usize, amount: u64): void {
  store<u64>(counter, load<u64>(counter) + amount);
}
