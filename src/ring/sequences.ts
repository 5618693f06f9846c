// The next sequence numbers to send, in the dataplane's memory: lanes count them up with every packet, the main thread
// keeps them over a restart.
import { STATE_SIZE, STATE_TX_SEQUENCE } from '../../asm/layout.js';

export class Sequences {
  readonly #words: Uint32Array;
  readonly #first: number;

  /** `states`: address of the states of all tunnels. */
  constructor(memory: WebAssembly.Memory, states: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#first = (states + STATE_TX_SEQUENCE) >>> 2;
  }

  /** The number that the next packet of a record's tunnel gets. */
  get(record: number): number {
    return Atomics.load(this.#words, this.#index(record));
  }

  /** Before anything is sent. */
  set(record: number, next: number): void {
    Atomics.store(this.#words, this.#index(record), next);
  }

  #index(record: number): number {
    return this.#first + record * (STATE_SIZE >>> 2);
  }
}
