// One ring of the dataplane's memory, seen from the host.
//
//   who            may                                                     never
//   filling end    reserve, fill, publish                                  touch a slot it has published
//   codec          read and write slots FILLED..PROCESSED, move PROCESSED  move FILLED
//   draining end   read slots DRAINED..PROCESSED, set a reason             touch a slot after settle
//
// Positions are free-running 32-bit numbers; a slot is position modulo SLOT_COUNT, and a slot's index is
// a position, too.
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_LOCAL,
  DESCRIPTOR_NEXT,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_PAYLOAD,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SUM,
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

const MASK = SLOT_COUNT - 1;

export class Ring {
  /** Address of the ring header: what the codec's functions take. */
  readonly address: number;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #slots: number;
  readonly #descriptors: number;
  readonly #filled: number;
  readonly #processed: number;
  readonly #drained: number;
  /** Where the packet of each slot may lie, kept where no codec can write. */
  readonly #low = new Uint32Array(SLOT_COUNT);
  readonly #high = new Uint32Array(SLOT_COUNT);
  #refusals = 0;

  constructor(memory: WebAssembly.Memory, address: number) {
    const words = new Uint32Array(memory.buffer);
    this.address = address;
    this.#words = words;
    this.#halves = new Uint16Array(memory.buffer);
    this.#slots = words[(address + RING_SLOTS) >>> 2] as number;
    this.#descriptors = words[(address + RING_DESCRIPTORS) >>> 2] as number;
    this.#filled = (address + RING_FILLED) >>> 2;
    this.#processed = (address + RING_PROCESSED) >>> 2;
    this.#drained = (address + RING_DRAINED) >>> 2;
    for (let slot = 0; slot < SLOT_COUNT; slot++) this.#placeAtHome(slot);
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

  /** Address of the device header (DEVICE_HEADER_SIZE bytes) of the packet at `position`. */
  deviceHeader(position: number): number {
    return this.#descriptor(position) + DESCRIPTOR_DEVICE_HEADER;
  }

  /** Describes the packet just written at `packetAddress(position)`; its device header stays as it is. */
  fill(position: number, length: number, tunnel: number, link: number): void {
    this.#placeAtHome(position);
    this.#describe(position, this.packetAddress(position), length, tunnel, link);
  }

  /**
   * Describes a packet whose first piece is `length` bytes at `address` in the slot at `home`, of which the codec may
   * leave any part; a second piece is for `setPayload` to add.
   */
  fillShared(position: number, home: number, address: number, length: number, link: number): void {
    const start = this.#slots + (home & MASK) * SLOT_STRIDE;
    this.place(position, start, start + SLOT_STRIDE);
    this.#describe(position, address, length, 0, link);
  }

  /** Adds a second piece to the packet just filled in at `position`. */
  setPayload(position: number, address: number, length: number): void {
    const word = this.#descriptor(position) >>> 2;
    this.#words[word + (DESCRIPTOR_PAYLOAD >>> 2)] = address;
    this.#words[word + (DESCRIPTOR_PAYLOAD_LENGTH >>> 2)] = length;
  }

  /** Says where the packet at `position` may lie: from `low` to before `high`. */
  place(position: number, low: number, high: number): void {
    this.#low[position & MASK] = low;
    this.#high[position & MASK] = high;
  }

  /**
   * Says that the packet at `position` may lie in the frame of `size` bytes that it begins in, of those from `low` to
   * before `high`.
   */
  placeInFrame(position: number, low: number, high: number, size: number): void {
    const offset = this.#field(position, DESCRIPTOR_ADDRESS) - low;
    const frame = low + offset - (offset % size);
    if (offset < 0 || frame >= high) this.place(position, 0, 0);
    else this.place(position, frame, frame + size);
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

  /** Address of the packet at `position` as the codec left it, or -1 if it does not lie where it may. */
  processedAddress(position: number): number {
    const address = this.#field(position, DESCRIPTOR_ADDRESS);
    const length = this.#field(position, DESCRIPTOR_LENGTH);
    // INVARIANT: all are below 2^32, so the sum is exact; only a packet inside its own bounds gets an address.
    if (address < (this.#low[position & MASK] as number)) return -1;
    if (address + length > (this.#high[position & MASK] as number)) return -1;
    return address;
  }

  /** Address of the packet's second piece, or -1 if it does not lie in the slots of this ring. */
  processedPayload(position: number): number {
    const address = this.#field(position, DESCRIPTOR_PAYLOAD);
    const end = address + this.#field(position, DESCRIPTOR_PAYLOAD_LENGTH);
    // INVARIANT: segments share the payload of a neighbour, so the bounds are those of all slots together.
    if (address < this.#slots || end > this.#slots + SLOT_COUNT * SLOT_STRIDE) return -1;
    return address;
  }

  /** Bytes at `processedAddress`. */
  length(position: number): number {
    return this.#field(position, DESCRIPTOR_LENGTH);
  }

  /** Bytes at `processedPayload`, 0 for a packet in one piece. */
  payloadLength(position: number): number {
    return this.#field(position, DESCRIPTOR_PAYLOAD_LENGTH);
  }

  tunnel(position: number): number {
    return this.#field(position, DESCRIPTOR_TUNNEL);
  }

  reason(position: number): number {
    return this.#field(position, DESCRIPTOR_REASON);
  }

  /** Reasons given by the host so far: a codec gives its own. */
  get refusals(): number {
    return this.#refusals;
  }

  /** What the codec found a packet to be that ended at the router itself: LOCAL_*. */
  local(position: number): number {
    return this.#field(position, DESCRIPTOR_LOCAL);
  }

  setReason(position: number, reason: number): void {
    this.#refusals++;
    this.#words[(this.#descriptor(position) + DESCRIPTOR_REASON) >>> 2] = reason;
  }

  /** Bytes of the inner packets, for the counters, as the filling end or the codec noted them. */
  innerLength(position: number): number {
    return this.#field(position, DESCRIPTOR_INNER_LENGTH);
  }

  /** Packets on the wire that the packet at `position` stands for. */
  packets(position: number): number {
    return this.#halves[(this.#descriptor(position) + DESCRIPTOR_PACKETS) >>> 1] as number;
  }

  setPackets(position: number, count: number): void {
    this.#halves[(this.#descriptor(position) + DESCRIPTOR_PACKETS) >>> 1] = count;
  }

  /** Slot index of what is to be written in the turn of `position`, or -1: it goes with another. */
  emitted(position: number): number {
    return (this.#halves[(this.#descriptor(position) + DESCRIPTOR_EMIT) >>> 1] as number) - 1;
  }

  /** Index of the device that the packet at `position` came in by, 0 = not known. */
  link(position: number): number {
    return this.#field(position, DESCRIPTOR_LINK);
  }

  /** Slot index of the packet whose payload follows that of `position`, or -1. */
  next(position: number): number {
    return (this.#halves[(this.#descriptor(position) + DESCRIPTOR_NEXT) >>> 1] as number) - 1;
  }

  /** Lets nothing follow the packet at `position`. */
  setLast(position: number): void {
    this.#halves[(this.#descriptor(position) + DESCRIPTOR_NEXT) >>> 1] = 0;
  }

  /** The packet at `position` may lie in its slot. */
  #placeAtHome(position: number): void {
    const start = this.#slots + (position & MASK) * SLOT_STRIDE;
    this.place(position, start, start + SLOT_STRIDE);
  }

  #describe(position: number, address: number, length: number, tunnel: number, link: number): void {
    const words = this.#words;
    const descriptor = this.#descriptor(position);
    const word = descriptor >>> 2;
    words[word + (DESCRIPTOR_ADDRESS >>> 2)] = address;
    words[word + (DESCRIPTOR_LENGTH >>> 2)] = length;
    words[word + (DESCRIPTOR_TUNNEL >>> 2)] = tunnel;
    words[word + (DESCRIPTOR_REASON >>> 2)] = 0;
    words[word + (DESCRIPTOR_INNER_LENGTH >>> 2)] = length;
    words[word + (DESCRIPTOR_LINK >>> 2)] = link;
    words[word + (DESCRIPTOR_PAYLOAD_LENGTH >>> 2)] = 0;
    words[word + (DESCRIPTOR_SUM >>> 2)] = 0;
    this.#halves[(descriptor + DESCRIPTOR_PACKETS) >>> 1] = 1;
  }

  #descriptor(position: number): number {
    return this.#descriptors + (position & MASK) * DESCRIPTOR_SIZE;
  }

  #field(position: number, field: number): number {
    return this.#words[(this.#descriptor(position) + field) >>> 2] as number;
  }
}
