import { IovecBlock } from '../sys/iovec.js';
import { NativeBlock } from '../sys/libc.js';
import { AF_INET } from '../sys/socket.js';

// struct mmsghdr, iovec, sockaddr_in and the control buffer of every message of a batch, in host memory.
// x86-64 and arm64 have the same layout; both are little-endian.
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
const SOCKADDR_SIZE = 16;
/** One IP_PKTINFO message: cmsghdr 16, ifindex 4, two addresses 8, padded. */
const CONTROL_SIZE = 32;
const CONTROL_INTERFACE = 16;

/**
 * The message headers for recvmmsg and sendmmsg: one a packet, of one or two pieces.
 *
 * INVARIANT: an iovec only ever names bytes of a slot. Receiving iovecs are set once, from the ring's plan;
 * sending ones from `Ring.processedAddress` and `processedPayload`, which check the codec's descriptor.
 */
export class MessageBatch {
  /** Native address of the first mmsghdr. */
  readonly #headers: NativeBlock;
  readonly #iovecs: IovecBlock;
  readonly #addresses: NativeBlock;
  readonly #controls: NativeBlock;
  readonly #headerWords: Uint32Array;
  readonly #addressWords: Uint32Array;

  /** `base`: native address of the dataplane's memory. */
  constructor(count: number, base: number) {
    this.#headers = new NativeBlock(count * MMSGHDR_SIZE);
    this.#iovecs = new IovecBlock(count * PIECES, base);
    this.#addresses = new NativeBlock(count * SOCKADDR_SIZE);
    this.#controls = new NativeBlock(count * CONTROL_SIZE);
    this.#headerWords = new Uint32Array(this.#headers.bytes.buffer);
    this.#addressWords = new Uint32Array(this.#addresses.bytes.buffer);
    for (let index = 0; index < count; index++) {
      const header = index * MMSGHDR_SIZE;
      this.#headers.view.setBigUint64(
        header + MMSGHDR_IOV,
        BigInt(this.#iovecs.addressOf(index * PIECES)),
        true,
      );
      this.#headers.view.setBigUint64(header + MMSGHDR_IOV_COUNT, 1n, true);
      this.#addresses.view.setUint16(index * SOCKADDR_SIZE, AF_INET, true);
    }
  }

  /** Native address of message `index`. */
  header(index: number): number {
    return this.#headers.address + index * MMSGHDR_SIZE;
  }

  /** Points message `index` at `length` bytes at `address` of the dataplane's memory. */
  setData(index: number, address: number, length: number): void {
    this.#iovecs.set(index * PIECES, address, length);
    this.#setPieces(index, 1);
  }

  /** Lets `length` bytes at `address` follow in message `index`, after `setData`. */
  setPayload(index: number, address: number, length: number): void {
    this.#iovecs.set(index * PIECES + 1, address, length);
    this.#setPieces(index, 2);
  }

  /** Gives every message a destination, to be set by `setDestination`. */
  useDestinations(count: number): void {
    for (let index = 0; index < count; index++) {
      const header = index * MMSGHDR_SIZE;
      const address = BigInt(this.#addresses.address + index * SOCKADDR_SIZE);
      this.#headers.view.setBigUint64(header + MMSGHDR_NAME, address, true);
      this.#headers.view.setUint32(header + MMSGHDR_NAME_LENGTH, SOCKADDR_SIZE, true);
    }
  }

  /** `wireWord`: the four address bytes as they lie in the packet, loaded as one host-order word. */
  setDestination(index: number, wireWord: number): void {
    this.#addressWords[index * (SOCKADDR_SIZE >>> 2) + 1] = wireWord;
  }

  /** Gives messages `first` to `first + count - 1` room for IP_PKTINFO; the kernel shortens it at each use. */
  resetControls(first: number, count: number): void {
    for (let index = first; index < first + count; index++) {
      const header = index * MMSGHDR_SIZE;
      const address = BigInt(this.#controls.address + index * CONTROL_SIZE);
      this.#headers.view.setBigUint64(header + MMSGHDR_CONTROL, address, true);
      this.#headerWords[(header + MMSGHDR_CONTROL_LENGTH) >>> 2] = CONTROL_SIZE;
    }
  }

  #setPieces(index: number, count: number): void {
    this.#headerWords[(index * MMSGHDR_SIZE + MMSGHDR_IOV_COUNT) >>> 2] = count;
  }

  /** Bytes received into message `index`. */
  received(index: number): number {
    return this.#headerWords[(index * MMSGHDR_SIZE + MMSGHDR_LENGTH) >>> 2] as number;
  }

  /** Index of the device that message `index` came in by, after `resetControls`. */
  receivedLink(index: number): number {
    return this.#controls.view.getUint32(index * CONTROL_SIZE + CONTROL_INTERFACE, true);
  }
}
