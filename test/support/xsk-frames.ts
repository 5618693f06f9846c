// The rings of an AF_XDP socket worked from TypeScript, one frame at a time: a second opinion on what
// asm/xdp.ts does in batches.

import type { XskPlan } from '../../src/ring/xsk-plan.js';
import type { Xsk, XskRing } from '../../src/underlay/xdp/xsk.js';

export class XskFrames {
  readonly #xsk: Xsk;
  readonly #umem: number;
  readonly #frameSize: number;
  readonly #words: Int32Array;
  readonly #longs: BigUint64Array;
  readonly #bytes: Uint8Array;
  /** The upper half of the frames is for sending. */
  readonly #free: number[];

  constructor(memory: WebAssembly.Memory, plan: XskPlan, xsk: Xsk) {
    this.#xsk = xsk;
    this.#umem = plan.umem;
    this.#frameSize = plan.frameSize;
    this.#words = new Int32Array(memory.buffer);
    this.#longs = new BigUint64Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    const half = plan.frameCount / 2;
    this.#free = Array.from({ length: half }, (_, n) => (half + n) * plan.frameSize);
    for (let n = 0; n < half; n++) this.#refill(n * plan.frameSize);
  }

  /** The next received frame, or undefined. */
  receive(): Uint8Array | undefined {
    const { receive } = this.#xsk.rings;
    const consumer = this.#load(receive.consumer);
    if (consumer === this.#load(receive.producer)) return undefined;
    const descriptor = (receive.descriptors >>> 3) + (consumer & receive.mask) * 2;
    const address = Number(this.#longs[descriptor]);
    const length = Number(this.#longs[descriptor + 1]) >>> 0;
    const start = this.#umem + address;
    const frame = this.#bytes.slice(start, start + length);
    this.#store(receive.consumer, consumer + 1);
    this.#refill(address - (address % this.#frameSize));
    return frame;
  }

  /** All received frames that wait. */
  receiveAll(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (let frame = this.receive(); frame !== undefined; frame = this.receive())
      frames.push(frame);
    return frames;
  }

  /** Sends one frame; throws when no room is left. */
  send(frame: Uint8Array): void {
    this.#complete();
    const address = this.#free.pop();
    if (address === undefined) throw new Error('no frame to send with');
    this.#bytes.set(frame, this.#umem + address);
    const { transmit } = this.#xsk.rings;
    const producer = this.#load(transmit.producer);
    const descriptor = (transmit.descriptors >>> 3) + (producer & transmit.mask) * 2;
    this.#longs[descriptor] = BigInt(address);
    this.#longs[descriptor + 1] = BigInt(frame.length);
    this.#store(transmit.producer, producer + 1);
    this.#xsk.kick();
  }

  #complete(): void {
    const { completion } = this.#xsk.rings;
    let consumer = this.#load(completion.consumer);
    const producer = this.#load(completion.producer);
    for (; consumer !== producer; consumer = (consumer + 1) | 0) {
      const entry = (completion.descriptors >>> 3) + (consumer & completion.mask);
      this.#free.push(Number(this.#longs[entry]));
    }
    this.#store(completion.consumer, consumer);
  }

  #refill(address: number): void {
    const { fill } = this.#xsk.rings;
    const producer = this.#load(fill.producer);
    this.#longs[(fill.descriptors >>> 3) + (producer & fill.mask)] = BigInt(address);
    this.#store(fill.producer, producer + 1);
  }

  #load(offset: XskRing['producer']): number {
    return Atomics.load(this.#words, offset >>> 2);
  }

  #store(offset: XskRing['producer'], value: number): void {
    Atomics.store(this.#words, offset >>> 2, value);
  }
}
