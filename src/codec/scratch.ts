// A dataplane of one lane with no device and no socket: where a codec is tried before it goes live.
import {
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_IP,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SUM,
  DEVICE_HEADER_SIZE,
  SLOT_COUNT,
  SLOT_HEADROOM,
} from '../../asm/layout.js';
import type { Tunnel } from '../packet/tunnel.js';
import { createMemory, type MemoryPlan, planMemory } from '../ring/plan.js';
import { Ring } from '../ring/ring.js';
import { TunnelTable } from '../tunnel/table.js';

/** What every byte around a packet is before the codec sees it, and must be afterwards. */
const CANARY = 0xa5;
/** Canary bytes behind a packet. */
const CANARY_SIZE = 64;

/** A packet that goes into a scratch ring. */
export interface ScratchPacket {
  readonly bytes: Uint8Array;
  readonly tunnel: number;
  /** Index of the device it came from, 0 = not known. */
  readonly link?: number;
}

/** A packet as decap would leave it. */
export interface ScratchArrival extends ScratchPacket {
  readonly deviceHeader: Uint8Array;
}

export class Scratch {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly bytes: Uint8Array;
  readonly encap: Ring;
  readonly decap: Ring;
  /** Address of the lane's counters. */
  readonly counters: number;

  /** Record i + 1 is `tunnels[i]`. */
  constructor(tunnels: readonly Tunnel[]) {
    this.plan = planMemory(1);
    const [lane] = this.plan.lanes;
    this.memory = createMemory(this.plan);
    this.bytes = new Uint8Array(this.memory.buffer);
    this.encap = new Ring(this.memory, lane.encap);
    this.decap = new Ring(this.memory, lane.decap);
    this.counters = lane.counters;
    new TunnelTable(this.memory, this.plan).publish(tunnels);
  }

  /** Fills and publishes as many packets as the ring has room for; each lies between canaries. */
  fill(ring: Ring, packets: readonly ScratchPacket[]): number {
    const count = Math.min(packets.length, ring.reserve());
    for (const [index, packet] of packets.slice(0, count).entries()) {
      const position = (ring.filled + index) >>> 0;
      const address = ring.packetAddress(position);
      const end = address + packet.bytes.length;
      this.bytes.fill(CANARY, address - SLOT_HEADROOM, end + CANARY_SIZE);
      this.bytes.set(packet.bytes, address);
      ring.fill(position, packet.bytes.length, packet.tunnel, packet.link ?? 0);
    }
    ring.publish(count);
    return count;
  }

  /**
   * Puts packets into the decap ring as decap leaves those it lets through: processed, none merged, none settled.
   * Returns the position of the first.
   */
  arrive(packets: readonly ScratchArrival[]): number {
    const ring = this.decap;
    const first = ring.filled;
    this.fill(ring, packets);
    const words = new Uint32Array(this.memory.buffer);
    for (const [index, { bytes, deviceHeader }] of packets.entries()) {
      const position = (first + index) >>> 0;
      const header = ring.deviceHeader(position);
      this.bytes.set(deviceHeader, header);
      const slot = position & (SLOT_COUNT - 1);
      const descriptor = header - DESCRIPTOR_DEVICE_HEADER;
      words[(descriptor + DESCRIPTOR_EMIT) >>> 2] = slot + 1; // and nothing follows
      words[(descriptor + DESCRIPTOR_IP) >>> 2] = (bytes[0] ?? 0) >>> 4;
    }
    ring.restore(ring.filled, ring.filled, first);
    return first;
  }

  /** The packet at `position` as the codec left it; empty when its descriptor points outside the slot. */
  packet(ring: Ring, position: number): Uint8Array {
    const address = ring.processedAddress(position);
    if (address < 0) return new Uint8Array(0);
    const length = ring.length(position);
    const rest = ring.payloadLength(position);
    const packet = new Uint8Array(length + rest);
    packet.set(this.bytes.subarray(address, address + length));
    const payload = rest === 0 ? 0 : ring.processedPayload(position);
    if (payload > 0) packet.set(this.bytes.subarray(payload, payload + rest), length);
    return packet;
  }

  /** What the descriptor at `position` tells the device. */
  deviceHeader(ring: Ring, position: number): Uint8Array {
    const start = ring.deviceHeader(position);
    return this.bytes.slice(start, start + DEVICE_HEADER_SIZE);
  }

  /** What a codec noted of the packet at `position` for itself: its bytes for the counters, its sum. */
  notes(ring: Ring, position: number): { readonly innerLength: number; readonly sum: number } {
    const descriptor = ring.deviceHeader(position) - DESCRIPTOR_DEVICE_HEADER;
    const view = new DataView(this.memory.buffer, descriptor, DESCRIPTOR_SIZE);
    return {
      innerLength: view.getUint32(DESCRIPTOR_INNER_LENGTH, true),
      sum: view.getUint32(DESCRIPTOR_SUM, true),
    };
  }

  /**
   * Whether the bytes around a packet of `length` bytes are still canaries: behind it, and before its slot's
   * packet address less `headroom`.
   */
  isIntact(ring: Ring, position: number, length: number, headroom: number): boolean {
    const address = ring.packetAddress(position);
    const isCanary = (byte: number): boolean => byte === CANARY;
    const before = this.bytes.subarray(address - SLOT_HEADROOM, address - headroom);
    const behind = this.bytes.subarray(address + length, address + length + CANARY_SIZE);
    return before.every(isCanary) && behind.every(isCanary);
  }
}
