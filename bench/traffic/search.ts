// The highest rate that a path carries without loss, found by trying.
export interface Attempt {
  /** What was sent, in the unit of the rates; less than asked for when the sender could not. */
  readonly sent: number;
  /** Between 0 and 1. */
  readonly lost: number;
}

export interface SearchOptions {
  /** A rate that is likely to be too high. */
  readonly ceiling: number;
  /** Most that may be lost for a rate to count, between 0 and 1. */
  readonly allowed: number;
  /** How often to try; each try after the first halves what is unknown. */
  readonly tries: number;
  attempt(rate: number): Promise<Attempt>;
}

/** A sender that reaches less of the rate than this is at its limit. */
const SENDER_LIMIT = 0.9;
/** What a ceiling that turned out too low is multiplied by. */
const GROWTH = 1.5;
/** A rate that loses this much has not failed by accident. */
const CLEARLY_LOST = 0.02;

/**
 * Halves the span between the best rate that passed and the lowest that failed. Returns the highest rate that
 * was sent and passed, 0 when none did. A rate that fails by little is tried once more: one late timer on a
 * busy machine loses packets at any rate.
 */
export async function findHighestRate(options: SearchOptions): Promise<number> {
  const { ceiling, allowed, tries, attempt } = options;
  let [passed, failed, best] = [0, Number.POSITIVE_INFINITY, 0];
  let rate = ceiling;
  for (let count = 0; count < tries; count++) {
    let result = await attempt(rate);
    if (result.lost > allowed && result.lost < CLEARLY_LOST) result = await attempt(rate);
    if (result.lost <= allowed) {
      best = Math.max(best, result.sent);
      passed = rate;
      // Faster than the sender: nothing above can be told apart.
      if (result.sent < rate * SENDER_LIMIT) return best;
    } else {
      failed = rate;
    }
    rate = Number.isFinite(failed) ? (passed + failed) / 2 : rate * GROWTH;
  }
  return best;
}
