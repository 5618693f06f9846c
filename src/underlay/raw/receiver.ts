// Raw sockets of one family -> slots of a decap ring. What differs between IPv4 and IPv6 is in ipv4.ts and ipv6.ts.
import { SLOT_COUNT, SLOT_PACKET } from '../../../asm/layout.js';
import type { Ring } from '../../ring/ring.js';
import { recvmmsg } from '../../sys/libc.js';
import { openSocket, SOCK_NONBLOCK, SOCK_RAW, setBuffers } from '../../sys/socket.js';
import { MessageBatch, type MessageParts } from '../batch.js';

const MSG_DONTWAIT = 0x40;
const MASK = SLOT_COUNT - 1;
/** Socket buffers: a burst of several thousand full packets, while the lane is busy with the other way. */
const BUFFER_SIZE = 8 << 20;

/** A raw socket to receive from. */
export interface RawSocket {
  readonly fd: number;
  readonly protocol: number;
}

/** How packets of one family arrive at raw sockets. */
export interface RawArrival {
  /** Bytes of the outer header that the kernel keeps to itself. */
  readonly headLength: number;
  /** What each message needs besides its data. */
  readonly parts: MessageParts;

  /**
   * Makes the packet at `address` whole, of which message `index` brought `length` bytes behind the head. Returns the
   * index of the device that it came in by, 0 = not known.
   */
  complete(
    batch: MessageBatch,
    index: number,
    address: number,
    length: number,
    protocol: number,
  ): number;
}

/** Fills slots of a decap ring from the raw sockets of one family: message n of its batch names slot n. */
export class RawReceiver {
  readonly #arrival: RawArrival;
  readonly #batch: MessageBatch;
  #ring: Ring | undefined;

  /** `base`: native address of the dataplane's memory. */
  constructor(base: number, arrival: RawArrival) {
    this.#arrival = arrival;
    this.#batch = new MessageBatch(SLOT_COUNT, base, arrival.parts);
  }

  /** Receives up to `max` packets with one system call, two where that ends with the last slot. */
  receive(socket: RawSocket, ring: Ring, max: number): number {
    if (this.#ring !== ring) this.#aimAt(ring);
    const count = this.#receiveInto(socket, ring, max);
    if (count === 0 || (ring.filled & MASK) !== 0 || count === max) return count;
    return count + this.#receiveInto(socket, ring, max - count);
  }

  #aimAt(ring: Ring): void {
    const { headLength } = this.#arrival;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const address = ring.packetAddress(slot) + headLength;
      this.#batch.setData(slot, address, SLOT_PACKET - headLength);
    }
    this.#ring = ring;
  }

  #receiveInto({ fd, protocol }: RawSocket, ring: Ring, max: number): number {
    const position = ring.filled;
    const slot = position & MASK;
    // One call fills slots that lie side by side: up to the end of the ring.
    const room = Math.min(max, ring.reserve(), SLOT_COUNT - slot);
    if (room === 0) return 0;
    const batch = this.#batch;
    const arrival = this.#arrival;
    const count = recvmmsg(fd, batch.header(slot), room, MSG_DONTWAIT);
    if (count <= 0) return 0;
    for (let n = 0; n < count; n++) {
      const address = ring.packetAddress(slot + n);
      const length = batch.received(slot + n);
      const link = arrival.complete(batch, slot + n, address, length, protocol);
      ring.fill((position + n) >>> 0, arrival.headLength + length, 0, link);
    }
    ring.publish(count);
    return count;
  }
}

/** Opens a raw socket. Throws a Failure when a right is missing. */
export function openRaw(family: number, protocol: number): number {
  const what = `raw socket for IP protocol ${protocol}`;
  const fd = openSocket(family, SOCK_RAW | SOCK_NONBLOCK, protocol, what);
  setBuffers(fd, BUFFER_SIZE);
  return fd;
}
