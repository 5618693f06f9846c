// Both rings of a dataplane's memory, filled and settled by the test in the codec's stead.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { DESCRIPTOR_LINK, DESCRIPTOR_SIZE, RING_DESCRIPTORS } from '../../asm/layout.js';
import { REASON_NONE } from '../../asm/reason.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Ring } from '../../src/ring/ring.js';
import type { Underlay } from '../../src/underlay/contract.js';

export interface SendOptions {
  /** Reasons that packets have already. */
  readonly reasons?: readonly number[];
  /** Bytes of each packet that lie in the first of two pieces. */
  readonly cut?: number;
  /** Tunnel record of each, 1 where there is none. */
  readonly records?: readonly number[];
}

export interface Received {
  readonly bytes: Uint8Array;
  /** Index of the device that it came in by, as its descriptor has it. */
  readonly link: number;
}

export class RingBench {
  readonly memory: WebAssembly.Memory;
  readonly encap: Ring;
  readonly decap: Ring;
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;

  constructor() {
    const plan = planMemory(1);
    this.memory = createMemory(plan);
    const [lane] = plan.lanes;
    this.encap = new Ring(this.memory, lane.encap);
    this.decap = new Ring(this.memory, lane.decap);
    this.bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Uint32Array(this.memory.buffer);
  }

  /** Puts packets into the encap ring as if the codec had processed them; returns the reasons after `send`. */
  send(
    underlay: Underlay,
    packets: readonly Uint8Array[],
    { reasons = [], cut = 0, records = [] }: SendOptions = {},
  ): number[] {
    const ring = this.encap;
    const from = ring.filled;
    for (const [n, packet] of packets.entries()) {
      const position = (from + n) >>> 0;
      const address = ring.packetAddress(position);
      const first = cut === 0 ? packet.length : Math.min(cut, packet.length);
      this.bytes.set(packet.subarray(0, first), address);
      ring.fill(position, first, records[n] ?? 1, 0);
      if (first < packet.length) {
        this.bytes.set(packet.subarray(first), address + 20_000);
        ring.setPayload(position, address + 20_000, packet.length - first);
      }
      ring.setReason(position, reasons[n] ?? REASON_NONE);
    }
    const to = (from + packets.length) >>> 0;
    ring.restore(to, to, from);
    underlay.send(ring, from, to);
    ring.restore(to, to, to);
    return packets.map((_, n) => ring.reason((from + n) >>> 0));
  }

  /** Receives until `count` packets are there or a second has passed. */
  async receive(underlay: Underlay, count: number, max = 64): Promise<Received[]> {
    const packets: Received[] = [];
    for (let tries = 0; tries < 100 && packets.length < count; tries++) {
      const received = this.receiveNow(underlay, max);
      packets.push(...received);
      if (received.length === 0) await sleep(10);
    }
    return packets;
  }

  /** What one call receives, and frees its slots. */
  receiveNow(underlay: Underlay, max = 64): Received[] {
    const ring = this.decap;
    const from = ring.filled;
    const count = underlay.receive(ring, max);
    assert.equal(ring.filled, (from + count) >>> 0);
    const packets = Array.from({ length: count }, (_, n) => this.#read((from + n) >>> 0));
    ring.restore(ring.filled, ring.filled, ring.filled);
    return packets;
  }

  #read(position: number): Received {
    const ring = this.decap;
    const head = ring.processedAddress(position);
    const rest = ring.payloadLength(position);
    const payload = rest > 0 ? ring.processedPayload(position) : 0;
    assert.ok(head >= 0 && payload >= 0, 'it lies where it may');
    const bytes = Uint8Array.from([
      ...this.bytes.subarray(head, head + ring.length(position)),
      ...this.bytes.subarray(payload, payload + rest),
    ]);
    const descriptors = this.#words[(ring.address + RING_DESCRIPTORS) >>> 2] ?? 0;
    const descriptor = descriptors + (position & 255) * DESCRIPTOR_SIZE;
    return { bytes, link: this.#words[(descriptor + DESCRIPTOR_LINK) >>> 2] ?? -1 };
  }
}
