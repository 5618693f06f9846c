// Packets that came out of tunnels with a pair of ECN fields that no sender and no path should leave, in the
// dataplane's memory: the codec counts them, the main thread puts them into the log.
import { ECN_PAIRS, STATE_ECN, STATE_SIZE } from '../../asm/layout.js';

/** Outer ECT(1), the first field that has counters. */
const FIRST_OUTER = 1;

/** Place of a pair among the counters of a tunnel; `outer`: 1 or 2. */
export function ecnIndex(outer: number, inner: number): number {
  return ((outer - FIRST_OUTER) << 2) | inner;
}

/** The pair that has this place. */
export function ecnPair(index: number): { readonly outer: number; readonly inner: number } {
  return { outer: (index >>> 2) + FIRST_OUTER, inner: index & 3 };
}

export class EcnCounts {
  readonly #words: Uint32Array;
  readonly #first: number;

  /** `states`: address of the states of all tunnels. */
  constructor(memory: WebAssembly.Memory, states: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#first = (states + STATE_ECN) >>> 2;
  }

  /** Packets of a record's tunnel since it began, modulo 2³², by `ecnIndex`. */
  get(record: number): number[] {
    const start = this.#first + record * (STATE_SIZE >>> 2);
    return Array.from({ length: ECN_PAIRS }, (_, index) =>
      Atomics.load(this.#words, start + index),
    );
  }
}
