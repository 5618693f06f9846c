// What tunnels remember, in the dataplane's memory: every codec goes on where the last one stopped.
import {
  STATE_ECN,
  STATE_IDENT,
  STATE_PATH_MTU,
  STATE_RX_NEXT,
  STATE_RX_SYNCED,
  STATE_SIZE,
  STATE_STALE_COUNT,
  STATE_STALE_NEXT,
  STATE_TX_SEQUENCE,
} from '../../asm/layout.js';
import type { State, TunnelState } from '../packet/state.js';
import { ecnIndex } from '../ring/ecn-counts.js';

/** The states at `address` (the ring's RING_STATES) of `memory`. */
export function sharedState(memory: WebAssembly.Memory, address: number): State {
  const words = new Uint32Array(memory.buffer);
  return { of: (_tunnel, record) => new SharedTunnelState(words, address + record * STATE_SIZE) };
}

class SharedTunnelState implements TunnelState {
  readonly #words: Uint32Array;
  readonly #first: number;

  constructor(words: Uint32Array, address: number) {
    this.#words = words;
    this.#first = address >>> 2;
  }

  /** Atomic: every lane sends for every tunnel. */
  nextSequence(): number {
    return Atomics.add(this.#words, this.#first + (STATE_TX_SEQUENCE >>> 2), 1);
  }

  nextIdentification(count = 1): number {
    return Atomics.add(this.#words, this.#first + (STATE_IDENT >>> 2), count);
  }

  noteEcn(outer: number, inner: number): void {
    Atomics.add(this.#words, this.#first + (STATE_ECN >>> 2) + ecnIndex(outer, inner), 1);
  }

  /** The host writes it at any time. */
  get pathMtu(): number {
    return Atomics.load(this.#words, this.#first + (STATE_PATH_MTU >>> 2));
  }

  get rxSynced(): boolean {
    return this.#load(STATE_RX_SYNCED) !== 0;
  }

  set rxSynced(value: boolean) {
    this.#store(STATE_RX_SYNCED, value ? 1 : 0);
  }

  get rxNext(): number {
    return this.#load(STATE_RX_NEXT);
  }

  set rxNext(value: number) {
    this.#store(STATE_RX_NEXT, value);
  }

  get staleNext(): number {
    return this.#load(STATE_STALE_NEXT);
  }

  set staleNext(value: number) {
    this.#store(STATE_STALE_NEXT, value);
  }

  get staleCount(): number {
    return this.#load(STATE_STALE_COUNT);
  }

  set staleCount(value: number) {
    this.#store(STATE_STALE_COUNT, value);
  }

  #load(field: number): number {
    return this.#words[this.#first + (field >>> 2)] ?? 0;
  }

  #store(field: number, value: number): void {
    this.#words[this.#first + (field >>> 2)] = value;
  }
}
