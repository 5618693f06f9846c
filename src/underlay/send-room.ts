import { NativeBlock, poll } from '../sys/libc.js';

const POLLOUT = 4;
/** Longest wait for full send queues, in all for one batch. */
const WAIT_MS = 2;

/** Waits, briefly, for a socket whose send queue is full. */
export class SendRoom {
  readonly #block = new NativeBlock(8);
  #until = 0;

  /** Begins a batch: there is time to wait again. */
  begin(): void {
    this.#until = 0;
  }

  /** Waits until `fd` may be sent to. Returns false once the time of the batch is up. */
  wait(fd: number): boolean {
    const now = performance.now();
    if (this.#until === 0) this.#until = now + WAIT_MS;
    const left = Math.ceil(this.#until - now);
    if (left <= 0) return false;
    this.#block.view.setInt32(0, fd, true);
    this.#block.view.setInt16(4, POLLOUT, true);
    return poll(this.#block.address, 1, left) > 0;
  }
}
