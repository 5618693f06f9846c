import { NativeBlock } from './libc.js';

/** struct iovec: address and length, 8 bytes each. */
export const IOVEC_SIZE = 16;

/** An array of iovecs in host memory that name bytes of the dataplane's memory. */
export class IovecBlock {
  /** Native address of the first. */
  readonly address: number;
  readonly #block: NativeBlock;
  readonly #words: Uint32Array;
  readonly #baseLow: number;
  readonly #baseHigh: number;

  /** `base`: native address of the dataplane's memory. */
  constructor(count: number, base: number) {
    this.#block = new NativeBlock(count * IOVEC_SIZE);
    this.#words = new Uint32Array(this.#block.bytes.buffer);
    this.address = this.#block.address;
    this.#baseLow = base % 0x1_0000_0000;
    this.#baseHigh = Math.floor(base / 0x1_0000_0000);
  }

  /** Native address of iovec `index`. */
  addressOf(index: number): number {
    return this.address + index * IOVEC_SIZE;
  }

  /** Lets iovec `index` name `length` bytes at `address` of the dataplane's memory. */
  set(index: number, address: number, length: number): void {
    const word = index * (IOVEC_SIZE >>> 2);
    const low = this.#baseLow + address;
    this.#words[word] = low; // modulo 2^32
    this.#words[word + 1] = low > 0xffff_ffff ? this.#baseHigh + 1 : this.#baseHigh;
    this.#words[word + 2] = length;
  }

  /** Lets iovec `index` name `length` bytes of host memory, at a native address. */
  setNative(index: number, native: number, length: number): void {
    const word = index * (IOVEC_SIZE >>> 2);
    this.#words[word] = native % 0x1_0000_0000;
    this.#words[word + 1] = Math.floor(native / 0x1_0000_0000);
    this.#words[word + 2] = length;
  }
}
