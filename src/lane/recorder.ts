// The flight recorder of a lane: the last packets of every tunnel, always. See asm/recorder.ts for the work itself.
//
//   1. filled   a batch begins: one look at the clock; of a decap batch where its packets lie
//   2. taken    behind the codec: their first bytes are copied
//   3. done     behind the draining end: what became of them, and when

import type { RecorderPlan } from '../ring/recorder.js';
import type { Ring } from '../ring/ring.js';
import { openModule } from '../sys/module.js';
import { BatchClock } from './batch-clock.js';

/** The exports of asm/recorder.ts, which documents each. */
interface RecorderModule {
  note(recorder: number, ring: number): void;
  take(recorder: number, ring: number, timeMs: number, codecNs: number): void;
  finish(recorder: number, ring: number, timeMs: number, codecNs: number, endNs: number): void;
}

const MODULE = new URL('../../asm/recorder.wasm', import.meta.url);

/**
 * Smallest batch of which the codec's time is taken: for a few packets the codec takes no longer than a look at the
 * clock does.
 */
const TIMED_BATCH = 8;

export class Recorder {
  readonly #module: RecorderModule;
  readonly #header: number;
  readonly #clock = new BatchClock();
  #codecNs = 0;

  constructor(memory: WebAssembly.Memory, { header }: RecorderPlan) {
    this.#module = openModule(MODULE, memory) as RecorderModule;
    this.#header = header;
  }

  /** When the newest batch was filled, ms since 1970. */
  get filledMs(): number {
    return this.#clock.startedMs;
  }

  /** The packets of `ring` were just filled in. */
  filled(ring: Ring, isDecap: boolean): void {
    this.#clock.start();
    if (isDecap) this.#module.note(this.#header, ring.address);
  }

  /** The codec is through with them, and nothing else has touched them. */
  taken(ring: Ring): void {
    const isSmall = (ring.processed - ring.drained) >>> 0 < TIMED_BATCH;
    this.#codecNs = isSmall ? 0 : this.#clock.elapsedNs();
    this.#module.take(this.#header, ring.address, this.#clock.startedMs, this.#codecNs);
  }

  /** They were sent or delivered, or have the reason why not. */
  done(ring: Ring): void {
    const { startedMs } = this.#clock;
    const endNs = this.#clock.elapsedNs();
    this.#module.finish(this.#header, ring.address, startedMs, this.#codecNs, endNs);
  }
}
