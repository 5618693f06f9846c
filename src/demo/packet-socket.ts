import { EXIT, Failure } from '../sys/failure.js';
import {
  bind,
  close,
  errno,
  errnoName,
  interfaceIndex,
  NativeBlock,
  poll,
  recvfrom,
} from '../sys/libc.js';
import { openSocket, SOCK_RAW, setBuffers } from '../sys/socket.js';

// packet(7)
const AF_PACKET = 17;
const ETH_P_ALL_WIRE = 0x0300; // 3 in network order
const SOCKADDR_LL_SIZE = 20;
const MSG_TRUNC = 0x20;
const POLLIN = 1;

/** Receive buffer: what a burst of bulk traffic brings while the reader is at work. */
const BUFFER_SIZE = 8 << 20;

export interface CapturedFrame {
  /** The beginning of the frame, from its Ethernet header on. Valid until the next call of `next`. */
  readonly bytes: Uint8Array;
  /** Length of the whole frame. */
  readonly length: number;
}

/** Everything that passes a network device, in both directions, seen through an AF_PACKET socket. */
export class PacketSocket {
  readonly #fd: number;
  readonly #buffer: NativeBlock;
  readonly #poll = new NativeBlock(8);

  /** Keeps `snapLength` bytes of each frame. Needs CAP_NET_RAW; throws a Failure without. */
  constructor(device: string, snapLength: number) {
    this.#buffer = new NativeBlock(snapLength);
    this.#fd = openSocket(AF_PACKET, SOCK_RAW, 0, `packet socket on ${device}`);
    setBuffers(this.#fd, BUFFER_SIZE);
    const address = new NativeBlock(SOCKADDR_LL_SIZE);
    address.view.setUint16(0, AF_PACKET, true);
    address.view.setUint16(2, ETH_P_ALL_WIRE, true);
    address.view.setUint32(4, interfaceIndex(device), true);
    if (bind(this.#fd, address.address, SOCKADDR_LL_SIZE) !== 0) {
      const name = errnoName(errno());
      close(this.#fd);
      throw new Failure(EXIT.kernelRefused, `cannot listen on the device ${device}: ${name}`);
    }
    this.#poll.view.setInt32(0, this.#fd, true);
    this.#poll.view.setInt16(4, POLLIN, true);
  }

  /** The next frame, waiting for it up to `timeoutMs`; undefined when none came. Blocks. */
  next(timeoutMs: number): CapturedFrame | undefined {
    if (poll(this.#poll.address, 1, timeoutMs) <= 0) return undefined;
    const { address, bytes } = this.#buffer;
    const length = recvfrom(this.#fd, address, bytes.length, MSG_TRUNC, 0, 0);
    if (length <= 0) return undefined;
    return { bytes: bytes.subarray(0, Math.min(length, bytes.length)), length };
  }

  close(): void {
    close(this.#fd);
  }
}
