// Who looks on while a lane moves a batch, and changes nothing: the recorder always, a trace and a capture while
// somebody asks for them.
//
//   1. filled   the packets are in the ring, the codec has not seen them
//   2. taken    the codec is through with them: outer headers are on, or known
//   3. done     they were sent or delivered; reasons are final, slots not yet free
import { DIRECTION_DECAP } from '../../asm/layout.js';
import type { LanePlan } from '../ring/plan.js';
import type { Ring } from '../ring/ring.js';
import { Capturer } from './capturer.js';
import { Recorder } from './recorder.js';
import { Tracer } from './tracer.js';

export class Watch {
  readonly #tracer: Tracer;
  readonly #capturer: Capturer;
  readonly #recorder: Recorder | undefined;
  #isTraced = false;

  constructor(memory: WebAssembly.Memory, { trace, capture, recorder }: LanePlan) {
    this.#tracer = new Tracer(memory, trace);
    this.#capturer = new Capturer(memory, capture);
    this.#recorder = recorder && new Recorder(memory, recorder);
  }

  /** The time, ms since 1970: that of the newest batch where it is known, which saves a look at the clock. */
  get nowMs(): number {
    return this.#recorder?.filledMs ?? Date.now();
  }

  filled(ring: Ring, from: number, direction: number): void {
    this.#isTraced = this.#tracer.before(ring, from);
    this.#capturer.filled(ring, from);
    this.#recorder?.filled(ring, direction === DIRECTION_DECAP);
  }

  taken(ring: Ring, from: number, direction: number): void {
    this.#capturer.taken(ring, from, direction);
    this.#recorder?.taken(ring);
  }

  done(ring: Ring, from: number, direction: number): void {
    if (this.#isTraced) this.#tracer.after(ring, from, direction);
    this.#capturer.done(ring, from);
    this.#recorder?.done(ring);
  }
}
