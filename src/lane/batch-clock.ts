// Not the global of that name, which is looked up by a function each time: 30 ns.
import { performance } from 'node:perf_hooks';

/** How far the wall clock may be off before it counts as set anew: Date.now() is that coarse. */
const TOLERANCE_MS = 2;
/** How often it is looked at. */
const LOOK_MS = 1000;

/**
 * Times of a batch on the wall clock, to the microsecond. Differences are those of a clock that nobody sets; when the
 * wall clock is set, or drifts away, the times follow within a second.
 */
export class BatchClock {
  #originMs = performance.timeOrigin;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #startMs = 0;

  /** A batch begins. */
  start(): void {
    const nowMs = performance.now();
    this.#startMs = nowMs;
    if (nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    const originMs = Date.now() - nowMs;
    if (Math.abs(originMs - this.#originMs) > TOLERANCE_MS) this.#originMs = originMs;
  }

  /** When the batch began, ms since 1970. */
  get startedMs(): number {
    return this.#originMs + this.#startMs;
  }

  /** How long ago that was, at most what 32 bits hold: 4 s. */
  elapsedNs(): number {
    return Math.min(0xffffffff, Math.max(0, (performance.now() - this.#startMs) * 1e6)) >>> 0;
  }
}
