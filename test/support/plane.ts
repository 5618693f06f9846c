// A codec with a memory of its own, packets that go through it, and what may have changed by then.
//
// Slots are dirty: 0xa5 everywhere but in the packet. `run` gives back the bytes around each packet too,
// so that a test compares everything a codec could have touched; `assertCanaries` looks at the rest.
import assert from 'node:assert/strict';
import {
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LOCAL,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SUM,
  DEVICE_HEADER_SIZE,
  RING_DESCRIPTORS,
  RING_SLOTS,
  SLOT_COUNT,
  SLOT_HEADROOM,
  SLOT_STRIDE,
} from '../../asm/layout.js';
import { REASON_LOCAL } from '../../asm/reason.js';
import type { Codec } from '../../src/codec/contract.js';
import { recordsOf } from '../../src/packet/peers.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { EcnCounts } from '../../src/ring/ecn-counts.js';
import { PathMtus } from '../../src/ring/path-mtus.js';
import { createMemory, type MemoryPlan, planMemory } from '../../src/ring/plan.js';
import { Ring } from '../../src/ring/ring.js';
import { type Counters, readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { gather } from '../../src/underlay/slot-copy.js';

export const DIRT = 0xa5;
/** Bytes behind the packet that are compared as well. */
const GUARD = 64;

export type Direction = 'encap' | 'decap';

/** A packet for a ring, as the filling end describes it. */
export interface Filled {
  readonly bytes: Uint8Array;
  /** Encap: the tunnel the host chose. */
  readonly tunnel?: number;
  readonly link?: number;
}

/** What a codec left of it. */
export interface Processed {
  readonly reason: number;
  readonly tunnel: number;
  readonly offset: number;
  readonly length: number;
  readonly innerLength: number;
  /** What it counts for on the wire. */
  readonly packets: number;
  /** Decap: it is written in its own turn, with nothing behind it. */
  readonly isAlone: boolean;
  /** Decap: LOCAL_* of a packet that ended at the router itself, otherwise 0. */
  readonly local: number;
  /** Decap: what the device is told. */
  readonly deviceHeader: Uint8Array;
  /** The slot from its headroom to GUARD bytes behind the packet that was filled in; overwritten by a next run. */
  readonly window: Uint8Array;
}

const DIRTY = new Uint8Array(SLOT_STRIDE).fill(DIRT);

/** The bytes of a slot that holds `packet` and nothing else. */
export function dirtyWindow(packet: Uint8Array): Uint8Array {
  const window = DIRTY.slice(0, SLOT_HEADROOM + packet.length + GUARD);
  window.set(packet, SLOT_HEADROOM);
  return window;
}

export class Plane {
  readonly codec: Codec;
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly table: TunnelTable;
  readonly pathMtus: PathMtus;
  readonly ecn: EcnCounts;
  /** All of the memory. */
  readonly bytes: Uint8Array;
  readonly rings: Readonly<Record<Direction, Ring>>;
  readonly #words: Uint32Array;
  readonly #used: Record<Direction, number[]>;

  constructor(createCodec: (memory: WebAssembly.Memory) => Codec) {
    this.plan = planMemory(1);
    this.memory = createMemory(this.plan);
    this.table = new TunnelTable(this.memory, this.plan);
    this.pathMtus = new PathMtus(this.memory, this.plan.states);
    this.ecn = new EcnCounts(this.memory, this.plan.states);
    this.bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Uint32Array(this.memory.buffer);
    const [lane] = this.plan.lanes;
    assert.ok(lane);
    this.rings = {
      encap: new Ring(this.memory, lane.encap),
      decap: new Ring(this.memory, lane.decap),
    };
    this.#used = {
      encap: new Array<number>(SLOT_COUNT).fill(0),
      decap: new Array<number>(SLOT_COUNT).fill(0),
    };
    for (const direction of ['encap', 'decap'] as const) {
      const slots = this.#slot(direction, 0);
      this.bytes.fill(DIRT, slots, slots + SLOT_COUNT * SLOT_STRIDE);
    }
    this.codec = createCodec(this.memory);
  }

  /** Makes `tunnels` the live table and forgets all sequence numbers. */
  publish(tunnels: readonly (Tunnel | undefined)[]): void {
    this.table.publish(tunnels);
    const { length } = recordsOf(tunnels);
    for (let record = 0; record <= length; record++) this.table.resetState(record);
  }

  counters(): Counters {
    return readCounters(this.memory, this.plan);
  }

  /** Takes packets, at most as many as the ring has slots, through the codec and settles them. */
  run(direction: Direction, packets: readonly Filled[], nowMs = 1): Processed[] {
    const ring = this.rings[direction];
    assert.ok(packets.length <= ring.reserve(), 'the packets fit the ring');
    const first = ring.filled;
    for (const [index, packet] of packets.entries()) this.#fill(direction, first + index, packet);
    ring.publish(packets.length);
    assert.equal(this.codec[direction](ring.address), packets.length);
    assert.equal(ring.processed, ring.filled);
    const processed = packets.map((packet, index) =>
      this.#processed(direction, first + index, packet),
    );
    this.codec.settle(ring.address, nowMs);
    assert.equal(ring.drained, ring.filled);
    return processed;
  }

  /** Every byte of every slot behind the packets that were ever in it is as dirty as at first. */
  assertCanaries(): void {
    for (const direction of ['encap', 'decap'] as const) {
      for (let index = 0; index < SLOT_COUNT; index++) this.assertSlot(direction, index);
    }
  }

  /**
   * Puts a packet with its device header into the next slot of the encap ring, unpublished, and lets the codec do
   * what the header asks for. Returns how many slots from there on hold packets.
   */
  segment(packet: Filled, header: Uint8Array, room: number, keep: number): number {
    const ring = this.rings.encap;
    const position = ring.filled;
    this.#fill('encap', position, packet);
    this.bytes.set(header, ring.deviceHeader(position));
    return this.codec.segment(ring.address, position, room, keep);
  }

  /** The packet at `position`, its pieces put together. */
  packet(direction: Direction, position: number): Uint8Array {
    return gather(this.bytes, this.rings[direction], position);
  }

  /** Sum of the inner packet as the codec noted it, 0 = not known. */
  sum(direction: Direction, position: number): number {
    return this.#word(this.#descriptor(direction, position) + DESCRIPTOR_SUM);
  }

  innerLength(direction: Direction, position: number): number {
    return this.#word(this.#descriptor(direction, position) + DESCRIPTOR_INNER_LENGTH);
  }

  /** Makes a slot as dirty as it was at first. */
  soil(direction: Direction, position: number): void {
    const slot = this.#slot(direction, position);
    const used = this.#used[direction];
    const index = position & (SLOT_COUNT - 1);
    this.bytes.fill(DIRT, slot, slot + (used[index] ?? 0));
    used[index] = 0;
  }

  /** Nothing was written to the slot at `position` but the bytes that are used. */
  assertSlot(direction: Direction, position: number): void {
    const index = position & (SLOT_COUNT - 1);
    const slot = this.#slot(direction, index);
    const used = this.#used[direction][index] ?? 0;
    const rest = this.bytes.subarray(slot + used, slot + SLOT_STRIDE);
    if (Buffer.compare(rest, DIRTY.subarray(0, rest.length)) === 0) return;
    const broken = rest.findIndex((byte) => byte !== DIRT);
    assert.fail(`${direction} slot ${index}: byte ${used + broken} was written`);
  }

  /** All descriptors of a ring: a copy. */
  descriptors(direction: Direction): Uint8Array {
    const start = this.#descriptor(direction, 0);
    return this.bytes.slice(start, start + SLOT_COUNT * DESCRIPTOR_SIZE);
  }

  #fill(direction: Direction, position: number, { bytes, tunnel, link }: Filled): void {
    const slot = this.#slot(direction, position);
    const packet = slot + SLOT_HEADROOM;
    const end = packet + bytes.length + GUARD;
    this.bytes.fill(DIRT, slot, packet);
    this.bytes.set(bytes, packet);
    this.bytes.fill(DIRT, end - GUARD, end);
    const ring = this.rings[direction];
    const header = ring.deviceHeader(position);
    // Decap must write all of it; nothing is left to do on a packet to be encapsulated.
    this.bytes.fill(direction === 'decap' ? DIRT : 0, header, header + DEVICE_HEADER_SIZE);
    ring.fill(position, bytes.length, tunnel ?? 0, link ?? 0);
    this.use(direction, position, end - slot);
  }

  /** From here on the first `length` bytes of the slot are no canaries. */
  use(direction: Direction, position: number, length: number): void {
    const used = this.#used[direction];
    const index = position & (SLOT_COUNT - 1);
    used[index] = Math.max(used[index] ?? 0, length);
  }

  #processed(direction: Direction, position: number, { bytes }: Filled): Processed {
    const ring = this.rings[direction];
    const slot = this.#slot(direction, position);
    const end = slot + SLOT_HEADROOM + bytes.length + GUARD;
    const header = ring.deviceHeader(position);
    const index = position & (SLOT_COUNT - 1);
    return {
      reason: ring.reason(position),
      tunnel: ring.tunnel(position),
      offset: ring.processedAddress(position) - slot,
      length: ring.length(position),
      innerLength: this.#word(this.#descriptor(direction, position) + DESCRIPTOR_INNER_LENGTH),
      packets: ring.packets(position),
      isAlone:
        direction === 'encap' || (ring.emitted(position) === index && ring.next(position) < 0),
      local:
        ring.reason(position) === REASON_LOCAL
          ? this.#word(this.#descriptor(direction, position) + DESCRIPTOR_LOCAL)
          : 0,
      deviceHeader: this.bytes.slice(header, header + DEVICE_HEADER_SIZE),
      window: this.bytes.subarray(slot, end),
    };
  }

  #slot(direction: Direction, position: number): number {
    const slots = this.#word(this.rings[direction].address + RING_SLOTS);
    return slots + (position & (SLOT_COUNT - 1)) * SLOT_STRIDE;
  }

  #descriptor(direction: Direction, position: number): number {
    const descriptors = this.#word(this.rings[direction].address + RING_DESCRIPTORS);
    return descriptors + (position & (SLOT_COUNT - 1)) * DESCRIPTOR_SIZE;
  }

  #word(address: number): number {
    return this.#words[address >>> 2] ?? 0;
  }
}
