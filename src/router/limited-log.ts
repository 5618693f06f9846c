import type { Logger } from 'pino';

/** Lines in a period; ten thousand tunnels may have something to say at once. */
const LINE_LIMIT = 20;
const PERIOD_MS = 10_000;

export interface LimitedLogOptions {
  readonly log: Logger;
  readonly event: string;
  /** What is said at the end of a period of the lines that were too many. */
  readonly summary: (left: number) => string;
}

/** A log that says how much it has left out. */
export class LimitedLog {
  readonly #options: LimitedLogOptions;
  #lines = 0;
  #left = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LimitedLogOptions) {
    this.#options = options;
  }

  say(level: 'info' | 'warn', fields: object, message: string): void {
    this.#timer ??= setTimeout(() => this.#begin(), PERIOD_MS);
    if (this.#lines >= LINE_LIMIT) {
      this.#left++;
      return;
    }
    this.#lines++;
    this.#options.log[level](fields, message);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #begin(): void {
    const left = this.#left;
    const { log, event, summary } = this.#options;
    this.#timer = undefined;
    this.#lines = 0;
    this.#left = 0;
    if (left > 0) log.warn({ event, left }, summary(left));
  }
}
