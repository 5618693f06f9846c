// The recorder of one lane, from the host's side: how much it keeps, where, and what is in it. See
// asm/recorder-layout.ts for who writes what.
import { TUNNEL_CAPACITY } from '../../asm/layout.js';
import {
  DROPPED_RING,
  KEPT_BYTES,
  KEPT_CODEC,
  KEPT_DIRECTION,
  KEPT_END,
  KEPT_IN_HAND,
  KEPT_INNER,
  KEPT_LENGTH,
  KEPT_MOVED,
  KEPT_PACKETS,
  KEPT_REASON,
  KEPT_SEQUENCE,
  KEPT_SIZE,
  KEPT_SNAP,
  KEPT_SNAPPED,
  KEPT_TIME,
  RECORDER_HEADER_SIZE,
  RECORDER_KEPT,
  RECORDER_RECORDS,
  RECORDER_RINGS,
  RECORDER_TURN,
  RECORDER_WRITTEN,
  RINGS_A_RECORD,
} from '../../asm/recorder-layout.js';
import type { Reserve } from './plan.js';
import type { RecordedPacket } from './recorded.js';

/** How much is kept by each lane. */
export interface RecorderSize {
  /** Packets of each ring of a record: a power of two, or 0 for no recorder. */
  readonly packets: number;
  /** Records that have rings, record 0 included. */
  readonly records: number;
}

/** Where the recorder of a lane lies. */
export interface RecorderPlan extends RecorderSize {
  readonly header: number;
  readonly written: number;
  readonly rings: number;
}

/** A packet that was kept. */
export interface KeptPacket extends RecordedPacket {
  /** Order in which its lane kept it, modulo 2^32. */
  readonly sequence: number;
}

/** Records that get rings beyond those there are at the start: for tunnels that are added. */
const SPARE_RECORDS = 1024;

/** How many records get rings, when a router starts with `count` of them. */
export function recorderRecords(count: number): number {
  return Math.min(TUNNEL_CAPACITY, 1 + count * 2 + SPARE_RECORDS);
}

/** Bytes of memory that a record takes once all of its rings were written to, by one lane. */
export function recorderBytes(packets: number): number {
  return RINGS_A_RECORD * (packets * KEPT_SIZE + 4);
}

/** Gives a lane's recorder its place. */
export function planRecorder(reserve: Reserve, size: RecorderSize): RecorderPlan {
  return {
    ...size,
    header: reserve(RECORDER_HEADER_SIZE, 128),
    written: reserve(size.records * RINGS_A_RECORD * 4, 128),
    rings: reserve(size.records * RINGS_A_RECORD * size.packets * KEPT_SIZE, 128),
  };
}

/** Writes what the module reads of a plan. */
export function writeRecorder(words: Uint32Array, plan: RecorderPlan): void {
  const store = (field: number, value: number): void => {
    words[(plan.header + field) >>> 2] = value;
  };
  store(RECORDER_KEPT, plan.packets);
  store(RECORDER_RECORDS, plan.records);
  store(RECORDER_WRITTEN, plan.written);
  store(RECORDER_RINGS, plan.rings);
}

/**
 * How often a reader looks again when the lane wrote meanwhile. It writes for a microsecond or two a batch; after so many
 * looks what was copied is taken as it is.
 */
const TRIES = 1000;

/** The main thread's end of one lane's recorder. */
export class RecorderReader {
  readonly #plan: RecorderPlan;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory, plan: RecorderPlan) {
    this.#plan = plan;
    this.#words = new Int32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** Packets of `record` ever dropped, modulo 2^32. */
  dropped(record: number): number {
    if (record >= this.#plan.records) return 0;
    const at = (this.#plan.written >>> 2) + record * RINGS_A_RECORD + DROPPED_RING;
    return Atomics.load(this.#words, at) >>> 0;
  }

  /** The last packets of `record` that this lane kept, in their order. Never waits for the lane. */
  read(record: number): KeptPacket[] {
    const { records, packets, rings } = this.#plan;
    if (record >= records) return [];
    const size = RINGS_A_RECORD * packets * KEPT_SIZE;
    const start = rings + record * size;
    const turn = (this.#plan.header + RECORDER_TURN) >>> 2;
    let written = this.#written(record);
    let copy = this.#bytes.slice(start, start + size);
    for (let tries = 0; tries < TRIES; tries++) {
      const before = Atomics.load(this.#words, turn);
      written = this.#written(record);
      copy = this.#bytes.slice(start, start + size);
      if ((before & 1) === 0 && Atomics.load(this.#words, turn) === before) break;
    }
    const view = new DataView(copy.buffer);
    const found = written.flatMap((count, ring) =>
      Array.from({ length: Math.min(count, packets) }, (_, index) =>
        readKept(view, record, (ring * packets + index) * KEPT_SIZE),
      ),
    );
    return found
      .filter((one) => one !== null)
      .sort((a, b) => a.timeMs - b.timeMs || (a.sequence - b.sequence) | 0);
  }

  /** Packets ever written to the three rings of `record`. */
  #written(record: number): [sent: number, received: number, dropped: number] {
    const at = (this.#plan.written >>> 2) + record * RINGS_A_RECORD;
    const of = (ring: number): number => Atomics.load(this.#words, at + ring) >>> 0;
    return [of(0), of(1), of(2)];
  }
}

function readKept(view: DataView, record: number, at: number): KeptPacket | null {
  const reason = view.getUint8(at + KEPT_REASON);
  if (reason === KEPT_MOVED) return null;
  const inHand = reason === KEPT_IN_HAND;
  const snapped = Math.min(view.getUint8(at + KEPT_SNAPPED), KEPT_SNAP);
  const bytes = new Uint8Array(view.buffer, at + KEPT_BYTES, snapped).slice();
  return {
    record,
    direction: view.getUint8(at + KEPT_DIRECTION),
    reason: inHand ? undefined : reason,
    timeMs: view.getFloat64(at + KEPT_TIME, true),
    codecNs: view.getUint32(at + KEPT_CODEC, true),
    endNs: inHand ? undefined : view.getUint32(at + KEPT_END, true),
    sequence: view.getUint32(at + KEPT_SEQUENCE, true),
    length: view.getUint32(at + KEPT_LENGTH, true),
    inner: view.getUint8(at + KEPT_INNER),
    packets: view.getUint16(at + KEPT_PACKETS, true),
    bytes,
  };
}
