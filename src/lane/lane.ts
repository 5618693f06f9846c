// What one lane works with, and the steps that both ways of a packet share: calls of the codec, which can spoil packets and
// no more, and the lane's totals. The two ways are in encap.ts and decap.ts; who calls them when is in loop.ts.
import {
  BATCH_CLASSES,
  COUNTER_DECAP_DROPS,
  COUNTER_ROW_SIZE,
  LANE_TURN,
  SEGMENT_LIMIT,
  SLOT_COUNT,
  TOTAL_ANSWERS,
  TOTAL_ANSWERS_LIMITED,
  TOTAL_BATCHES,
  TOTAL_DEVICE_BATCHES,
  TOTAL_DEVICE_RECEIVED,
  TOTAL_ERRORS,
  TOTAL_ERRORS_LIMITED,
  TOTAL_GENERATED,
  TOTAL_UNDERLAY_BATCHES,
  TOTAL_UNDERLAY_RECEIVED,
  TOTALS_SIZE,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import { REASON_CODEC_FAULT, REASON_NONE } from '../../asm/reason.js';
import type { Codec } from '../codec/contract.js';
import type { PeerRange } from '../packet/peers.js';
import type { Reorder } from '../packet/tunnel.js';
import type { LanePlan } from '../ring/plan.js';
import { Ring } from '../ring/ring.js';
import type { TunDevice } from '../tun/contract.js';
import type { KernelDrops, Underlay } from '../underlay/contract.js';
import { Aside } from './aside.js';
import type { Board } from './board.js';
import { LocalPackets } from './local.js';
import { ReorderBuffer } from './reorder.js';
import type { LaneTunnels } from './tunnels.js';
import type { UnderlayErrors } from './underlay-errors.js';
import { Watch } from './watch.js';

export interface LaneOptions {
  readonly memory: WebAssembly.Memory;
  readonly plan: LanePlan;
  readonly underlay: Underlay;
  readonly codec: Codec;
  /** Takes over when the codec traps: the reference, which does not. */
  readonly fallback: Codec;
  /** Kinds of packets that are merged for the devices (MERGE_*), 0 = none. */
  readonly merge: number;
  /** Where what is heard of peers is noted; absent: nobody asks, and what ends here is only counted. */
  readonly board?: Board | undefined;
  /** By record, the tunnels whose early packets wait for those before them. */
  readonly reorder?: ReadonlyMap<number, Reorder>;
  readonly peers?: readonly PeerRange[] | undefined;
  /** Told once when a kernel refused superpackets and merging went off. */
  readonly onMergeRefused?: (device: string) => void;
  /** Told of a trap, once each time the codec is replaced. */
  readonly onFault: (codec: string, error: unknown) => void;
}

/** Both rings, the devices by tunnel record, the underlay and the live codec. */
export class Lane {
  readonly underlay: Underlay;
  readonly encapRing: Ring;
  readonly decapRing: Ring;
  /** Where early packets wait; undefined: no tunnel lets any. */
  reorder: ReorderBuffer | undefined;
  readonly board: Board | undefined;
  /** Who looks on as packets pass. */
  readonly watch: Watch;
  /** Devices by record index. */
  readonly devices: (TunDevice | undefined)[] = [];
  /** What becomes of packets that do not go on. */
  readonly aside: Aside;
  /** Where ICMP errors of the underlay go. */
  errors: UnderlayErrors | undefined;
  /** What these two go by. */
  tunnels: LaneTunnels | undefined;
  /** By record of a peer: that of the tunnel whose device it has. */
  readonly #owners = new Uint16Array(TUNNEL_CAPACITY);
  readonly #totals: BigUint64Array;
  readonly #words: Uint32Array;
  readonly #turn: number;
  readonly #options: LaneOptions;
  #codec: Codec;
  /** The codec that merged the batch in hand. */
  #merger: Codec;
  #merge: number;

  constructor(options: LaneOptions) {
    const { memory, plan } = options;
    this.#options = options;
    this.underlay = options.underlay;
    this.encapRing = new Ring(memory, plan.encap);
    this.decapRing = new Ring(memory, plan.decap);
    this.reorder = options.reorder && new ReorderBuffer(memory, this.decapRing, options.reorder);
    this.watch = new Watch(memory, plan);
    this.#totals = new BigUint64Array(memory.buffer, plan.counters, TOTAL_COUNT);
    this.#words = new Uint32Array(memory.buffer);
    this.#turn = (plan.counters + LANE_TURN) >>> 2;
    this.setPeers(options.peers ?? []);
    this.#codec = options.codec;
    this.#merger = options.codec;
    this.#merge = options.merge;
    this.aside = new Aside(this, memory);
    this.board = options.board;
    if (options.board) this.aside.responders.push(new LocalPackets(this, options.board));
  }

  get codec(): Codec {
    return this.#codec;
  }

  /** The device that packets of a record come from and go to. */
  deviceOf(record: number): TunDevice | undefined {
    return this.devices[this.ownerOf(record)];
  }

  /** The record of the tunnel itself: of a peer that whose device it has. */
  ownerOf(record: number): number {
    const owner = this.#owners[record] as number;
    return owner === 0 ? record : owner;
  }

  /** Says which records share the device of another. */
  setPeers(peers: readonly PeerRange[]): void {
    this.#owners.fill(0);
    for (const { device, first, count } of peers) this.#owners.fill(device, first, first + count);
  }

  /** Says which tunnels' early packets wait from here on. */
  setReorder(limits: ReadonlyMap<number, Reorder>): void {
    const { memory } = this.#options;
    if (limits.size > 0) this.reorder ??= new ReorderBuffer(memory, this.decapRing, new Map());
    this.reorder?.setLimits(limits);
  }

  /** Swaps the codec. Call it between batches only: then no packet is half done. */
  useCodec(codec: Codec): void {
    this.#codec = codec;
  }

  /**
   * Lets the codec finish the packet just filled in at `position` of the encap ring, where the kernel left
   * something to do. Returns how many of the `room` slots from there on hold packets now.
   */
  segment(position: number, room: number): number {
    // A device header of zeros: the packet is as it has to be.
    const header = this.encapRing.deviceHeader(position) >>> 2;
    if (this.#words[header] === 0 && this.#words[header + 1] === 0) return 1;
    const codec = this.#codec;
    const keep = this.underlay.keeps?.(this.encapRing.tunnel(position)) ?? 0;
    const { address, filled, processed, drained } = this.encapRing;
    let count = 0;
    try {
      count = codec.segment(address, position, room, keep) >>> 0;
      if (count < 1 || count > room) throw new Error(`it made ${count} packets in ${room} slots`);
      for (let index = 0; index < count; index++) {
        const packets = this.encapRing.packets((position + index) >>> 0);
        if (packets < 1 || packets > SEGMENT_LIMIT) throw new Error(`it counts ${packets} packets`);
      }
    } catch (error) {
      this.#replaceCodec(codec, error);
      this.encapRing.restore(filled, processed, drained);
      count = this.#options.fallback.segment(address, position, room, keep);
    }
    return count;
  }

  /**
   * Lets the codec work on all filled slots of `ring`. Whatever it leaves there is safe to send or write:
   * a codec can spoil packets, not the process. One that traps, loses the cursors or describes a packet
   * outside its slot is replaced, and the packets concerned are dropped as codec-fault.
   * Returns how many packets it gave a reason.
   */
  process(ring: Ring): number {
    const from = ring.processed;
    const to = ring.filled;
    const { drained } = ring;
    const codec = this.#codec;
    let dropped = 0;
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      packetsOf[position & MASK] = ring.packets(position);
    }
    // A publisher waits for this (src/tunnel/table.ts): the codec looks up which image is live behind the first store.
    Atomics.add(this.#words, this.#turn, 1);
    try {
      if (ring === this.encapRing) codec.encap(ring.address);
      else codec.decap(ring.address);
      if (ring.processed !== to || ring.filled !== to) throw new Error('it lost the cursors');
    } catch (error) {
      this.#replaceCodec(codec, error);
      for (let position = from; position !== to; position = (position + 1) >>> 0) {
        ring.setReason(position, REASON_CODEC_FAULT);
      }
    }
    Atomics.add(this.#words, this.#turn, 1);
    ring.restore(to, to, drained);
    // INVARIANT: after this loop every packet without a reason lies where it may and has a possible record,
    // and every packet counts for as many as it was received for.
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      const packets = packetsOf[position & MASK] as number;
      if (ring.packets(position) !== packets) {
        ring.setPackets(position, packets);
        ring.setReason(position, REASON_CODEC_FAULT);
        this.#replaceCodec(codec, new Error('it changed how many packets one stands for'));
      } else if (ring.reason(position) !== REASON_NONE) {
        dropped++;
      } else if (!isPossible(ring, position)) {
        ring.setReason(position, REASON_CODEC_FAULT);
        this.#replaceCodec(codec, new Error('it left an impossible descriptor'));
      }
    }
    return dropped;
  }

  /** Lets the codec merge processed packets of the decap ring for the devices. */
  coalesce(): void {
    if (this.#merge === 0) return;
    const ring = this.decapRing;
    const { filled, processed, drained } = ring;
    this.#merger = this.#codec;
    try {
      this.#merger.coalesce(ring.address, this.#merge);
    } catch (error) {
      this.#replaceCodec(this.#merger, error);
    }
    ring.restore(filled, processed, drained);
  }

  /**
   * Takes a run of the decap ring apart that the kernel refused as a superpacket (EINVAL): some released kernels
   * do so for good ones. Nothing is merged from here on.
   */
  separate(index: number, device: string): void {
    const ring = this.decapRing;
    const { filled, processed, drained } = ring;
    const codec = this.#codec;
    try {
      codec.separate(ring.address, index);
    } catch (error) {
      // The reference may stumble over what another codec merged before it was replaced.
      if (codec === this.#merger) this.#replaceCodec(codec, error);
    }
    ring.restore(filled, processed, drained);
    if (this.#merge === 0) return;
    this.#merge = 0;
    this.#options.onMergeRefused?.(device);
  }

  /** What the codec did to the packets it was to merge makes no sense: it is replaced. */
  rejectRuns(cause: string): void {
    this.#replaceCodec(this.#merger, new Error(cause));
  }

  /**
   * Counts all processed slots of `ring` and frees them. The ring is empty then and begins with its first slot again:
   * those used last are still in the cache of the processor (one TCP flow over gre-udp: 10 to 20 % less CPU).
   */
  settle(ring: Ring): void {
    const to = ring.processed;
    const { drained } = ring;
    const codec = this.#codec;
    const { nowMs } = this.watch;
    try {
      codec.settle(ring.address, nowMs);
    } catch (error) {
      this.#replaceCodec(codec, error);
    }
    if (ring.drained !== to) {
      ring.restore(to, to, drained);
      this.#options.fallback.settle(ring.address, nowMs);
    }
    ring.restore(0, 0, 0);
  }

  countDeviceReceived(count: number): void {
    this.#add(TOTAL_DEVICE_RECEIVED, count);
    this.#add(TOTAL_BATCHES, 1);
    this.#add(TOTAL_DEVICE_BATCHES + batchClass(count) * 8, 1);
  }

  /** Of packets that wait to go out: those of the router's own. */
  countGenerated(count: number): void {
    this.#add(TOTAL_GENERATED, count);
    this.#add(TOTAL_BATCHES, 1);
  }

  /** Corrects how many packets the devices handed over: one may go out as several. */
  countReceived(count: number): void {
    this.#add(TOTAL_DEVICE_RECEIVED, count);
  }

  /** An ICMP error to the sender of an inner packet; not sent: kept back. */
  countAnswer(isSent: boolean): void {
    this.#add(isSent ? TOTAL_ANSWERS : TOTAL_ANSWERS_LIMITED, 1);
  }

  /** An ICMP error of the underlay; not heeded: there were too many. */
  countError(isHeeded: boolean): void {
    this.#add(TOTAL_ERRORS, 1);
    if (!isHeeded) this.#add(TOTAL_ERRORS_LIMITED, 1);
  }

  /** A packet of no tunnel that was in no ring. */
  countDrop(reason: number): void {
    this.#add(TOTALS_SIZE + COUNTER_DECAP_DROPS + reason * 8, 1);
  }

  countUnderlayReceived(count: number): void {
    this.#add(TOTAL_UNDERLAY_RECEIVED, count);
    this.#add(TOTAL_BATCHES, 1);
    this.#add(TOTAL_UNDERLAY_BATCHES + batchClass(count) * 8, 1);
  }

  /** Asks the kernel what it dropped on the way to the underlay. */
  kernelDrops(): KernelDrops {
    return this.underlay.kernelDrops?.() ?? {};
  }

  /** Closes the underlay. The devices belong to the router. */
  close(): void {
    this.underlay.close();
  }

  #add(total: number, count: number): void {
    const index = total >>> 3;
    this.#totals[index] = (this.#totals[index] as bigint) + BigInt(count);
  }

  /** Puts the reference in the place of `codec`, once however many of its mistakes are found. */
  #replaceCodec(codec: Codec, error: unknown): void {
    const { fallback, onFault } = this.#options;
    if (codec === fallback) throw error;
    if (this.#codec !== codec) return;
    this.#codec = fallback;
    onFault(codec.name, error);
  }
}

/** The totals, and the row of packets of no tunnel. */
const TOTAL_COUNT = (TOTALS_SIZE + COUNTER_ROW_SIZE) / 8;
const MASK = SLOT_COUNT - 1;

/** Class of a batch of `count` packets, at least one: 0 for one, n for up to 2^n. */
function batchClass(count: number): number {
  return Math.min(32 - Math.clz32(count - 1), BATCH_CLASSES - 1);
}

/** By slot: packets that the one in hand stands for, kept where no codec can write. */
const packetsOf = new Uint16Array(SLOT_COUNT);

/** Whether the packet at `position` can be what its descriptor says. */
function isPossible(ring: Ring, position: number): boolean {
  if (ring.processedAddress(position) < 0 || ring.tunnel(position) >= TUNNEL_CAPACITY) return false;
  return ring.payloadLength(position) === 0 || ring.processedPayload(position) >= 0;
}
