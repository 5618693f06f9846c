// Batches of decapsulated packets in a plane's decap ring: what a codec merges there, and takes apart again.
import assert from 'node:assert/strict';
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_IP,
  DESCRIPTOR_SIZE,
  DEVICE_HEADER_SIZE,
  RING_DESCRIPTORS,
  SLOT_COUNT,
  SLOT_HEADROOM,
} from '../../asm/layout.js';
import { REASON_ECN } from '../../asm/reason.js';
import type { Codec } from '../../src/codec/contract.js';
import type { Arrived } from '../../src/packet/coalesce.js';
import type { Plane } from './plane.js';

/** What a device is written at once. */
export interface Written {
  /** Places in the batch, in the order of their payload. */
  readonly members: readonly number[];
  readonly packet: Uint8Array;
  readonly deviceHeader: Uint8Array;
}

const MASK = SLOT_COUNT - 1;

/** A batch as decap leaves it: processed, nothing merged, each packet somewhere in its slot. */
export class Batch {
  readonly #plane: Plane;
  readonly #from: number;
  readonly #count: number;

  /** `shift`: bytes in front of every packet, where its outer headers were. */
  constructor(plane: Plane, packets: readonly (Arrived | null)[], shift: number) {
    const ring = plane.rings.decap;
    this.#plane = plane;
    this.#from = ring.filled;
    this.#count = packets.length;
    const words = new Uint32Array(plane.memory.buffer);
    for (const [index, arrived] of packets.entries()) {
      const position = (this.#from + index) >>> 0;
      const { packet, deviceHeader, record, start = 0 } = arrived ?? NOTHING;
      const address = ring.packetAddress(position) + shift;
      ring.fill(position, packet.length, record, 0);
      const descriptors = words[(ring.address + RING_DESCRIPTORS) >>> 2] ?? 0;
      const descriptor = descriptors + (position & MASK) * DESCRIPTOR_SIZE;
      words[(descriptor + DESCRIPTOR_ADDRESS) >>> 2] = address;
      plane.bytes.set(packet, address);
      plane.bytes.set(deviceHeader, ring.deviceHeader(position));
      words[(descriptor + DESCRIPTOR_EMIT) >>> 2] = (position & MASK) + 1; // and nothing follows
      words[(descriptor + DESCRIPTOR_IP) >>> 2] = ((packet[start] ?? 0) >>> 4) | (start << 8);
      if (arrived === null) ring.setReason(position, REASON_ECN);
      plane.use('decap', position, SLOT_HEADROOM + shift + packet.length);
    }
    const to = (this.#from + packets.length) >>> 0;
    ring.restore(to, to, this.#from);
  }

  /** Lets the plane's codec merge, and returns what would be written, in order. */
  coalesce(kinds: number): Written[] {
    const { rings, codec } = this.#plane;
    const ring = rings.decap;
    codec.coalesce(ring.address, kinds);
    const written: Written[] = [];
    for (let index = 0; index < this.#count; index++) {
      const position = (this.#from + index) >>> 0;
      const first = ring.emitted(position);
      if (ring.reason(position) === 0 && first >= 0) written.push(this.#gather(first));
    }
    return written;
  }

  /** Takes every run apart with `codec`. */
  separate(written: readonly Written[], codec: Codec): void {
    const { rings } = this.#plane;
    for (const { members } of written) {
      const [first = 0] = members;
      if (members.length > 1) codec.separate(rings.decap.address, (this.#from + first) & MASK);
    }
  }

  /** Everything a codec could have changed of the packets and their slots: a copy. */
  snapshot(): { readonly packets: Uint8Array[]; readonly descriptors: Uint8Array[] } {
    const { bytes, rings } = this.#plane;
    const ring = rings.decap;
    const positions = Array.from({ length: this.#count }, (_, index) => this.#from + index);
    const descriptors = this.#plane.descriptors('decap');
    return {
      packets: positions.map((position) => {
        const home = ring.packetAddress(position) - SLOT_HEADROOM;
        return bytes.slice(home, ring.processedAddress(position) + ring.length(position));
      }),
      descriptors: positions.map((position) => {
        const start = (position & MASK) * DESCRIPTOR_SIZE;
        // Behind this lie what merging notes for itself.
        return descriptors.slice(start, start + DESCRIPTOR_EMIT);
      }),
    };
  }

  /** Nothing was written outside of the packets; then the slots are as dirty as before. */
  end(): void {
    const ring = this.#plane.rings.decap;
    for (let index = -1; index <= this.#count; index++) {
      this.#plane.assertSlot('decap', this.#from + index);
    }
    for (let index = 0; index < this.#count; index++) this.#plane.soil('decap', this.#from + index);
    ring.restore(ring.filled, ring.filled, ring.filled);
  }

  #gather(first: number): Written {
    const { bytes, rings } = this.#plane;
    const ring = rings.decap;
    const members: number[] = [];
    const pieces: Uint8Array[] = [];
    for (let at = first; at >= 0; at = ring.next(at)) {
      assert.ok(members.length < this.#count, 'a run that does not end');
      members.push((at - this.#from) & MASK);
      const address = ring.processedAddress(at);
      assert.notEqual(address, -1);
      pieces.push(bytes.subarray(address, address + ring.length(at)));
    }
    const header = ring.deviceHeader(first);
    return {
      members,
      packet: Uint8Array.from(Buffer.concat(pieces)),
      deviceHeader: bytes.slice(header, header + DEVICE_HEADER_SIZE),
    };
  }
}

const NOTHING: Arrived = {
  record: 1,
  packet: Uint8Array.of(0x45),
  deviceHeader: new Uint8Array(DEVICE_HEADER_SIZE),
};
