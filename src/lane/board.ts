// What lanes and the router tell each other of the peers: one row a tunnel, in memory that all threads share.
//
//   field       writer          meaning
//   SENT        router          number of the last question asked, 0 = none yet
//   COOKIE      router          what an answer must bring back, known to nobody else
//   HEARD       lanes           number of the newest question that was answered
//   LAST_HEARD  lanes           when a packet of the peer last ended at the router itself: ms since 1970
//   IS_DOWN     router          1: nothing is sent into the tunnel but questions
import { TUNNEL_CAPACITY } from '../../asm/layout.js';

/** How the peer is asked: by GRE keepalives, or by ICMP echo inside the tunnel. */
export type Means = 'keepalive' | 'probe';

const ROW_WORDS = 16;
const PART: Readonly<Record<Means, number>> = { keepalive: 0, probe: 4 };
const SENT = 0;
const HEARD = 1;
const COOKIE = 2; // two words
const LAST_HEARD = 8; // two words
const IS_DOWN = 10;

/** Number and cookie: what every question carries. */
export const QUESTION_LENGTH = 12;

export class Board {
  /** What another thread makes its own Board of. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Uint32Array;
  readonly #times: BigUint64Array;

  constructor(buffer = new SharedArrayBuffer(TUNNEL_CAPACITY * ROW_WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Uint32Array(buffer);
    this.#times = new BigUint64Array(buffer);
  }

  /** Router: says what the answers about `record` have to bring back. */
  setCookie(record: number, means: Means, cookie: readonly [number, number]): void {
    const at = this.#part(record, means) + COOKIE;
    for (const [index, word] of cookie.entries()) Atomics.store(this.#words, at + index, word);
  }

  /** Router: forgets all that is known of `record`, for a tunnel that takes the place of another. */
  reset(record: number): void {
    for (let word = 0; word < ROW_WORDS; word++) {
      Atomics.store(this.#words, record * ROW_WORDS + word, 0);
    }
  }

  /** Router: counts one question more, and returns the bytes that it carries. */
  ask(record: number, means: Means): Uint8Array {
    const at = this.#part(record, means);
    const bytes = new Uint8Array(QUESTION_LENGTH);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, Atomics.add(this.#words, at + SENT, 1) + 1);
    view.setUint32(4, Atomics.load(this.#words, at + COOKIE));
    view.setUint32(8, Atomics.load(this.#words, at + COOKIE + 1));
    return bytes;
  }

  /**
   * Lane: takes what an answer brought back, as `ask` gave it away. Anything else is none, and so is an answer to what
   * was not asked yet.
   */
  take(record: number, means: Means, bytes: Uint8Array): void {
    if (bytes.length < QUESTION_LENGTH) return;
    const at = this.#part(record, means);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (const index of [0, 1]) {
      const word = Atomics.load(this.#words, at + COOKIE + index);
      if (view.getUint32(4 + index * 4) !== word) return;
    }
    this.#raise(at, view.getUint32(0));
  }

  /** Lane: takes an answer that brings nothing back: it counts for the last question. */
  takeBare(record: number, means: Means): void {
    const at = this.#part(record, means);
    this.#raise(at, Atomics.load(this.#words, at + SENT));
  }

  /** Router: how many questions were asked after the newest that was answered. */
  unanswered(record: number, means: Means): number {
    const at = this.#part(record, means);
    return (Atomics.load(this.#words, at + SENT) - Atomics.load(this.#words, at + HEARD)) >>> 0;
  }

  /** Router: number of the newest question that was answered. */
  heard(record: number, means: Means): number {
    return Atomics.load(this.#words, this.#part(record, means) + HEARD);
  }

  setLastHeard(record: number, nowMs: number): void {
    Atomics.store(this.#times, (record * ROW_WORDS + LAST_HEARD) >>> 1, BigInt(nowMs));
  }

  /** Null: never. */
  lastHeardMs(record: number): number | null {
    const timeMs = Number(Atomics.load(this.#times, (record * ROW_WORDS + LAST_HEARD) >>> 1));
    return timeMs === 0 ? null : timeMs;
  }

  setDown(record: number, isDown: boolean): void {
    Atomics.store(this.#words, record * ROW_WORDS + IS_DOWN, isDown ? 1 : 0);
  }

  isDown(record: number): boolean {
    return Atomics.load(this.#words, record * ROW_WORDS + IS_DOWN) !== 0;
  }

  /** HEARD goes up to `number`, if that was asked and is newer. Several lanes may do this at a time. */
  #raise(at: number, number: number): void {
    for (;;) {
      const heard = Atomics.load(this.#words, at + HEARD);
      const open = (Atomics.load(this.#words, at + SENT) - heard) >>> 0;
      const ahead = (number - heard) >>> 0;
      if (ahead === 0 || ahead > open) return;
      if (Atomics.compareExchange(this.#words, at + HEARD, heard, number) === heard) return;
    }
  }

  #part(record: number, means: Means): number {
    return record * ROW_WORDS + PART[means];
  }
}
