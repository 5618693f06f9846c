import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, Failure } from '../sys/failure.js';

/** A capture file that cannot be read on: what is wrong, and at which byte. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';

  constructor(
    message: string,
    /** The next thing to do; FILE stands for the file. */
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** Fills the front of `into` and returns how many bytes that were; 0 at the end of the file. */
export type ReadChunk = (into: Uint8Array) => number;

/** Bytes asked of the file at once. */
const CHUNK_SIZE = 64 * 1024;

/** What the usual errors of opening mean. */
const OPEN_ERRORS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['EACCES', 'permission denied'],
]);

/** Pause before a non-blocking standard input is asked again. */
const RETRY_MS = 5;

/**
 * A file read from front to back in chunks. It holds one chunk, or the one record asked for when that is
 * larger. Bytes it hands out stay as they are until the next call only.
 */
export class ByteSource {
  readonly #read: ReadChunk;
  #chunk = new Uint8Array(CHUNK_SIZE);
  #start = 0;
  #end = 0;
  #position = 0;

  constructor(read: ReadChunk) {
    this.#read = read;
  }

  /** Bytes consumed so far. */
  get position(): number {
    return this.#position;
  }

  /** The next bytes without consuming them: `length` of them, or fewer where the file ends. */
  peek(length: number): Uint8Array {
    this.#fill(length);
    return this.#chunk.subarray(this.#start, Math.min(this.#end, this.#start + length));
  }

  /** The next `length` bytes, or null where the file ends right here. */
  take(length: number, what: string): Uint8Array | null {
    const bytes = this.peek(length);
    if (bytes.length === 0 && length > 0) return null;
    if (bytes.length < length) throw this.#short(what, length, bytes.length);
    this.#start += length;
    this.#position += length;
    return bytes;
  }

  /** The next `length` bytes; the file must not end before them. */
  require(length: number, what: string): Uint8Array {
    const bytes = this.take(length, what);
    if (bytes === null) throw this.#short(what, length, 0);
    return bytes;
  }

  /** Passes over `length` bytes without keeping them. */
  skip(length: number, what: string): void {
    for (let left = length; left > 0; ) {
      this.#fill(1);
      const step = Math.min(left, this.#end - this.#start);
      if (step === 0) throw this.#short(what, length, length - left);
      this.#start += step;
      this.#position += step;
      left -= step;
    }
  }

  /** Reads on until `length` bytes are held or the file ends. */
  #fill(length: number): void {
    if (this.#end - this.#start >= length) return;
    if (this.#start + length > this.#chunk.length) {
      const chunk = length > this.#chunk.length ? new Uint8Array(length) : this.#chunk;
      chunk.set(this.#chunk.subarray(this.#start, this.#end));
      this.#chunk = chunk;
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end - this.#start < length) {
      const count = this.#read(this.#chunk.subarray(this.#end));
      if (count === 0) return;
      this.#end += count;
    }
  }

  #short(what: string, expected: number, found: number): CaptureError {
    return new CaptureError(
      `the file ends inside ${what} at byte ${this.#position}: ${expected} bytes expected, ${found} found`,
    );
  }
}

export interface OpenFile {
  /** What messages call it. */
  readonly name: string;
  readonly source: ByteSource;
  close(): void;
}

/** Opens a file to read from; `-` is the standard input. Throws a Failure that names the file. */
export function openFile(path: string): OpenFile {
  const isStdin = path === '-';
  const fd = isStdin ? 0 : openForReading(path);
  return {
    name: isStdin ? 'standard input' : path,
    source: new ByteSource((into) => readSome(fd, into)),
    close: () => {
      if (!isStdin) closeSync(fd);
    },
  };
}

function openForReading(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const code = errorCode(error);
    const cause = OPEN_ERRORS.get(code) ?? `cannot be opened (${code})`;
    throw new Failure(EXIT.noInput, `${path}: ${cause}`, `ls -l ${dirname(path)}`);
  }
  if (!fstatSync(fd).isDirectory()) return fd;
  closeSync(fd);
  throw new Failure(EXIT.noInput, `${path}: is a directory, not a capture file`, `ls ${path}`);
}

function readSome(fd: number, into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, into);
    } catch (error) {
      // A pipe that another program made non-blocking says EAGAIN where it should wait.
      if (errorCode(error) !== 'EAGAIN')
        throw new CaptureError(`cannot be read: ${errorCode(error)}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return String(error);
}
