import { IovecBlock } from '../sys/iovec.js';
import { NativeBlock } from '../sys/libc.js';
import {
  MESSAGE_CONTROL,
  MESSAGE_CONTROL_LENGTH,
  MESSAGE_IOV,
  MESSAGE_IOV_COUNT,
  MESSAGE_LENGTH,
  MESSAGE_NAME,
  MESSAGE_NAME_LENGTH,
  MessageHeaders,
} from '../sys/message-headers.js';

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
  readonly #headers: MessageHeaders;
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
    this.#headers = new MessageHeaders(count);
    this.#iovecs = new IovecBlock(count * PIECES, base);
    for (let index = 0; index < count; index++) {
      const headers = this.#headers;
      headers.point(index, MESSAGE_IOV, this.#iovecs.addressOf(index * PIECES));
      headers.setField(index, MESSAGE_IOV_COUNT, 1);
      if (nameSize > 0) {
        headers.point(index, MESSAGE_NAME, names.address + index * this.nameStride);
      }
      if (controlSize > 0) {
        headers.point(index, MESSAGE_CONTROL, controls.address + index * this.controlStride);
      }
      this.reset(index);
    }
  }

  /** Native address of message `index`. */
  header(index: number): number {
    return this.#headers.address(index);
  }

  /** Points message `index` at `length` bytes at `address` of the dataplane's memory. */
  setData(index: number, address: number, length: number): void {
    this.#iovecs.set(index * PIECES, address, length);
    this.#headers.setField(index, MESSAGE_IOV_COUNT, 1);
  }

  /** Lets `length` bytes at `address` follow in message `index`, after `setData`. */
  setPayload(index: number, address: number, length: number): void {
    this.#iovecs.set(index * PIECES + 1, address, length);
    this.#headers.setField(index, MESSAGE_IOV_COUNT, 2);
  }

  /** Gives message `index` its whole room back, which the kernel shortened to what it wrote. */
  reset(index: number): void {
    this.#headers.setField(index, MESSAGE_NAME_LENGTH, this.#nameSize);
    this.#headers.setField(index, MESSAGE_CONTROL_LENGTH, this.controlStride);
  }

  /** Bytes received into message `index`. */
  received(index: number): number {
    return this.#headers.field(index, MESSAGE_LENGTH);
  }

  /** Bytes of control messages that the kernel wrote for message `index`, never more than there is room for. */
  controlLength(index: number): number {
    return Math.min(this.#headers.field(index, MESSAGE_CONTROL_LENGTH), this.controlStride);
  }
}

function aligned(size: number): number {
  return (size + 7) & ~7;
}
