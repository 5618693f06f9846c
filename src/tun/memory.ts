import { DEVICE_HEADER_SIZE } from '../../asm/layout.js';
import { REASON_NONE, REASON_QUEUE_FULL } from '../../asm/reason.js';
import type { TunDevice } from './contract.js';

/** Packets a device holds in each direction before it drops: the length of a TUN device's queue. */
const QUEUE_LENGTH = 1000;

/**
 * A TUN device without a kernel: the host behind it calls `send` and `take`. For tests, for the demo
 * where no device may be made, and for programs that use grebe as a library.
 */
export class MemoryTun implements TunDevice {
  readonly name: string;
  readonly fd = -1;
  onReadable: (() => void) | undefined;
  readonly #bytes: Uint8Array;
  readonly #toRouter: Uint8Array[] = [];
  readonly #toHost: Uint8Array[] = [];

  constructor(name: string, memory: WebAssembly.Memory) {
    this.name = name;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** The host sends `packet` into the tunnel. Returns false when the queue is full. */
  send(packet: Uint8Array): boolean {
    if (this.#toRouter.length >= QUEUE_LENGTH) return false;
    this.#toRouter.push(packet);
    this.onReadable?.();
    return true;
  }

  /** The next packet that came out of the tunnel for the host, or undefined. */
  take(): Uint8Array | undefined {
    return this.#toHost.shift();
  }

  read(address: number, size: number): number {
    const packet = this.#toRouter.shift();
    if (packet === undefined) return 0;
    const length = Math.min(packet.length, size);
    this.#bytes.fill(0, address - DEVICE_HEADER_SIZE, address); // nothing left to do
    this.#bytes.set(packet.subarray(0, length), address);
    return length;
  }

  write(address: number, length: number): number {
    if (this.#toHost.length >= QUEUE_LENGTH) return REASON_QUEUE_FULL;
    this.#toHost.push(this.#bytes.slice(address, address + length));
    return REASON_NONE;
  }

  close(): void {
    this.onReadable = undefined;
  }
}
