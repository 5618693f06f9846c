import { IovecBlock } from '../../sys/iovec.js';
import { NativeBlock } from '../../sys/libc.js';
import {
  MESSAGE_CONTROL,
  MESSAGE_CONTROL_LENGTH,
  MESSAGE_IOV,
  MESSAGE_IOV_COUNT,
  MESSAGE_NAME,
  MESSAGE_NAME_LENGTH,
  MessageHeaders,
} from '../../sys/message-headers.js';
import { CONTROL_HEADER, SOL_UDP, UDP_SEGMENT, writeControl } from '../control-messages.js';
import type { UdpOuter } from './outer.js';

const NAME_STRIDE = 32;

/** Pieces of a packet at most: headers, and a payload that lies elsewhere. */
const PIECES = 2;
/** TOS, TTL and segment size: 24 bytes each. */
const CONTROL = 24;
const CONTROLS = 3;

/**
 * The message headers for sendmmsg on UDP sockets: a message is one datagram, or several of one size that the kernel
 * takes apart (UDP_SEGMENT), each of one or two pieces.
 *
 * INVARIANT: an iovec only ever names what `Ring.processedAddress` and `processedPayload` found to lie where it may.
 */
export class DatagramBatch {
  readonly #outer: UdpOuter;
  readonly #headers: MessageHeaders;
  readonly #iovecs: IovecBlock;
  readonly #names: NativeBlock;
  readonly #controls: NativeBlock;
  #messages = 0;
  #pieces = 0;

  /** Room for `count` packets; all go to `port`. `base`: native address of the dataplane's memory. */
  constructor(count: number, base: number, outer: UdpOuter, port: number) {
    this.#outer = outer;
    this.#headers = new MessageHeaders(count);
    this.#iovecs = new IovecBlock(count * PIECES, base);
    this.#names = new NativeBlock(count * NAME_STRIDE);
    this.#controls = new NativeBlock(count * CONTROL * CONTROLS);
    for (let index = 0; index < count; index++) {
      const name = index * NAME_STRIDE;
      const control = index * CONTROL * CONTROLS;
      this.#headers.point(index, MESSAGE_NAME, this.#names.address + name);
      this.#headers.setField(index, MESSAGE_NAME_LENGTH, outer.nameSize);
      this.#headers.point(index, MESSAGE_CONTROL, this.#controls.address + control);
      // A link-local destination counts on the device that the socket is bound to.
      this.#names.view.setUint16(name, outer.family, true);
      this.#names.view.setUint16(name + 2, port);
      const controls = this.#controls.view;
      writeControl(controls, control, 4, outer.level, outer.tosType);
      writeControl(controls, control + CONTROL, 4, outer.level, outer.ttlType);
      writeControl(controls, control + 2 * CONTROL, 2, SOL_UDP, UDP_SEGMENT);
    }
  }

  /** Messages so far. */
  get count(): number {
    return this.#messages;
  }

  /** Native address of message `index`. */
  header(index: number): number {
    return this.#headers.address(index);
  }

  clear(): void {
    this.#messages = 0;
    this.#pieces = 0;
  }

  /** Begins a message that goes where the outer header at `outer` of `view` says, with its TOS and TTL. */
  begin(view: DataView, outer: number): void {
    const index = this.#messages++;
    this.#headers.point(index, MESSAGE_IOV, this.#iovecs.addressOf(this.#pieces));
    this.#headers.setField(index, MESSAGE_IOV_COUNT, 0);
    this.#headers.setField(index, MESSAGE_CONTROL_LENGTH, 2 * CONTROL);
    const { nameAddress, destination, addressSize } = this.#outer;
    const name = index * NAME_STRIDE + nameAddress;
    for (let at = 0; at < addressSize; at += 4) {
      this.#names.view.setUint32(name + at, view.getUint32(outer + destination + at));
    }
    const control = index * CONTROL * CONTROLS + CONTROL_HEADER;
    this.#controls.view.setUint32(control, this.#outer.tos(view, outer), true);
    this.#controls.view.setUint32(control + CONTROL, this.#outer.ttl(view, outer), true);
  }

  /** Adds `length` bytes at `address` of the dataplane's memory to the message begun last. */
  add(address: number, length: number): void {
    this.#iovecs.set(this.#pieces++, address, length);
    const index = this.#messages - 1;
    const count = this.#headers.field(index, MESSAGE_IOV_COUNT);
    this.#headers.setField(index, MESSAGE_IOV_COUNT, count + 1);
  }

  /** Says that the message begun last is datagrams of `size` bytes, the last one maybe shorter. */
  segment(size: number): void {
    const index = this.#messages - 1;
    const control = (index * CONTROLS + 2) * CONTROL + CONTROL_HEADER;
    this.#controls.view.setUint16(control, size, true);
    this.#headers.setField(index, MESSAGE_CONTROL_LENGTH, 3 * CONTROL);
  }
}
