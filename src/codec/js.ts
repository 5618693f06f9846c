// The reference as a codec: src/packet over the shared ring.
//
//   1. process   the live table, then every packet FILLED..PROCESSED through `encapSlot` or `decapSlot`
//   2. settle    count what was processed, give the slots back
//
// What tunnels remember stays in the shared memory, so that a swap to or from this codec under traffic
// goes on with the same sequence numbers.
import {
  CONTROL_TABLE,
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
  DESCRIPTOR_TUNNEL,
  DIRECTION_ENCAP,
  IMAGE_GENERATION,
  MERGE_TCP,
  MERGE_UDP,
  NO_TUNNEL,
  RING_COUNTERS,
  RING_DIRECTION,
  RING_DRAINED,
  RING_FILLED,
  RING_PROCESSED,
  RING_STATES,
  TOTALS_SIZE,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import { REASON_CAPACITY, REASON_CODEC_FAULT, REASON_NONE } from '../../asm/reason.js';
import { checksum } from '../packet/checksum.js';
import { coalesce } from '../packet/coalesce.js';
import { createTable, type Table } from '../packet/table.js';
import { decodeTable } from '../tunnel/image.js';
import { sharedState } from '../tunnel/state.js';
import type { Codec } from './contract.js';
import {
  arrivedAt,
  decapSlot,
  encapSlot,
  segmentSlots,
  separateSlots,
  writeRun,
} from './js-slot.js';
import { type Slot, SlotRing } from './slot.js';

/** The codec `js`: the reference itself, slow and plain. */
export function createJsCodec(memory: WebAssembly.Memory): Codec {
  return new JsCodec(memory);
}

class JsCodec implements Codec {
  readonly name = 'js';
  readonly #memory: WebAssembly.Memory;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #counters: BigUint64Array;
  #table: Table = createTable([]);
  #image = 0;
  #generation = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#counters = new BigUint64Array(memory.buffer);
  }

  segment(ring: number, position: number, room: number, keep: number): number {
    const slots = this.#slots(ring);
    const entry = this.#liveTable().entries[slots.at(position).word(DESCRIPTOR_TUNNEL) - 1];
    const isFrame = entry?.carries === 'ethernet';
    return segmentSlots((index) => slots.at(position + index), room, keep, isFrame);
  }

  encap(ring: number): number {
    const table = this.#liveTable();
    const states = sharedState(this.#memory, this.#load(ring + RING_STATES));
    return this.#process(ring, (slot) => encapSlot(slot, table, states));
  }

  decap(ring: number): number {
    const table = this.#liveTable();
    const states = sharedState(this.#memory, this.#load(ring + RING_STATES));
    return this.#process(ring, (slot) => decapSlot(slot, table, states));
  }

  coalesce(ring: number, kinds: number): void {
    const slots = this.#slots(ring);
    const from = this.#load(ring + RING_DRAINED);
    const count = (this.#load(ring + RING_PROCESSED) - from) >>> 0;
    const batch = Array.from({ length: count }, (_, index) => slots.at(from + index));
    const runs = coalesce(batch.map(arrivedAt), {
      tcp: (kinds & MERGE_TCP) !== 0,
      udp: (kinds & MERGE_UDP) !== 0,
    });
    for (const run of runs) if (run.members.length > 1) writeRun(batch, run);
  }

  separate(ring: number, index: number): void {
    const slots = this.#slots(ring);
    separateSlots((at) => slots.at(at), index);
  }

  settle(ring: number, nowMs: number): void {
    const isEncap = this.#load(ring + RING_DIRECTION) === DIRECTION_ENCAP;
    const rows = this.#load(ring + RING_COUNTERS) + TOTALS_SIZE;
    const slots = this.#slots(ring);
    const end = this.#load(ring + RING_PROCESSED);
    for (let at = this.#load(ring + RING_DRAINED); at !== end; at = (at + 1) >>> 0) {
      const slot = slots.at(at);
      const { tunnel, reason } = outcome(slot);
      const row = rows + tunnel * COUNTER_ROW_SIZE;
      const packets = slot.half(DESCRIPTOR_PACKETS);
      if (reason !== REASON_NONE) {
        const drops = isEncap ? COUNTER_ENCAP_DROPS : COUNTER_DECAP_DROPS;
        this.#count(row + drops + reason * 8, packets);
        continue;
      }
      const length = slot.word(DESCRIPTOR_INNER_LENGTH);
      this.#count(row + (isEncap ? COUNTER_TX_PACKETS : COUNTER_RX_PACKETS), packets);
      this.#count(row + (isEncap ? COUNTER_TX_BYTES : COUNTER_RX_BYTES), length);
      if (!isEncap) this.#counters[(row + COUNTER_LAST_RX) / 8] = BigInt(Math.trunc(nowMs));
    }
    this.#store(ring + RING_DRAINED, end);
  }

  checksum(address: number, length: number): number {
    return checksum(this.#bytes.subarray(address, address + length));
  }

  /** Runs every filled packet through one direction. Returns how many. */
  #process(ring: number, through: (slot: Slot) => void): number {
    const slots = this.#slots(ring);
    const start = this.#load(ring + RING_PROCESSED);
    const end = this.#load(ring + RING_FILLED);
    for (let at = start; at !== end; at = (at + 1) >>> 0) through(slots.at(at));
    this.#store(ring + RING_PROCESSED, end);
    return (end - start) >>> 0;
  }

  #slots(ring: number): SlotRing {
    return new SlotRing(this.#memory, ring);
  }

  /** The table that CONTROL_TABLE names, decoded once a publication. */
  #liveTable(): Table {
    const image = Atomics.load(this.#words, CONTROL_TABLE >>> 2);
    if (image === 0) return this.#table;
    const generation = this.#load(image + IMAGE_GENERATION);
    if (image !== this.#image || generation !== this.#generation) {
      this.#table = decodeTable(this.#memory, image);
      this.#image = image;
      this.#generation = generation;
    }
    return this.#table;
  }

  #count(address: number, amount: number): void {
    this.#counters[address / 8] = (this.#counters[address / 8] ?? 0n) + BigInt(amount);
  }

  #load(address: number): number {
    return this.#words[address >>> 2] ?? 0;
  }

  #store(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }
}

/** Where a packet counts. A descriptor that no build of ours leaves is its fault, whatever it says. */
function outcome(slot: Slot): { tunnel: number; reason: number } {
  const tunnel = slot.word(DESCRIPTOR_TUNNEL);
  const reason = slot.word(DESCRIPTOR_REASON);
  if (tunnel < TUNNEL_CAPACITY && reason < REASON_CAPACITY) return { tunnel, reason };
  return { tunnel: NO_TUNNEL, reason: REASON_CODEC_FAULT };
}
