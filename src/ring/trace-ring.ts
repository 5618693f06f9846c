// A ring of packet headers that one thread writes and another reads while packets go on: the writer never waits, what
// is not read in time is overwritten.
//
//   field          writer            meaning
//   LIMIT          main thread       packets a second that the lane may copy; 0 = it copies nothing
//   DROPS_ONLY     main thread       1 = packets with a reason alone
//   RECORD         main thread       packets of this tunnel alone, 0 = of all
//   WRITTEN        lane              packets ever copied; entry n lies at n modulo ENTRY_COUNT
//   MISSED         lane              packets that were to be copied and were over the limit
//   entry          lane              STAMP last: its number + 1 once it is whole, 0 while it is being written
//
// A reader takes the STAMP of an entry before and after it copies the rest: where they differ, or are not the number
// it came for, the writer was faster and the entry is lost to it. The cursors are free-running 32-bit numbers.
//
// Whatever else wants packets of a lane has a ring of the same form for itself: a recorder that is always on, with a
// small ENTRY_COUNT a tunnel; a capture, with a larger SNAP.
import type { Reserve } from './plan.js';

const LIMIT = 0; // u32, atomic
const DROPS_ONLY = 4; // u32, atomic
const RECORD = 8; // u32, atomic
/** The lane's words lie 128 bytes behind the main thread's: on a cache line of their own. */
const WRITTEN = 128; // u32, atomic
const MISSED = 132; // u32, atomic
const HEADER_SIZE = 256;

const ENTRY_STAMP = 0; // u32, atomic
const ENTRY_DIRECTION = 4; // u32: DIRECTION_*
const ENTRY_RECORD = 8; // u32: tunnel, 0 = none
const ENTRY_REASON = 12; // u32: REASON_*
const ENTRY_LINK = 16; // u32: index of the device it came from, 0 = not known
const ENTRY_LENGTH = 20; // u32: bytes of the whole packet
const ENTRY_SNAPPED = 24; // u32: bytes of it that are here
const ENTRY_PACKETS = 28; // u32: packets on the wire that it stands for
const ENTRY_TIME = 32; // f64: ms since 1970
const ENTRY_BYTES = 64;

/** Bytes kept of a packet: outer IPv6 40, UDP 8, GRE 16, inner IPv6 40, and the ports behind them. */
export const TRACE_SNAP = 128;
const ENTRY_SIZE = ENTRY_BYTES + TRACE_SNAP;
/** A power of two: four batches, and at 10,000 packets a second what comes in 100 ms. */
const ENTRY_COUNT = 1024;

/** Bytes of the ring of one lane. */
const TRACE_RING_SIZE = HEADER_SIZE + ENTRY_COUNT * ENTRY_SIZE;

/** Gives a lane's ring its place. */
export function planTraceRing(reserve: Reserve): number {
  return reserve(TRACE_RING_SIZE, 128);
}

/** Which packets are copied. */
export interface TraceFilter {
  /** Packets a second of one lane. */
  readonly limit: number;
  readonly dropsOnly: boolean;
  /** Tunnel, 0 = all, and those of none. */
  readonly record: number;
}

/** What is known of a packet besides its bytes. */
export interface TraceEntry {
  readonly direction: number;
  readonly record: number;
  readonly reason: number;
  readonly link: number;
  readonly length: number;
  readonly packets: number;
  readonly timeMs: number;
}

/** The views of one ring that both ends use. */
class Views {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(
    memory: WebAssembly.Memory,
    readonly address: number,
  ) {
    this.words = new Int32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  load(offset: number): number {
    return Atomics.load(this.words, (this.address + offset) >>> 2) >>> 0;
  }

  store(offset: number, value: number): void {
    Atomics.store(this.words, (this.address + offset) >>> 2, value);
  }

  /** Offset of the entry that packet `number` has. */
  entry(number: number): number {
    return HEADER_SIZE + (number & (ENTRY_COUNT - 1)) * ENTRY_SIZE;
  }
}

/** The lane's end. */
export class TraceWriter {
  readonly #ring: Views;
  readonly #limit: number;
  #written = 0;
  #missed = 0;

  constructor(memory: WebAssembly.Memory, address: number) {
    this.#ring = new Views(memory, address);
    this.#limit = (address + LIMIT) >>> 2;
  }

  /** Packets a second to be copied; 0: nobody reads. A plain look, a batch late at worst: it is always made. */
  get limit(): number {
    return this.#ring.words[this.#limit] as number;
  }

  get dropsOnly(): boolean {
    return this.#ring.load(DROPS_ONLY) !== 0;
  }

  get record(): number {
    return this.#ring.load(RECORD);
  }

  /** Copies a packet's first bytes, at most TRACE_SNAP, and shows them to the reader. */
  write(packet: TraceEntry, bytes: Uint8Array): void {
    const ring = this.#ring;
    const at = ring.entry(this.#written);
    const { view } = ring;
    const put = (field: number, value: number): void =>
      view.setUint32(ring.address + at + field, value, true);
    ring.store(at + ENTRY_STAMP, 0);
    put(ENTRY_DIRECTION, packet.direction);
    put(ENTRY_RECORD, packet.record);
    put(ENTRY_REASON, packet.reason);
    put(ENTRY_LINK, packet.link);
    put(ENTRY_LENGTH, packet.length);
    put(ENTRY_SNAPPED, bytes.length);
    put(ENTRY_PACKETS, packet.packets);
    view.setFloat64(ring.address + at + ENTRY_TIME, packet.timeMs, true);
    ring.bytes.set(bytes, ring.address + at + ENTRY_BYTES);
    this.#written = (this.#written + 1) >>> 0;
    ring.store(at + ENTRY_STAMP, this.#written);
    ring.store(WRITTEN, this.#written);
  }

  /** Counts packets that were to be copied and were not. */
  miss(count: number): void {
    this.#missed = (this.#missed + count) >>> 0;
    this.#ring.store(MISSED, this.#missed);
  }
}

/** A packet that was copied. */
export interface TracedEntry extends TraceEntry {
  /** Its first bytes: a copy. */
  readonly bytes: Uint8Array;
}

/** The main thread's end. */
export class TraceReader {
  readonly #ring: Views;
  #next: number;
  #missed: number;

  /** Begins with the packets from here on. */
  constructor(memory: WebAssembly.Memory, address: number) {
    this.#ring = new Views(memory, address);
    this.#next = this.#ring.load(WRITTEN);
    this.#missed = this.#ring.load(MISSED);
  }

  /** Lets the lane copy. */
  start({ limit, dropsOnly, record }: TraceFilter): void {
    this.#ring.store(DROPS_ONLY, dropsOnly ? 1 : 0);
    this.#ring.store(RECORD, record);
    this.#ring.store(LIMIT, limit);
  }

  /** Lets the lane copy nothing more. */
  stop(): void {
    this.#ring.store(LIMIT, 0);
  }

  /** The packets that were copied since the last call, and how many were not or are overwritten. */
  read(): { readonly entries: readonly TracedEntry[]; readonly missed: number } {
    const ring = this.#ring;
    const end = ring.load(WRITTEN);
    const count = (end - this.#next) >>> 0;
    let missed = Math.max(0, count - ENTRY_COUNT);
    this.#next = (this.#next + missed) >>> 0;
    const entries: TracedEntry[] = [];
    for (; this.#next !== end; this.#next = (this.#next + 1) >>> 0) {
      const entry = this.#read(this.#next);
      if (entry === null) missed++;
      else entries.push(entry);
    }
    const over = ring.load(MISSED);
    missed += (over - this.#missed) >>> 0;
    this.#missed = over;
    return { entries, missed };
  }

  /** Entry `number`, or null: the writer has taken its place for another. */
  #read(number: number): TracedEntry | null {
    const ring = this.#ring;
    const at = ring.entry(number);
    const stamp = (number + 1) >>> 0;
    if (ring.load(at + ENTRY_STAMP) !== stamp) return null;
    const get = (field: number): number => ring.view.getUint32(ring.address + at + field, true);
    const start = ring.address + at + ENTRY_BYTES;
    const entry = {
      direction: get(ENTRY_DIRECTION),
      record: get(ENTRY_RECORD),
      reason: get(ENTRY_REASON),
      link: get(ENTRY_LINK),
      length: get(ENTRY_LENGTH),
      packets: get(ENTRY_PACKETS),
      timeMs: ring.view.getFloat64(ring.address + at + ENTRY_TIME, true),
      bytes: ring.bytes.slice(start, start + Math.min(get(ENTRY_SNAPPED), TRACE_SNAP)),
    };
    return ring.load(at + ENTRY_STAMP) === stamp ? entry : null;
  }
}
