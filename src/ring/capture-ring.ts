// A queue of whole packets from a lane to the main thread, for as long as somebody captures: the lane never waits, and
// where there is no room it counts the packet as lost.
//
//   field          writer            meaning
//   SNAP           main thread       bytes of a packet that are wanted; 0 = nobody captures
//   OWN            main thread       record that is wanted, and FIRST, COUNT: those of its peers; OWN = ALL: any
//   TAKEN          main thread       bytes ever taken
//   WRITTEN        lane              bytes ever written, of packets that have their verdict
//   LOST           lane              packets that found no room, by direction
//   entries        lane              between TAKEN and TAKEN + RING_BYTES
//
// All cursors are free-running 32-bit numbers. An entry is never split: one that does not fit before the end of the ring
// begins at its start, behind one of SKIP.
import { DIRECTION_ENCAP } from '../../asm/layout.js';
import type { Reserve } from './plan.js';
import type { RecordedPacket } from './recorded.js';

const SNAP = 0; // u32, atomic
const OWN = 4; // u32
const FIRST = 8; // u32
const COUNT = 12; // u32
const TAKEN = 16; // u32, atomic
/** The lane's words lie on a cache line of their own. */
const WRITTEN = 128; // u32, atomic
const LOST = 132; // 2 u32, atomic: by DIRECTION_*
const HEADER_SIZE = 256;

const ENTRY_SIZE = 0; // u32: bytes of the entry, a multiple of 8
const ENTRY_SNAPPED = 4; // u32: bytes of the packet that are here, or SKIP
const ENTRY_LENGTH = 8; // u32
const ENTRY_RECORD = 12; // u32
const ENTRY_REASON = 16; // u32
const ENTRY_DIRECTION = 20; // u16
const ENTRY_PACKETS = 22; // u16
const ENTRY_INNER = 24; // u32
const ENTRY_CODEC = 28; // u32: ns
const ENTRY_TIME = 32; // f64: ms since 1970
const ENTRY_END = 40; // u32: ns
const ENTRY_BYTES = 48;
const SKIP = 0xffffffff;

/** A power of two: 18 ms of 64-byte packets at 10^6 a second, 15 ms of what one TCP flow makes at 2 Gbit/s. */
const RING_BYTES = 4 << 20;
const CAPTURE_RING_SIZE = HEADER_SIZE + RING_BYTES;

/** Gives a lane's ring its place. */
export function planCaptureRing(reserve: Reserve): number {
  return reserve(CAPTURE_RING_SIZE, 128);
}

/** What is captured. */
export interface CaptureFilter {
  /** Most bytes of a packet, at least 1. */
  readonly snap: number;
  /** Record of the tunnel; undefined: all, and packets of none. */
  readonly record: number | undefined;
  /** Records of its peers. */
  readonly peers?: { readonly first: number; readonly count: number } | undefined;
}

const ALL = 0xffffffff;

/** What both ends use. */
class Views {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(
    memory: WebAssembly.Memory,
    readonly address: number,
  ) {
    this.words = new Uint32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer, address + HEADER_SIZE, RING_BYTES);
  }

  load(field: number): number {
    return Atomics.load(this.words, (this.address + field) >>> 2);
  }

  store(field: number, value: number): void {
    Atomics.store(this.words, (this.address + field) >>> 2, value);
  }
}

/** Where the bytes of a packet lie: in one piece or two. */
export interface Pieces {
  readonly address: number;
  readonly length: number;
  readonly payload: number;
  readonly payloadLength: number;
}

/** What is known of a packet before its verdict. */
export type Taken = Pick<
  RecordedPacket,
  'record' | 'direction' | 'timeMs' | 'codecNs' | 'inner' | 'packets'
>;

/** The lane's end. */
export class CaptureWriter {
  readonly #ring: Views;
  readonly #snap: number;
  #written: number;
  readonly #lost: [number, number] = [0, 0];

  constructor(memory: WebAssembly.Memory, address: number) {
    this.#ring = new Views(memory, address);
    this.#written = this.#ring.load(WRITTEN);
    this.#snap = (address + SNAP) >>> 2;
  }

  /** Most bytes of a packet that are wanted; 0: nobody captures. A plain look, a batch late at worst: it is always made. */
  get snap(): number {
    return this.#ring.words[this.#snap] as number;
  }

  /** Whether packets of `record` are wanted. */
  wants(record: number): boolean {
    const own = this.#ring.load(OWN);
    if (own === ALL || own === record) return true;
    return (record - this.#ring.load(FIRST)) >>> 0 < this.#ring.load(COUNT);
  }

  /**
   * Copies a packet. Returns its place, for `judge`, or -1 where there is no room for it. The reader sees it after
   * `publish`.
   */
  add(packet: Taken, pieces: Pieces, snap: number): number {
    const { view, bytes, address } = this.#ring;
    const head = Math.min(pieces.length, snap);
    const tail = Math.min(pieces.payloadLength, snap - head);
    const size = (ENTRY_BYTES + head + tail + 7) & ~7;
    const at = this.#reserve(size);
    if (at < 0) return -1;
    view.setUint32(at + ENTRY_SIZE, size, true);
    view.setUint32(at + ENTRY_SNAPPED, head + tail, true);
    view.setUint32(at + ENTRY_LENGTH, pieces.length + pieces.payloadLength, true);
    view.setUint32(at + ENTRY_RECORD, packet.record, true);
    view.setUint16(at + ENTRY_DIRECTION, packet.direction, true);
    view.setUint16(at + ENTRY_PACKETS, packet.packets, true);
    view.setUint32(at + ENTRY_INNER, packet.inner, true);
    view.setUint32(at + ENTRY_CODEC, packet.codecNs, true);
    view.setFloat64(at + ENTRY_TIME, packet.timeMs, true);
    const to = address + HEADER_SIZE + at + ENTRY_BYTES;
    bytes.copyWithin(to, pieces.address, pieces.address + head);
    if (tail > 0) bytes.copyWithin(to + head, pieces.payload, pieces.payload + tail);
    return at;
  }

  /** Says what became of the packet at a place. */
  judge(place: number, reason: number, endNs: number): void {
    this.#ring.view.setUint32(place + ENTRY_REASON, reason, true);
    this.#ring.view.setUint32(place + ENTRY_END, endNs, true);
  }

  /** Counts packets of a direction that found no room. */
  lose(direction: number, count: number): void {
    const way = direction === DIRECTION_ENCAP ? 0 : 1;
    this.#lost[way] = (this.#lost[way] + count) >>> 0;
  }

  /** Shows the reader what was added. */
  publish(): void {
    this.#ring.store(LOST, this.#lost[0]);
    this.#ring.store(LOST + 4, this.#lost[1]);
    this.#ring.store(WRITTEN, this.#written);
  }

  /** Room for an entry of `size` bytes, which is not split. Returns its offset, or -1. */
  #reserve(size: number): number {
    const used = (this.#written - this.#ring.load(TAKEN)) >>> 0;
    const at = this.#written & (RING_BYTES - 1);
    const skipped = at + size > RING_BYTES ? RING_BYTES - at : 0;
    if (used + skipped + size > RING_BYTES) return -1;
    if (skipped > 0) {
      this.#ring.view.setUint32(at + ENTRY_SIZE, skipped, true);
      this.#ring.view.setUint32(at + ENTRY_SNAPPED, SKIP, true);
    }
    this.#written = (this.#written + skipped + size) >>> 0;
    return skipped > 0 ? 0 : at;
  }
}

/** Packets that found no room. */
export interface LostPackets {
  readonly encap: number;
  readonly decap: number;
}

/** What passed since the last look, and how many packets were lost in that time. */
export interface CapturedPackets {
  readonly packets: readonly RecordedPacket[];
  readonly lost: LostPackets;
}

/** The main thread's end. */
export class CaptureReader {
  readonly #ring: Views;
  #lost: LostPackets;

  constructor(memory: WebAssembly.Memory, address: number) {
    this.#ring = new Views(memory, address);
    this.#lost = this.#loadLost();
  }

  /** Lets the lane copy: packets from here on. */
  start({ snap, record = ALL, peers = { first: 0, count: 0 } }: CaptureFilter): void {
    const ring = this.#ring;
    ring.store(TAKEN, ring.load(WRITTEN));
    ring.store(OWN, record);
    ring.store(FIRST, peers.first);
    ring.store(COUNT, peers.count);
    ring.store(SNAP, snap);
  }

  /** Lets the lane copy nothing more. */
  stop(): void {
    this.#ring.store(SNAP, 0);
  }

  /** What is waiting, at most about `maxBytes` of it, and how many packets were lost since the last call. */
  read(maxBytes: number): CapturedPackets {
    const ring = this.#ring;
    const end = ring.load(WRITTEN);
    let taken = ring.load(TAKEN);
    const packets: RecordedPacket[] = [];
    for (let bytes = 0; taken !== end && bytes < maxBytes; ) {
      const at = taken & (RING_BYTES - 1);
      const size = ring.view.getUint32(at + ENTRY_SIZE, true);
      if (ring.view.getUint32(at + ENTRY_SNAPPED, true) !== SKIP) packets.push(this.#entry(at));
      taken = (taken + size) >>> 0;
      bytes += size;
    }
    ring.store(TAKEN, taken);
    const over = this.#loadLost();
    const lost = {
      encap: (over.encap - this.#lost.encap) >>> 0,
      decap: (over.decap - this.#lost.decap) >>> 0,
    };
    this.#lost = over;
    return { packets, lost };
  }

  #loadLost(): LostPackets {
    return { encap: this.#ring.load(LOST), decap: this.#ring.load(LOST + 4) };
  }

  #entry(at: number): RecordedPacket {
    const { view, bytes, address } = this.#ring;
    const start = address + HEADER_SIZE + at + ENTRY_BYTES;
    return {
      record: view.getUint32(at + ENTRY_RECORD, true),
      direction: view.getUint16(at + ENTRY_DIRECTION, true),
      reason: view.getUint32(at + ENTRY_REASON, true),
      timeMs: view.getFloat64(at + ENTRY_TIME, true),
      codecNs: view.getUint32(at + ENTRY_CODEC, true),
      endNs: view.getUint32(at + ENTRY_END, true),
      length: view.getUint32(at + ENTRY_LENGTH, true),
      inner: view.getUint32(at + ENTRY_INNER, true),
      packets: view.getUint16(at + ENTRY_PACKETS, true),
      bytes: bytes.slice(start, start + view.getUint32(at + ENTRY_SNAPPED, true)),
    };
  }
}
