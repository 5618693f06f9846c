/** A rate that may be exceeded for a moment: `burst` at once, `perSecond` in the long run. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** One token bucket for each tunnel, made with the first packet that asks for it. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #buckets = new Map<number, { tokens: number; filledMs: number }>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes a token of the tunnel of `record`. Returns false when there is none. */
  take(record: number, nowMs: number): boolean {
    const { perSecond, burst } = this.#rate;
    const bucket = this.#buckets.get(record) ?? { tokens: burst, filledMs: nowMs };
    const filled = bucket.tokens + ((nowMs - bucket.filledMs) / 1000) * perSecond;
    bucket.tokens = Math.max(0, Math.min(burst, filled));
    bucket.filledMs = nowMs;
    this.#buckets.set(record, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
