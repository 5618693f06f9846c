import { DEVICE_HEADER_SIZE } from '../../../asm/layout.js';
import { IovecBlock } from '../../sys/iovec.js';
import { NativeBlock } from '../../sys/libc.js';
import {
  MESSAGE_IOV,
  MESSAGE_IOV_COUNT,
  MESSAGE_NAME,
  MESSAGE_NAME_LENGTH,
  MessageHeaders,
} from '../../sys/message-headers.js';

/** struct sockaddr_ll */
const SOCKADDR_SIZE = 20;
const SOCKADDR_STRIDE = 32;
const SOCKADDR_PROTOCOL = 2;
const SOCKADDR_LINK = 4;
const SOCKADDR_ADDRESS_LENGTH = 11;
const AF_PACKET = 17;
const ETHERNET_LENGTH = 14;
const MAC_LENGTH = 6;
/** What lies in front of a packet: struct virtio_net_hdr and the Ethernet header. */
export const FRAME_HEAD_SIZE = DEVICE_HEADER_SIZE + ETHERNET_LENGTH;
const HEAD_STRIDE = 32;
/** Head, outer and inner headers, payload. */
const PIECES = 3;

/**
 * The message headers for sendmmsg on packet sockets: Ethernet frames of two or three pieces, the first of
 * which, the head, lies in host memory.
 *
 * INVARIANT: an iovec only ever names a head, or what `Ring` found to lie where it may.
 */
export class PacketBatch {
  /** Heads: native memory, HEAD_STRIDE bytes each. */
  readonly #heads: NativeBlock;
  readonly #views: readonly DataView[];
  readonly #headers: MessageHeaders;
  readonly #iovecs: IovecBlock;
  readonly #names: NativeBlock;

  /** `base`: native address of the dataplane's memory; `link`: index of the device that the frames leave by. */
  constructor(count: number, base: number, link: number) {
    this.#heads = new NativeBlock(count * HEAD_STRIDE);
    this.#views = Array.from(
      { length: count },
      (_, index) => new DataView(this.#heads.bytes.buffer, index * HEAD_STRIDE, FRAME_HEAD_SIZE),
    );
    this.#headers = new MessageHeaders(count);
    this.#iovecs = new IovecBlock(count * PIECES, base);
    this.#names = new NativeBlock(count * SOCKADDR_STRIDE);
    for (let index = 0; index < count; index++) {
      const head = this.#heads.address + index * HEAD_STRIDE;
      this.#iovecs.setNative(index * PIECES, head, FRAME_HEAD_SIZE);
      const name = index * SOCKADDR_STRIDE;
      this.#headers.point(index, MESSAGE_NAME, this.#names.address + name);
      this.#headers.setField(index, MESSAGE_NAME_LENGTH, SOCKADDR_SIZE);
      this.#headers.point(index, MESSAGE_IOV, this.#iovecs.addressOf(index * PIECES));
      this.#names.view.setUint16(name, AF_PACKET, true);
      this.#names.view.setInt32(name + SOCKADDR_LINK, link, true);
      this.#names.view.setUint8(name + SOCKADDR_ADDRESS_LENGTH, MAC_LENGTH);
    }
  }

  /** Native address of message `index`. */
  header(index: number): number {
    return this.#headers.address(index);
  }

  /** The head of message `index`: a struct virtio_net_hdr and the Ethernet header, to be written. */
  head(index: number): DataView {
    return this.#views[index] as DataView;
  }

  /** Lets the packet at `address` follow the head of message `index`; `protocol` is what the kernel is told it is. */
  setPacket(index: number, address: number, length: number, protocol: number): void {
    this.#iovecs.set(index * PIECES + 1, address, length);
    this.#names.view.setUint16(index * SOCKADDR_STRIDE + SOCKADDR_PROTOCOL, protocol);
    this.#headers.setField(index, MESSAGE_IOV_COUNT, 2);
  }

  /** Lets `length` bytes at `address` follow, after `setPacket`. */
  setPayload(index: number, address: number, length: number): void {
    this.#iovecs.set(index * PIECES + 2, address, length);
    this.#headers.setField(index, MESSAGE_IOV_COUNT, 3);
  }
}
