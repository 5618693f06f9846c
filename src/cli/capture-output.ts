// Where a capture goes: a file or stdout, block by block, so that what is there can be read whenever it ends.
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { CaptureCount } from '../inspect/capture-count.js';
import { EXIT, Failure } from '../sys/failure.js';

const STDOUT = 1;
/** How long a pipe may take over what is left for it. */
const FLUSH_MS = 1000;

export interface CaptureOutput {
  /** What has been written. */
  readonly count: CaptureCount;
  /** Writes the whole blocks that there are by now. Resolves when there is room for more. */
  take(bytes: Uint8Array): Promise<void>;
  /** Everything is there. */
  finish(): void;
  /** Ends it, finished or not: a file that was to be written as a whole is left as it was. Idempotent. */
  close(): Promise<void>;
}

/** A file that grows as packets come. What was in it stays until the first ones are there. */
export class GrowingFile implements CaptureOutput {
  readonly count = new CaptureCount();
  readonly #path: string;
  #fd = -1;
  #written = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async take(bytes: Uint8Array): Promise<void> {
    const blocks = this.count.take(bytes);
    guard(this.#path, () => {
      if (this.#fd < 0) this.#fd = openSync(this.#path, 'w', 0o640);
      try {
        writeAll(this.#fd, blocks);
      } catch (error) {
        cutTo(this.#fd, this.#written); // no half block at its end
        throw error;
      }
    });
    this.#written += blocks.length;
  }

  finish(): void {}

  async close(): Promise<void> {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** A file that is there as a whole or not at all. */
export class WholeFile implements CaptureOutput {
  readonly count = new CaptureCount();
  readonly #path: string;
  readonly #unfinished: string;
  #fd = -1;

  constructor(path: string) {
    this.#path = path;
    this.#unfinished = `${path}.${process.pid}.tmp`;
  }

  async take(bytes: Uint8Array): Promise<void> {
    guard(this.#path, () => {
      if (this.#fd < 0) this.#fd = openSync(this.#unfinished, 'wx', 0o640);
      writeAll(this.#fd, this.count.take(bytes));
    });
  }

  finish(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    guard(this.#path, () => {
      this.#fd = -1;
      closeSync(fd);
      renameSync(this.#unfinished, this.#path);
    });
  }

  async close(): Promise<void> {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    rmSync(this.#unfinished, { force: true });
  }
}

/**
 * Stdout. A pipe is written without blocking, other than by `process.stdout`: who reads it may have stopped, and ^C is
 * to end us even then. `onGone`: nobody reads it any more.
 */
export class StdoutCapture implements CaptureOutput {
  readonly count = new CaptureCount();
  readonly #pipe: Socket | undefined;

  constructor(onGone: () => void) {
    const stat = fstatSync(STDOUT);
    if (!stat.isFIFO() && !stat.isSocket()) return;
    this.#pipe = new Socket({ fd: STDOUT, readable: false, writable: true });
    this.#pipe.on('error', onGone);
  }

  async take(bytes: Uint8Array): Promise<void> {
    const blocks = this.count.take(bytes);
    const pipe = this.#pipe;
    if (pipe === undefined) {
      guard('stdout', () => writeAll(STDOUT, blocks));
      return;
    }
    if (pipe.writableEnded || pipe.destroyed || pipe.write(blocks)) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        pipe.off('drain', settle).off('close', settle);
        resolve();
      };
      pipe.on('drain', settle).on('close', settle);
    });
  }

  finish(): void {}

  /** What the pipe has not taken yet still goes out, unless its reader has stopped. */
  async close(): Promise<void> {
    const pipe = this.#pipe;
    if (pipe === undefined || pipe.destroyed) return;
    const isClosed = new Promise<void>((resolve) => pipe.once('close', () => resolve()));
    const timer = setTimeout(() => pipe.destroy(), FLUSH_MS);
    pipe.end();
    await isClosed;
    clearTimeout(timer);
  }
}

/** Throws a usage Failure where stdout is a terminal: a capture is no text. */
export function refuseTerminal(hint: string): void {
  if (process.stdout.isTTY !== true) return;
  throw new Failure(EXIT.usage, 'a capture is not for a terminal', hint);
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function cutTo(fd: number, size: number): void {
  try {
    ftruncateSync(fd, size);
  } catch {
    // What was not written to the disk cannot be cut off it: the first error is the one to tell.
  }
}

function guard<T>(path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const full = code === 'ENOSPC' ? `the disk is full (${code})` : code;
    const hint = code === 'ENOSPC' ? `df -h ${dirname(path)}` : `ls -ld ${dirname(path)}`;
    throw new Failure(EXIT.failed, `${path}: cannot be written: ${full}`, hint);
  }
}
