// Whether a peer counts as there, by its answers alone: one step an interval, no clock and no I/O.
//
//   up     after `count` questions in a row without an answer: down
//   down   after `hold` answers in a row: up. `hold` is 1 at first and twice as much with every time that the
//          peer goes down, 16 at most: a path that comes and goes is left alone for longer and longer
//   up for QUIET intervals without going down: `hold` is 1 again
//
// The peer counts as there until it was asked in vain, so that a tunnel works as soon as it is made.

/** Most answers in a row that a peer has to give before it is up again. */
const HOLD_LIMIT = 16;
/** Intervals after which earlier trouble is forgotten: four times the longest hold. */
const QUIET = 64;

export class PeerState {
  readonly #count: number;
  #isUp = true;
  #missed = 0;
  #answered = 0;
  #upFor = 0;
  /** What the next time down costs; 0 = nothing happened lately. */
  #hold = 0;

  /** `count`: questions in a row that may go unanswered, the last of them makes the peer down. */
  constructor(count: number) {
    this.#count = count;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Answers in a row that a peer that is down has to give. */
  get hold(): number {
    return Math.max(1, this.#hold);
  }

  /** An interval is over, and its question was answered or not. Returns whether that made the peer up or down. */
  step(isAnswered: boolean): boolean {
    return this.#isUp ? this.#stepUp(isAnswered) : this.#stepDown(isAnswered);
  }

  #stepUp(isAnswered: boolean): boolean {
    this.#missed = isAnswered ? 0 : this.#missed + 1;
    this.#upFor++;
    if (this.#upFor >= QUIET) this.#hold = 0;
    if (this.#missed < this.#count) return false;
    this.#isUp = false;
    this.#answered = 0;
    this.#hold = this.#hold === 0 ? 1 : Math.min(this.#hold * 2, HOLD_LIMIT);
    return true;
  }

  #stepDown(isAnswered: boolean): boolean {
    this.#answered = isAnswered ? this.#answered + 1 : 0;
    if (this.#answered < this.hold) return false;
    this.#isUp = true;
    this.#missed = 0;
    this.#upFor = 0;
    return true;
  }
}
