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
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_OFFSET,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  DEVICE_HEADER_SIZE,
  DIRECTION_ENCAP,
  IMAGE_GENERATION,
  NO_TUNNEL,
  RING_COUNTERS,
  RING_DESCRIPTORS,
  RING_DIRECTION,
  RING_DRAINED,
  RING_FILLED,
  RING_MASK,
  RING_PROCESSED,
  RING_SLOTS,
  RING_STATES,
  SLOT_STRIDE,
  TOTALS_SIZE,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import { REASON_CAPACITY, REASON_CODEC_FAULT, REASON_NONE } from '../../asm/reason.js';
import { checksum } from '../packet/checksum.js';
import { decap } from '../packet/decap.js';
import { encapInto } from '../packet/encap.js';
import { REASON } from '../packet/reason.js';
import { segment } from '../packet/segment.js';
import { createTunnelState, type State } from '../packet/state.js';
import { createTable, type Table } from '../packet/table.js';
import { decodeTable } from '../tunnel/image.js';
import { sharedState } from '../tunnel/state.js';
import type { Codec } from './contract.js';

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

  segment(ring: number, position: number, room: number): number {
    const mask = this.#load(ring + RING_MASK);
    const slotAt = (index: number): Slot => {
      const slot = this.#load(ring + RING_SLOTS) + ((position + index) & mask) * SLOT_STRIDE;
      return {
        bytes: this.#bytes.subarray(slot, slot + SLOT_STRIDE),
        words: this.#words.subarray(this.#descriptor(ring, position + index) >>> 2),
      };
    };
    return segmentSlots(slotAt, room);
  }

  encap(ring: number): number {
    return this.#process(ring, encapSlot);
  }

  decap(ring: number): number {
    return this.#process(ring, decapSlot);
  }

  settle(ring: number, nowMs: number): void {
    const isEncap = this.#load(ring + RING_DIRECTION) === DIRECTION_ENCAP;
    const rows = this.#load(ring + RING_COUNTERS) + TOTALS_SIZE;
    const end = this.#load(ring + RING_PROCESSED);
    for (let at = this.#load(ring + RING_DRAINED); at !== end; at = (at + 1) >>> 0) {
      const descriptor = this.#descriptor(ring, at);
      const { tunnel, reason } = this.#outcome(descriptor);
      const row = rows + tunnel * COUNTER_ROW_SIZE;
      if (reason !== REASON_NONE) {
        this.#count(row + (isEncap ? COUNTER_ENCAP_DROPS : COUNTER_DECAP_DROPS) + reason * 8, 1);
        continue;
      }
      const length = this.#load(descriptor + DESCRIPTOR_INNER_LENGTH);
      this.#count(row + (isEncap ? COUNTER_TX_PACKETS : COUNTER_RX_PACKETS), 1);
      this.#count(row + (isEncap ? COUNTER_TX_BYTES : COUNTER_RX_BYTES), length);
      if (!isEncap) this.#counters[(row + COUNTER_LAST_RX) / 8] = BigInt(Math.trunc(nowMs));
    }
    this.#store(ring + RING_DRAINED, end);
  }

  checksum(address: number, length: number): number {
    return checksum(this.#bytes.subarray(address, address + length));
  }

  /** Runs every filled packet through one direction. Returns how many. */
  #process(ring: number, through: (slot: Slot, table: Table, states: State) => void): number {
    const table = this.#liveTable();
    const states = sharedState(this.#memory, this.#load(ring + RING_STATES));
    const start = this.#load(ring + RING_PROCESSED);
    const end = this.#load(ring + RING_FILLED);
    const mask = this.#load(ring + RING_MASK);
    for (let at = start; at !== end; at = (at + 1) >>> 0) {
      const slot = this.#load(ring + RING_SLOTS) + (at & mask) * SLOT_STRIDE;
      through(
        {
          bytes: this.#bytes.subarray(slot, slot + SLOT_STRIDE),
          words: this.#words.subarray(this.#descriptor(ring, at) >>> 2),
        },
        table,
        states,
      );
    }
    this.#store(ring + RING_PROCESSED, end);
    return (end - start) >>> 0;
  }

  #descriptor(ring: number, position: number): number {
    const mask = this.#load(ring + RING_MASK);
    return this.#load(ring + RING_DESCRIPTORS) + (position & mask) * DESCRIPTOR_SIZE;
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

  /** Where a packet counts. A descriptor that no build of ours leaves is its fault, whatever it says. */
  #outcome(descriptor: number): { tunnel: number; reason: number } {
    const tunnel = this.#load(descriptor + DESCRIPTOR_TUNNEL);
    const reason = this.#load(descriptor + DESCRIPTOR_REASON);
    if (tunnel < TUNNEL_CAPACITY && reason < REASON_CAPACITY) return { tunnel, reason };
    return { tunnel: NO_TUNNEL, reason: REASON_CODEC_FAULT };
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

/** A slot and, word by word, its descriptor. */
interface Slot {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

/** Does what the device header of the packet in slot 0 asks for; its segments go to the slots from there on. */
function segmentSlots(slotAt: (index: number) => Slot, room: number): number {
  const source = slotAt(0);
  const offset = field(source, DESCRIPTOR_OFFSET);
  const tunnel = field(source, DESCRIPTOR_TUNNEL);
  const packet = source.bytes.slice(offset, offset + field(source, DESCRIPTOR_LENGTH));
  const header = source.bytes.slice(offset - DEVICE_HEADER_SIZE, offset);
  const packets = segment(packet, header, room);
  if (packets === null) {
    setField(source, DESCRIPTOR_LENGTH, 0);
    return 1;
  }
  for (const [index, bytes] of packets.entries()) {
    const slot = slotAt(index);
    slot.bytes.set(bytes, offset);
    setField(slot, DESCRIPTOR_OFFSET, offset);
    setField(slot, DESCRIPTOR_LENGTH, bytes.length);
    setField(slot, DESCRIPTOR_TUNNEL, tunnel);
    setField(slot, DESCRIPTOR_REASON, REASON_NONE);
    setField(slot, DESCRIPTOR_INNER_LENGTH, bytes.length);
    setField(slot, DESCRIPTOR_LINK, 0);
  }
  return packets.length;
}

function encapSlot(slot: Slot, table: Table, states: State): void {
  const record = field(slot, DESCRIPTOR_TUNNEL);
  const offset = field(slot, DESCRIPTOR_OFFSET);
  const length = field(slot, DESCRIPTOR_LENGTH);
  if (record > table.entries.length) setField(slot, DESCRIPTOR_TUNNEL, NO_TUNNEL);
  const entry = table.entries[record - 1];
  const state = entry === undefined ? createTunnelState() : states.of(entry.tunnel, record);
  const result = encapInto(slot.bytes.subarray(offset, offset + length), entry, state);
  if (result.verdict === 'drop') {
    setField(slot, DESCRIPTOR_REASON, REASON[result.reason]);
    return;
  }
  const start = offset - result.outerLength;
  slot.bytes.set(result.packet.subarray(0, result.outerLength), start);
  setField(slot, DESCRIPTOR_OFFSET, start);
  setField(slot, DESCRIPTOR_LENGTH, result.packet.length);
  setField(slot, DESCRIPTOR_INNER_LENGTH, length);
  setField(slot, DESCRIPTOR_REASON, REASON_NONE);
}

function decapSlot(slot: Slot, table: Table, states: State): void {
  const offset = field(slot, DESCRIPTOR_OFFSET);
  const length = field(slot, DESCRIPTOR_LENGTH);
  const packet = slot.bytes.subarray(offset, offset + length);
  const result = decap(packet, table, states, field(slot, DESCRIPTOR_LINK));
  setField(slot, DESCRIPTOR_TUNNEL, result.record);
  if (result.verdict === 'drop') {
    setField(slot, DESCRIPTOR_REASON, REASON[result.reason]);
    return;
  }
  const start = offset + result.offset;
  slot.bytes.set(result.deviceHeader, start - DEVICE_HEADER_SIZE);
  slot.bytes.set(result.packet, start);
  setField(slot, DESCRIPTOR_OFFSET, start);
  setField(slot, DESCRIPTOR_LENGTH, result.packet.length);
  setField(slot, DESCRIPTOR_INNER_LENGTH, result.packet.length);
  setField(slot, DESCRIPTOR_REASON, REASON_NONE);
}

function field({ words }: Slot, offset: number): number {
  return words[offset >>> 2] ?? 0;
}

function setField({ words }: Slot, offset: number, value: number): void {
  words[offset >>> 2] = value;
}
