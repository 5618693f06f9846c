import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_PAYLOAD,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_SIZE,
  DEVICE_HEADER_SIZE,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_SLOTS,
  SLOT_HEADROOM,
  SLOT_STRIDE,
} from '../../asm/layout.js';

/** The slots of a ring as the `js` codec sees them. */
export class SlotRing {
  readonly #memory: WebAssembly.Memory;
  readonly #slots: number;
  readonly #descriptors: number;
  readonly #mask: number;

  constructor(memory: WebAssembly.Memory, ring: number) {
    const view = new DataView(memory.buffer, ring);
    this.#memory = memory;
    this.#slots = view.getUint32(RING_SLOTS, true);
    this.#descriptors = view.getUint32(RING_DESCRIPTORS, true);
    this.#mask = view.getUint32(RING_MASK, true);
  }

  at(position: number): Slot {
    const index = position & this.#mask;
    return new Slot(
      this.#memory,
      index,
      this.#descriptors + index * DESCRIPTOR_SIZE,
      this.#slots + index * SLOT_STRIDE + SLOT_HEADROOM,
    );
  }
}

/** One slot: the fields of its descriptor, and the packet that they describe. */
export class Slot {
  readonly index: number;
  /** Address where a packet is filled in. */
  readonly home: number;
  /** Of the whole memory. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #descriptor: number;

  constructor(memory: WebAssembly.Memory, index: number, descriptor: number, home: number) {
    this.index = index;
    this.home = home;
    this.bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer, descriptor, DESCRIPTOR_SIZE);
    this.#descriptor = descriptor;
  }

  word(field: number): number {
    return this.#view.getUint32(field, true);
  }

  setWord(field: number, value: number): void {
    this.#view.setUint32(field, value, true);
  }

  half(field: number): number {
    return this.#view.getUint16(field, true);
  }

  setHalf(field: number, value: number): void {
    this.#view.setUint16(field, value, true);
  }

  /** The packet, its pieces put together: a copy. */
  packet(): Uint8Array {
    const first = this.#piece(DESCRIPTOR_ADDRESS, DESCRIPTOR_LENGTH);
    const length = this.word(DESCRIPTOR_PAYLOAD_LENGTH);
    if (length === 0) return first.slice();
    const packet = new Uint8Array(first.length + length);
    packet.set(first);
    packet.set(this.#piece(DESCRIPTOR_PAYLOAD, DESCRIPTOR_PAYLOAD_LENGTH), first.length);
    return packet;
  }

  /** Address of the packet's byte `offset`, in whichever piece it lies. */
  place(offset: number): number {
    const first = this.word(DESCRIPTOR_LENGTH);
    const isInSecond = this.word(DESCRIPTOR_PAYLOAD_LENGTH) > 0 && offset >= first;
    if (isInSecond) return this.word(DESCRIPTOR_PAYLOAD) + offset - first;
    return this.word(DESCRIPTOR_ADDRESS) + offset;
  }

  /** struct virtio_net_hdr, in place. */
  deviceHeader(): Uint8Array {
    const start = this.#descriptor + DESCRIPTOR_DEVICE_HEADER;
    return this.bytes.subarray(start, start + DEVICE_HEADER_SIZE);
  }

  #piece(address: number, length: number): Uint8Array {
    return this.bytes.subarray(this.word(address), this.word(address) + this.word(length));
  }
}
