import { DEVICE_HEADER_SIZE, SLOT_COUNT, SLOT_PACKET } from '../../asm/layout.js';
import type { Ring } from '../ring/ring.js';
import { IovecBlock } from '../sys/iovec.js';

/** Pieces of every read, and of a write that is no run: device header and packet. */
export const READ_PIECES = 2;

/**
 * The iovecs that the devices of one lane read and write with.
 *
 * INVARIANT: an iovec only ever names a device header, bytes of a slot, or what `Ring.processedAddress` found
 * to lie where it may.
 */
export class DeviceVectors {
  readonly #read: IovecBlock;
  readonly #write: IovecBlock;

  /** `base`: native address of the dataplane's memory; `encap`: the ring that packets are read into. */
  constructor(base: number, encap: Ring) {
    this.#read = new IovecBlock(SLOT_COUNT * READ_PIECES, base);
    this.#write = new IovecBlock(1 + SLOT_COUNT, base);
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      this.#read.set(slot * READ_PIECES, encap.deviceHeader(slot), DEVICE_HEADER_SIZE);
      this.#read.set(slot * READ_PIECES + 1, encap.packetAddress(slot), SLOT_PACKET);
    }
  }

  /** Native address of the iovecs for the slot at `position` of the encap ring. */
  forRead(position: number): number {
    return this.#read.addressOf((position & (SLOT_COUNT - 1)) * READ_PIECES);
  }

  /** Native address of the iovecs that `setWrite` set. */
  get write(): number {
    return this.#write.address;
  }

  /** Sets the iovecs for the run that begins in slot `index`. Returns how many. */
  setWrite(ring: Ring, index: number): number {
    this.#write.set(0, ring.deviceHeader(index), DEVICE_HEADER_SIZE);
    let count = 1;
    for (let at = index; at >= 0; at = ring.next(at)) {
      this.#write.set(count++, ring.processedAddress(at), ring.length(at));
    }
    return count;
  }
}
