// Datagrams of a UDP socket -> slots of a decap ring.
//
//   1. recvmmsg   one message a call: a datagram, or several of one flow that the kernel merged (UDP_GRO)
//   2. writeHead  the outer headers that the socket took off, IP and UDP, twice: of all datagrams but the last, and of
//                 that
//   3. fill       a slot for each datagram, in two pieces: one of the two heads, and its payload where it is
//
// The datagrams of a message lie back to back in the slot of the first, so there is no room in front of each; the
// slots of the others lend their place in the ring only.
import { SLOT_HEADROOM, SLOT_PACKET } from '../../../asm/layout.js';
import type { Ring } from '../../ring/ring.js';
import { addressOf, recvmmsg } from '../../sys/libc.js';
import { MessageBatch } from '../batch.js';
import { UdpArrival } from './arrival.js';
import type { UdpOuter } from './outer.js';

const MSG_DONTWAIT = 0x40;
/** Where the two heads lie, from the beginning of the slot: each has half of the headroom. */
const HEAD = 0;
const LAST_HEAD = SLOT_HEADROOM / 2;
/** PKTINFO 40, TTL, TOS or flow information, and GRO 24 each; twice that, for what a kernel may add. */
const CONTROL_SIZE = 256;

/** Most datagrams of a message: UDP_MAX_SEGMENTS of a sender on this machine; a network card's are 64 at most. */
const DATAGRAM_LIMIT = 128;

export class UdpReceiver {
  readonly #outer: UdpOuter;
  readonly #message: MessageBatch;
  readonly #arrival: UdpArrival;
  readonly #words: Uint32Array;
  readonly #port: number;
  readonly #wantsLink: boolean;

  /** `port`: where all sockets are bound; `wantsLink`: tunnels ask which device a packet came in by. */
  constructor(memory: WebAssembly.Memory, outer: UdpOuter, port: number, wantsLink: boolean) {
    const base = addressOf(new Uint8Array(memory.buffer));
    this.#outer = outer;
    this.#message = new MessageBatch(1, base, {
      nameSize: outer.nameSize,
      controlSize: CONTROL_SIZE,
    });
    this.#arrival = new UdpArrival(outer);
    this.#words = new Uint32Array(memory.buffer);
    this.#port = port;
    this.#wantsLink = wantsLink;
  }

  /** Receives one message of `fd`. Returns how many datagrams it was, 0 when none is waiting. */
  receive(fd: number, ring: Ring): number {
    if (ring.reserve() < DATAGRAM_LIMIT) return 0;
    const first = ring.filled;
    const payload = ring.packetAddress(first);
    this.#message.setData(0, payload, SLOT_PACKET);
    this.#message.reset(0);
    if (recvmmsg(fd, this.#message.header(0), 1, MSG_DONTWAIT) <= 0) return 0;

    const length = this.#message.received(0);
    const arrival = this.#arrival;
    arrival.take(this.#message);
    const size = arrival.segmentSize === 0 ? length : arrival.segmentSize;
    const count = length <= size ? 1 : Math.min(Math.ceil(length / size), DATAGRAM_LIMIT);
    const lastLength = length - (count - 1) * size;
    const link = this.#wantsLink ? arrival.link : 0;
    const slot = payload - SLOT_HEADROOM;
    const { headLength } = this.#outer;
    if (count > 1) arrival.writeHead(this.#words, slot + HEAD, size, this.#port);
    arrival.writeHead(this.#words, slot + LAST_HEAD, lastLength, this.#port);
    for (let n = 0; n < count; n++) {
      const isLast = n === count - 1;
      const position = (first + n) >>> 0;
      const head = slot + (isLast ? LAST_HEAD : HEAD);
      ring.fillShared(position, first, head, headLength, link);
      ring.setPayload(position, payload + n * size, isLast ? lastLength : size);
    }
    ring.publish(count);
    return count;
  }
}
