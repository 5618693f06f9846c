import {
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_OFFSET,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TUNNEL,
  RING_DESCRIPTORS,
  RING_DRAINED,
  RING_FILLED,
  RING_PROCESSED,
  RING_SLOTS,
  SLOT_COUNT,
  SLOT_HEADROOM,
  SLOT_STRIDE,
} from '../../asm/layout.js';

// One ring of the dataplane's memory, seen from the host.
//
//   who            may                                                     never
//   filling end    reserve, fill, publish                                  touch a slot it has published
//   codec          read and write slots FILLED..PROCESSED, move PROCESSED  move FILLED
//   draining end   read slots DRAINED..PROCESSED, set a reason             touch a slot after settle
//
// Positions are free-running 32-bit numbers; a slot is position modulo SLOT_COUNT.

const MASK = SLOT_COUNT - 1;

export class Ring {
  /** Address of the ring header: what the codec's functions take. */
  readonly address: number;
  readonly #words: Uint32Array;
  readonly #slots: number;
  readonly #descriptors: number; // index into #words
  readonly #filled: number;
  readonly #processed: number;
  readonly #drained: number;

  constructor(memory: WebAssembly.Memory, address: number) {
    const words = new Uint32Array(memory.buffer);
    this.address = address;
    this.#words = words;
    this.#slots = words[(address + RING_SLOTS) >>> 2] as number;
    this.#descriptors = (words[(address + RING_DESCRIPTORS) >>> 2] as number) >>> 2;
    this.#filled = (address + RING_FILLED) >>> 2;
    this.#processed = (address + RING_PROCESSED) >>> 2;
    this.#drained = (address + RING_DRAINED) >>> 2;
  }

  get filled(): number {
    return this.#words[this.#filled] as number;
  }

  get processed(): number {
    return this.#words[this.#processed] as number;
  }

  get drained(): number {
    return this.#words[this.#drained] as number;
  }

  /** How many slots can be filled before the oldest is drained. */
  reserve(): number {
    return SLOT_COUNT - ((this.filled - this.drained) >>> 0);
  }

  /** Address where a packet of the slot at `position` is to be written: behind the headroom. */
  packetAddress(position: number): number {
    return this.#slots + (position & MASK) * SLOT_STRIDE + SLOT_HEADROOM;
  }

  /** Describes the packet just written at `packetAddress(position)`. */
  fill(position: number, length: number, tunnel: number, link: number): void {
    const word = this.#descriptors + (position & MASK) * (DESCRIPTOR_SIZE >>> 2);
    this.#words[word + (DESCRIPTOR_OFFSET >>> 2)] = SLOT_HEADROOM;
    this.#words[word + (DESCRIPTOR_LENGTH >>> 2)] = length;
    this.#words[word + (DESCRIPTOR_TUNNEL >>> 2)] = tunnel;
    this.#words[word + (DESCRIPTOR_REASON >>> 2)] = 0;
    this.#words[word + (DESCRIPTOR_INNER_LENGTH >>> 2)] = length;
    this.#words[word + (DESCRIPTOR_LINK >>> 2)] = link;
  }

  /** Hands the next `count` filled slots to the codec. */
  publish(count: number): void {
    this.#words[this.#filled] = this.filled + count;
  }

  /** Puts the cursors to where they belong after a codec had its hands on them. */
  restore(filled: number, processed: number, drained: number): void {
    this.#words[this.#filled] = filled;
    this.#words[this.#processed] = processed;
    this.#words[this.#drained] = drained;
  }

  /** Address of the packet at `position` as the codec left it, or -1 if it does not lie in its slot. */
  processedAddress(position: number): number {
    const word = this.#descriptors + (position & MASK) * (DESCRIPTOR_SIZE >>> 2);
    const offset = this.#words[word + (DESCRIPTOR_OFFSET >>> 2)] as number;
    const length = this.#words[word + (DESCRIPTOR_LENGTH >>> 2)] as number;
    // INVARIANT: both are below 2^32, so the sum is exact; only a packet inside its slot gets an address.
    // 16 bytes in front stay inside too: the device header is written there.
    if (offset < 16 || offset + length > SLOT_STRIDE) return -1;
    return this.#slots + (position & MASK) * SLOT_STRIDE + offset;
  }

  length(position: number): number {
    return this.#field(position, DESCRIPTOR_LENGTH);
  }

  tunnel(position: number): number {
    return this.#field(position, DESCRIPTOR_TUNNEL);
  }

  reason(position: number): number {
    return this.#field(position, DESCRIPTOR_REASON);
  }

  setReason(position: number, reason: number): void {
    const word = this.#descriptors + (position & MASK) * (DESCRIPTOR_SIZE >>> 2);
    this.#words[word + (DESCRIPTOR_REASON >>> 2)] = reason;
  }

  #field(position: number, field: number): number {
    const word = this.#descriptors + (position & MASK) * (DESCRIPTOR_SIZE >>> 2) + (field >>> 2);
    return this.#words[word] as number;
  }
}
