import { SLOT_PACKET } from '../../asm/layout.js';
import { REASON_NONE, REASON_QUEUE_FULL } from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import type { Underlay } from './contract.js';
import { fillFrom, gather } from './slot-copy.js';

/** Packets that wait at an end before the wire drops: more than two lanes have in flight. */
const QUEUE_LENGTH = 4096;

/**
 * One end of a wire between two routers in the same process: what one sends, the other receives, in order.
 * Its packets are copies: the two routers have memories of their own.
 */
export class MemoryUnderlay implements Underlay {
  readonly name = 'memory';
  readonly fds: readonly number[] = [];
  onReadable: (() => void) | undefined;
  /** Called with every packet this end sends: for captures. */
  onSent: ((packet: Uint8Array) => void) | undefined;
  readonly #bytes: Uint8Array;
  readonly #waiting: Uint8Array[] = [];
  #peer: MemoryUnderlay | undefined;

  constructor(memory: WebAssembly.Memory) {
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** Joins two ends. */
  static join(a: MemoryUnderlay, b: MemoryUnderlay): void {
    a.#peer = b;
    b.#peer = a;
  }

  receive(ring: Ring, max: number): number {
    return fillFrom(this.#waiting, this.#bytes, ring, max);
  }

  send(ring: Ring, from: number, to: number): void {
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      if (ring.reason(position) !== REASON_NONE) continue;
      const packet = gather(this.#bytes, ring, position);
      this.onSent?.(packet);
      if (this.#peer && !this.#peer.inject(packet)) ring.setReason(position, REASON_QUEUE_FULL);
    }
  }

  /** Puts a packet, from its outer IP header on, among those waiting here. Returns false when there is no room. */
  inject(packet: Uint8Array): boolean {
    if (this.#waiting.length >= QUEUE_LENGTH || packet.length > SLOT_PACKET) return false;
    this.#waiting.push(packet);
    this.onReadable?.();
    return true;
  }

  /** Nobody is told of packets any more. */
  close(): void {
    this.onReadable = undefined;
  }
}
