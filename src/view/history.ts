/** Seconds that a live view remembers. */
export const HISTORY = 300;

/** The last HISTORY values of a number, one a second; what was not recorded is 0. */
export class History {
  #values: Float64Array | undefined;

  /** Notes the value of moment `at`, which counts up by one. */
  record(at: number, value: number): void {
    if (value === 0 && this.#values === undefined) return;
    this.#values ??= new Float64Array(HISTORY);
    this.#values[at % HISTORY] = value;
  }

  /** The values of the `count` moments up to `at`, the oldest first. */
  last(at: number, count: number): number[] {
    const values = this.#values;
    if (values === undefined) return new Array<number>(count).fill(0);
    return Array.from(
      { length: count },
      (_, index) => values[(at - count + 1 + index) % HISTORY] ?? 0,
    );
  }
}
