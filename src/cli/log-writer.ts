// Lines on stderr, one by one and at once: what was logged before a crash is there. A line that cannot be written is
// lost, counted, and the router goes on: a full disk, a closed pipe, a reader that has fallen asleep.
import { writeSync } from 'node:fs';
import { NativeBlock, poll } from '../sys/libc.js';

const STDERR = 2;
const POLLOUT = 4;
/** So many bytes a pipe that is writable takes without waiting (pipe(7)). */
const PIPE_BUF = 4096;
/** A reader that is slow gets that many tries of a piece. */
const TRIES = 100;

export class LogWriter {
  readonly #poll = new NativeBlock(8); // struct pollfd
  #lost = 0;

  constructor() {
    this.#poll.view.setInt32(0, STDERR, true);
    this.#poll.view.setInt16(4, POLLOUT, true);
  }

  /** Lines that could not be written since this was last asked. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Writes a line, or loses it. Never waits, never throws. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    let written = 0;
    for (let tries = 0; tries < TRIES && written < bytes.length; tries++) {
      // A pipe or socket that blocks would hold up the main thread for as long as nobody reads.
      if (!this.#isWritable()) continue;
      try {
        written += writeSync(STDERR, bytes, written, Math.min(PIPE_BUF, bytes.length - written));
        tries = 0;
      } catch (error) {
        const isBusy = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
        if (!isBusy) break;
      }
    }
    if (written < bytes.length) this.#lost++;
  }

  #isWritable(): boolean {
    return poll(this.#poll.address, 1, 0) > 0;
  }
}
