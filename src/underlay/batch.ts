import { IovecBlock } from '../sys/iovec.js';
import { NativeBlock } from '../sys/libc.js';

// struct mmsghdr, and what each message has besides: in host memory. x86-64 and arm64 have the same layout; both are
// little-endian.
const MMSGHDR_SIZE = 64;
const MMSGHDR_NAME = 0;
const MMSGHDR_NAME_LENGTH = 8;
const MMSGHDR_IOV = 16;
const MMSGHDR_IOV_COUNT = 24;
const MMSGHDR_CONTROL = 32;
const MMSGHDR_CONTROL_LENGTH = 40;
const MMSGHDR_LENGTH = 56; // bytes received or sent
/** Pieces of a message at most: headers, and a payload that lies elsewhere. */
const PIECES = 2;

export interface MessageParts {
  /** Bytes of the socket address that each message has. */
  readonly nameSize?: number;
  /** Bytes for the control messages of each. */
  readonly controlSize?: number;
}

/**
 * The message headers for recvmmsg and sendmmsg: one a packet, of one or two pieces.
 *
 * INVARIANT: an iovec only ever names bytes of a slot. Receiving iovecs are set once, from the ring's plan;
 * sending ones from `Ring.processedAddress` and `processedPayload`, which check the codec's descriptor.
 */
export class MessageBatch {
  /** Socket addresses, `nameStride` bytes apart; the kernel's or ours to write. */
  readonly names: DataView;
  readonly nameStride: number;
  /** Control messages, `controlStride` bytes apart. */
  readonly controls: DataView;
  readonly controlStride: number;
  readonly #headers: NativeBlock;
  readonly #headerWords: Uint32Array;
  readonly #iovecs: IovecBlock;
  readonly #nameSize: number;

  /** `base`: native address of the dataplane's memory. */
  constructor(count: number, base: number, { nameSize = 0, controlSize = 0 }: MessageParts = {}) {
    this.#nameSize = nameSize;
    this.nameStride = aligned(nameSize);
    this.controlStride = aligned(controlSize);
    const names = new NativeBlock(Math.max(1, count * this.nameStride));
    const controls = new NativeBlock(Math.max(1, count * this.controlStride));
    this.names = names.view;
    this.controls = controls.view;
    this.#headers = new NativeBlock(count * MMSGHDR_SIZE);
    this.#headerWords = new Uint32Array(this.#headers.bytes.buffer);
    this.#iovecs = new IovecBlock(count * PIECES, base);
    for (let index = 0; index < count; index++) {
      const set = (field: number, value: number): void =>
        this.#headers.view.setBigUint64(index * MMSGHDR_SIZE + field, BigInt(value), true);
      set(MMSGHDR_IOV, this.#iovecs.addressOf(index * PIECES));
      set(MMSGHDR_IOV_COUNT, 1);
      if (nameSize > 0) set(MMSGHDR_NAME, names.address + index * this.nameStride);
      if (controlSize > 0) set(MMSGHDR_CONTROL, controls.address + index * this.controlStride);
      this.reset(index);
    }
  }

  /** Native address of message `index`. */
  header(index: number): number {
    return this.#headers.address + index * MMSGHDR_SIZE;
  }

  /** Points message `index` at `length` bytes at `address` of the dataplane's memory. */
  setData(index: number, address: number, length: number): void {
    this.#iovecs.set(index * PIECES, address, length);
    this.#setField(index, MMSGHDR_IOV_COUNT, 1);
  }

  /** Lets `length` bytes at `address` follow in message `index`, after `setData`. */
  setPayload(index: number, address: number, length: number): void {
    this.#iovecs.set(index * PIECES + 1, address, length);
    this.#setField(index, MMSGHDR_IOV_COUNT, 2);
  }

  /** Gives message `index` its whole room back, which the kernel shortened to what it wrote. */
  reset(index: number): void {
    this.#setField(index, MMSGHDR_NAME_LENGTH, this.#nameSize);
    this.#setField(index, MMSGHDR_CONTROL_LENGTH, this.controlStride);
  }

  /** Bytes received into message `index`. */
  received(index: number): number {
    return this.#field(index, MMSGHDR_LENGTH);
  }

  /** Bytes of control messages that the kernel wrote for message `index`, never more than there is room for. */
  controlLength(index: number): number {
    return Math.min(this.#field(index, MMSGHDR_CONTROL_LENGTH), this.controlStride);
  }

  #field(index: number, field: number): number {
    return this.#headerWords[(index * MMSGHDR_SIZE + field) >>> 2] as number;
  }

  #setField(index: number, field: number, value: number): void {
    this.#headerWords[(index * MMSGHDR_SIZE + field) >>> 2] = value;
  }
}

function aligned(size: number): number {
  return (size + 7) & ~7;
}
