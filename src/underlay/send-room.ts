import { NativeBlock, poll } from '../sys/libc.js';

const POLLOUT = 4;
/** Longest wait for a full send queue, once for each batch. */
const WAIT_MS = 2;

/** Waits, briefly, for a socket whose send queue is full. */
export class SendRoom {
  readonly #block = new NativeBlock(8);

  wait(fd: number): void {
    this.#block.view.setInt32(0, fd, true);
    this.#block.view.setInt16(4, POLLOUT, true);
    poll(this.#block.address, 1, WAIT_MS);
  }
}
