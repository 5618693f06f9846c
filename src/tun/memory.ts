import { DEVICE_HEADER_SIZE, SLOT_PACKET } from '../../asm/layout.js';
import { REASON_NONE, REASON_QUEUE_FULL } from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
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

  read(ring: Ring, position: number): number {
    const packet = this.#toRouter.shift();
    if (packet === undefined) return 0;
    const length = Math.min(packet.length, SLOT_PACKET);
    const header = ring.deviceHeader(position);
    this.#bytes.fill(0, header, header + DEVICE_HEADER_SIZE); // nothing left to do
    this.#bytes.set(packet.subarray(0, length), ring.packetAddress(position));
    return length;
  }

  write(ring: Ring, index: number): number {
    if (this.#toHost.length >= QUEUE_LENGTH) return REASON_QUEUE_FULL;
    const pieces: Uint8Array[] = [];
    for (let at = index; at >= 0; at = ring.next(at)) {
      const address = ring.processedAddress(at);
      pieces.push(this.#bytes.subarray(address, address + ring.length(at)));
    }
    const packet = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let end = 0;
    for (const piece of pieces) {
      packet.set(piece, end);
      end += piece.length;
    }
    this.#toHost.push(packet);
    return REASON_NONE;
  }

  inject(packet: Uint8Array): boolean {
    if (this.#toHost.length >= QUEUE_LENGTH) return false;
    this.#toHost.push(packet.slice());
    return true;
  }

  /** Nobody is told of packets any more. */
  close(): void {
    this.onReadable = undefined;
  }
}
