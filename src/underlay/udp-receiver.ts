// Datagrams of a UDP socket -> slots of a decap ring.
//
//   1. recvmmsg   one message a call: a datagram, or several of one flow that the kernel merged (UDP_GRO)
//   2. writeHead  the outer headers that the socket took off, twice: of all datagrams but the last, and of that
//   3. fill       a slot for each datagram, in two pieces: one of the two heads, and its payload where it is
//
// The datagrams of a message lie back to back in the slot of the first, so there is no room in front of each; the
// slots of the others lend their place in the ring only.
import { SLOT_HEADROOM, SLOT_PACKET } from '../../asm/layout.js';
import type { Ring } from '../ring/ring.js';
import { addressOf, recvmmsg } from '../sys/libc.js';
import { type Control, ReceivedDatagrams } from './udp-message.js';

const MSG_DONTWAIT = 0x40;
const IPV4_LENGTH = 20;
const UDP_LENGTH = 8;
const HEAD_LENGTH = IPV4_LENGTH + UDP_LENGTH;
const PROTOCOL_UDP = 17;
/** Where the two heads lie, from the beginning of the slot. */
const HEAD = SLOT_HEADROOM - 64;
const LAST_HEAD = SLOT_HEADROOM - 32;

/** Most datagrams of a message: UDP_MAX_SEGMENTS of a sender on this machine; a network card's are 64 at most. */
const DATAGRAM_LIMIT = 128;

export class UdpReceiver {
  readonly #message: ReceivedDatagrams;
  readonly #words: Uint32Array;
  readonly #port: number;
  readonly #wantsLink: boolean;

  /** `port`: where all sockets are bound; `wantsLink`: tunnels ask which device a packet came in by. */
  constructor(memory: WebAssembly.Memory, port: number, wantsLink: boolean) {
    this.#message = new ReceivedDatagrams(addressOf(new Uint8Array(memory.buffer)));
    this.#words = new Uint32Array(memory.buffer);
    this.#port = port;
    this.#wantsLink = wantsLink;
  }

  /** Receives one message of `fd`. Returns how many datagrams it was, 0 when none is waiting. */
  receive(fd: number, ring: Ring): number {
    if (ring.reserve() < DATAGRAM_LIMIT) return 0;
    const first = ring.filled;
    const payload = ring.packetAddress(first);
    this.#message.aim(payload, SLOT_PACKET);
    if (recvmmsg(fd, this.#message.header, 1, MSG_DONTWAIT) <= 0) return 0;

    const { length } = this.#message;
    const control = this.#message.readControl();
    const size = control.segmentSize === 0 ? length : control.segmentSize;
    const count = length <= size ? 1 : Math.min(Math.ceil(length / size), DATAGRAM_LIMIT);
    const lastLength = length - (count - 1) * size;
    const link = this.#wantsLink ? control.link : 0;
    const slot = payload - SLOT_HEADROOM;
    if (count > 1) this.#writeHead(slot + HEAD, size, control);
    this.#writeHead(slot + LAST_HEAD, lastLength, control);
    for (let n = 0; n < count; n++) {
      const isLast = n === count - 1;
      const position = (first + n) >>> 0;
      const head = slot + (isLast ? LAST_HEAD : HEAD);
      ring.fillShared(position, first, head, HEAD_LENGTH, link);
      ring.setPayload(position, payload + n * size, isLast ? lastLength : size);
    }
    ring.publish(count);
    return count;
  }

  /** Writes the outer headers of a datagram with `length` bytes of payload. The kernel has verified its checksum. */
  #writeHead(address: number, length: number, { tos, ttl, destination }: Control): void {
    const { source, port } = this.#message;
    const first = 0x45 | (tos << 8) | (swap16(HEAD_LENGTH + length) << 16);
    const third = ttl | (PROTOCOL_UDP << 8);
    const sum = halves(first) + halves(third) + halves(source) + halves(destination);
    const word = address >>> 2;
    this.#words[word] = first;
    this.#words[word + 1] = 0;
    this.#words[word + 2] = third | ((~fold(sum) & 0xffff) << 16);
    this.#words[word + 3] = source;
    this.#words[word + 4] = destination;
    this.#words[word + 5] = swap16(port) | (swap16(this.#port) << 16);
    this.#words[word + 6] = swap16(UDP_LENGTH + length); // checksum 0: none
  }
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

/** Sum of the two 16-bit halves of a word. */
function halves(word: number): number {
  return (word & 0xffff) + (word >>> 16);
}

function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
