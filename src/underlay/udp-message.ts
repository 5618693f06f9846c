import { IovecBlock } from '../sys/iovec.js';
import { NativeBlock } from '../sys/libc.js';
import { AF_INET } from '../sys/socket.js';

// struct mmsghdr, sockaddr_in and control messages of UDP sockets, in host memory. x86-64 and arm64 have the same
// layout; both are little-endian.
const MMSGHDR_SIZE = 64;
const MMSGHDR_NAME = 0;
const MMSGHDR_NAME_LENGTH = 8;
const MMSGHDR_IOV = 16;
const MMSGHDR_IOV_COUNT = 24;
const MMSGHDR_CONTROL = 32;
const MMSGHDR_CONTROL_LENGTH = 40;
const MMSGHDR_LENGTH = 56; // bytes received
const SOCKADDR_SIZE = 16;
/** struct cmsghdr: length 8, level 4, type 4; data follow, padded to 8. */
const CMSG_HEADER = 16;

export const IPPROTO_IP = 0;
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_PKTINFO = 8;
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

/** Pieces of a packet at most: headers, and a payload that lies elsewhere. */
const PIECES = 2;
/** TOS, TTL and segment size: 24 bytes each. */
const SEND_CONTROL = 24;
const SEND_CONTROLS = 3;
/** PKTINFO 32, TTL, TOS and GRO 24 each; twice that, for what a kernel may add. */
const RECEIVE_CONTROL_SIZE = 256;

/** The message header for recvmmsg: one message, and what the kernel says of it. */
export class ReceivedDatagrams {
  /** Native address of the mmsghdr. */
  readonly header: number;
  readonly #header = new NativeBlock(MMSGHDR_SIZE);
  readonly #name = new NativeBlock(SOCKADDR_SIZE);
  readonly #control = new NativeBlock(RECEIVE_CONTROL_SIZE);
  readonly #iovec: IovecBlock;

  /** `base`: native address of the dataplane's memory. */
  constructor(base: number) {
    this.#iovec = new IovecBlock(1, base);
    this.header = this.#header.address;
    const { view } = this.#header;
    view.setBigUint64(MMSGHDR_NAME, BigInt(this.#name.address), true);
    view.setBigUint64(MMSGHDR_IOV, BigInt(this.#iovec.address), true);
    view.setBigUint64(MMSGHDR_IOV_COUNT, 1n, true);
    view.setBigUint64(MMSGHDR_CONTROL, BigInt(this.#control.address), true);
  }

  /** Makes it ready for a message to `size` bytes at `address` of the dataplane's memory. */
  aim(address: number, size: number): void {
    this.#iovec.set(0, address, size);
    this.#header.view.setUint32(MMSGHDR_NAME_LENGTH, SOCKADDR_SIZE, true);
    this.#header.view.setUint32(MMSGHDR_CONTROL_LENGTH, RECEIVE_CONTROL_SIZE, true);
  }

  /** Bytes received. */
  get length(): number {
    return this.#header.view.getUint32(MMSGHDR_LENGTH, true);
  }

  /** Sender: port in host order. */
  get port(): number {
    return this.#name.view.getUint16(2);
  }

  /** Sender: the four address bytes as they lie in a packet, as one little-endian word. */
  get source(): number {
    return this.#name.view.getUint32(4, true);
  }

  /** What the control messages say; anything absent is 0. */
  readControl(): Control {
    const { view } = this.#control;
    const end = this.#header.view.getUint32(MMSGHDR_CONTROL_LENGTH, true);
    const found = { tos: 0, ttl: 0, link: 0, destination: 0, segmentSize: 0 };
    for (let at = 0; at + CMSG_HEADER <= end; ) {
      const length = view.getUint32(at, true);
      if (length < CMSG_HEADER) break;
      const data = at + CMSG_HEADER;
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      if (level === IPPROTO_IP) {
        if (type === IP_TOS) found.tos = view.getUint8(data);
        else if (type === IP_TTL) found.ttl = view.getUint8(data);
        else if (type === IP_PKTINFO) {
          found.link = view.getUint32(data, true);
          found.destination = view.getUint32(data + 8, true);
        }
      } else if (level === SOL_UDP && type === UDP_GRO) {
        found.segmentSize = view.getUint16(data, true);
      }
      at += (length + 7) & ~7;
    }
    return found;
  }
}

/** What the kernel says of a message besides its bytes. */
export interface Control {
  readonly tos: number;
  readonly ttl: number;
  /** Index of the device that it came in by. */
  readonly link: number;
  /** Destination of the IP header, as one little-endian word. */
  readonly destination: number;
  /** Bytes of each datagram but the last, where the message is several; 0 = it is one. */
  readonly segmentSize: number;
}

/**
 * The message headers for sendmmsg: a message is one datagram, or several of one size that the kernel takes apart
 * (UDP_SEGMENT), each of one or two pieces.
 *
 * INVARIANT: an iovec only ever names what `Ring.processedAddress` and `processedPayload` found to lie where it may.
 */
export class DatagramBatch {
  readonly #headers: NativeBlock;
  readonly #headerWords: Uint32Array;
  readonly #iovecs: IovecBlock;
  readonly #names: NativeBlock;
  readonly #nameWords: Uint32Array;
  readonly #controls: NativeBlock;
  #messages = 0;
  #pieces = 0;

  /** Room for `count` packets; all go to `port`. `base`: native address of the dataplane's memory. */
  constructor(count: number, base: number, port: number) {
    this.#headers = new NativeBlock(count * MMSGHDR_SIZE);
    this.#headerWords = new Uint32Array(this.#headers.bytes.buffer);
    this.#iovecs = new IovecBlock(count * PIECES, base);
    this.#names = new NativeBlock(count * SOCKADDR_SIZE);
    this.#nameWords = new Uint32Array(this.#names.bytes.buffer);
    this.#controls = new NativeBlock(count * SEND_CONTROL * SEND_CONTROLS);
    for (let index = 0; index < count; index++) {
      const { view } = this.#headers;
      const header = index * MMSGHDR_SIZE;
      const name = index * SOCKADDR_SIZE;
      const control = index * SEND_CONTROL * SEND_CONTROLS;
      view.setBigUint64(header + MMSGHDR_NAME, BigInt(this.#names.address + name), true);
      view.setUint32(header + MMSGHDR_NAME_LENGTH, SOCKADDR_SIZE, true);
      view.setBigUint64(header + MMSGHDR_CONTROL, BigInt(this.#controls.address + control), true);
      this.#names.view.setUint16(name, AF_INET, true);
      this.#names.view.setUint16(name + 2, port);
      this.#writeControl(control, 4, IPPROTO_IP, IP_TOS);
      this.#writeControl(control + SEND_CONTROL, 4, IPPROTO_IP, IP_TTL);
      this.#writeControl(control + 2 * SEND_CONTROL, 2, SOL_UDP, UDP_SEGMENT);
    }
  }

  /** Messages so far. */
  get count(): number {
    return this.#messages;
  }

  /** Native address of message `index`. */
  header(index: number): number {
    return this.#headers.address + index * MMSGHDR_SIZE;
  }

  clear(): void {
    this.#messages = 0;
    this.#pieces = 0;
  }

  /** Begins a message. `destination`: the address bytes as they lie in the packet, as one little-endian word. */
  begin(destination: number, tos: number, ttl: number): void {
    const index = this.#messages++;
    const iovec = BigInt(this.#iovecs.addressOf(this.#pieces));
    this.#headers.view.setBigUint64(index * MMSGHDR_SIZE + MMSGHDR_IOV, iovec, true);
    const word = (index * MMSGHDR_SIZE) >>> 2;
    this.#headerWords[word + (MMSGHDR_IOV_COUNT >>> 2)] = 0;
    this.#headerWords[word + (MMSGHDR_CONTROL_LENGTH >>> 2)] = 2 * SEND_CONTROL;
    this.#nameWords[((index * SOCKADDR_SIZE) >>> 2) + 1] = destination;
    const control = index * SEND_CONTROL * SEND_CONTROLS + CMSG_HEADER;
    this.#controls.view.setUint32(control, tos, true);
    this.#controls.view.setUint32(control + SEND_CONTROL, ttl, true);
  }

  /** Adds `length` bytes at `address` of the dataplane's memory to the message begun last. */
  add(address: number, length: number): void {
    this.#iovecs.set(this.#pieces++, address, length);
    const count = ((this.#messages - 1) * MMSGHDR_SIZE + MMSGHDR_IOV_COUNT) >>> 2;
    this.#headerWords[count] = (this.#headerWords[count] as number) + 1;
  }

  /** Says that the message begun last is datagrams of `size` bytes, the last one maybe shorter. */
  segment(size: number): void {
    const index = this.#messages - 1;
    const control = (index * SEND_CONTROLS + 2) * SEND_CONTROL + CMSG_HEADER;
    this.#controls.view.setUint16(control, size, true);
    const length = (index * MMSGHDR_SIZE + MMSGHDR_CONTROL_LENGTH) >>> 2;
    this.#headerWords[length] = 3 * SEND_CONTROL;
  }

  #writeControl(at: number, size: number, level: number, type: number): void {
    const { view } = this.#controls;
    view.setUint32(at, CMSG_HEADER + size, true);
    view.setInt32(at + 8, level, true);
    view.setInt32(at + 12, type, true);
  }
}
