// What the paths of tunnels were found to take, in the dataplane's memory: lanes write it when they are told of it,
// the main thread when it is too old to be relied on. Every lane sends by it from the next packet on.
import { STATE_PATH_MTU, STATE_SIZE } from '../../asm/layout.js';

export class PathMtus {
  readonly #words: Uint32Array;
  readonly #first: number;

  /** `states`: address of the states of all tunnels. */
  constructor(memory: WebAssembly.Memory, states: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#first = (states + STATE_PATH_MTU) >>> 2;
  }

  /** Largest inner packet that the path of a record's tunnel is known to take, 0 = not known. */
  get(record: number): number {
    return Atomics.load(this.#words, this.#index(record));
  }

  /** Sets that; 0 forgets it. */
  set(record: number, mtu: number): void {
    Atomics.store(this.#words, this.#index(record), mtu);
  }

  /** Sets it where it was not known or is larger. Returns whether it was. */
  lower(record: number, mtu: number): boolean {
    const index = this.#index(record);
    for (;;) {
      const before = Atomics.load(this.#words, index);
      if (before !== 0 && before <= mtu) return false;
      if (Atomics.compareExchange(this.#words, index, before, mtu) === before) return true;
    }
  }

  #index(record: number): number {
    return this.#first + record * (STATE_SIZE >>> 2);
  }
}
