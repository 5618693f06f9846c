// struct mmsghdr, as recvmmsg(2) and sendmmsg(2) take it: a block of them in host memory. x86-64 and arm64 have the same
// layout; both are little-endian.
import { NativeBlock } from './libc.js';

const SIZE = 64;
const WORDS = SIZE >>> 2;

// Offsets of the fields. Addresses have 8 bytes, the rest is set and read as 4.
export const MESSAGE_NAME = 0;
export const MESSAGE_NAME_LENGTH = 8;
export const MESSAGE_IOV = 16;
export const MESSAGE_IOV_COUNT = 24;
export const MESSAGE_CONTROL = 32;
export const MESSAGE_CONTROL_LENGTH = 40;
/** Bytes received or sent. */
export const MESSAGE_LENGTH = 56;

/** Message headers, all zero at first. Indexes are not checked: the batch that owns them knows how many there are. */
export class MessageHeaders {
  readonly #block: NativeBlock;
  readonly #words: Uint32Array;

  constructor(count: number) {
    this.#block = new NativeBlock(count * SIZE);
    this.#words = new Uint32Array(this.#block.bytes.buffer);
  }

  /** Native address of header `index`. */
  address(index: number): number {
    return this.#block.address + index * SIZE;
  }

  /** Points `field` of header `index` at a native address. */
  point(index: number, field: number, address: number): void {
    this.#block.view.setBigUint64(index * SIZE + field, BigInt(address), true);
  }

  field(index: number, field: number): number {
    return this.#words[index * WORDS + (field >>> 2)] as number;
  }

  setField(index: number, field: number, value: number): void {
    this.#words[index * WORDS + (field >>> 2)] = value;
  }
}
