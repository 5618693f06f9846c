// The underlay over raw sockets: recvmmsg and sendmmsg straight from and to the slots.
//
//   receive   one socket per tunnel protocol; the kernel has reassembled fragments and checked the header
//   send      one socket with the header included; the kernel routes by the outer destination, and fills
//             the identification where it is 0
//
// As long as a raw socket for a protocol is open, the kernel answers no "protocol unreachable" for it; from Linux 6.10
// on it does, within its rate limit, for packets that find the receive buffer full.
import { SLOT_COUNT, SLOT_PACKET } from '../../asm/layout.js';
import { REASON_NONE } from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import { addressOf, close, recvmmsg } from '../sys/libc.js';
import {
  AF_INET,
  bindToDevice,
  openSocket,
  SOCK_NONBLOCK,
  SOCK_RAW,
  setBuffers,
  setOption,
} from '../sys/socket.js';
import { MessageBatch } from './batch.js';
import type { KernelDrops, Underlay } from './contract.js';
import { filterFlows } from './flow-filter.js';
import { sumReceiveDrops } from './kernel-drops.js';
import { sendInOrder } from './send.js';
import { SendRoom } from './send-room.js';

const SOCK_FLAGS = SOCK_RAW | SOCK_NONBLOCK;
const IPPROTO_IP = 0;
const IPPROTO_RAW = 255; // implies IP_HDRINCL
const IP_PKTINFO = 8;
const MSG_DONTWAIT = 0x40;

/** Socket buffers: a burst of several thousand full packets, while the lane is busy with the other way. */
const BUFFER_SIZE = 8 << 20;
const IPV4_DESTINATION = 16;
const MASK = SLOT_COUNT - 1;

export interface RawUnderlayOptions {
  /** IP protocols to receive: 47, 4, 41. */
  readonly protocols: readonly number[];
  /** Device names by index, for tunnels bound to one. */
  readonly links: ReadonlyMap<number, string>;
  /** Index of the device that the tunnel of a record is bound to, 0 = none. */
  readonly linkOf: (record: number) => number;
  /** Number of the lane that receives, of `laneCount`: each flow goes to one. */
  readonly lane: number;
  readonly laneCount: number;
}

export class RawUnderlay implements Underlay {
  readonly name = 'raw';
  readonly fds: readonly number[];
  readonly #receiveBatch: MessageBatch;
  readonly #sendBatch: MessageBatch;
  readonly #sendPositions = new Uint32Array(SLOT_COUNT);
  readonly #view: DataView;
  readonly #base: number;
  readonly #sendSocket: number;
  readonly #boundSockets = new Map<number, number>();
  readonly #options: RawUnderlayOptions;
  readonly #room = new SendRoom();
  #receiveRing: Ring | undefined;
  #nextSocket = 0;

  /** Opens the sockets. Throws a Failure when a right is missing. */
  constructor(memory: WebAssembly.Memory, options: RawUnderlayOptions) {
    this.#options = options;
    this.#view = new DataView(memory.buffer);
    this.#base = addressOf(new Uint8Array(memory.buffer));
    this.#receiveBatch = new MessageBatch(SLOT_COUNT, this.#base);
    this.#sendBatch = new MessageBatch(SLOT_COUNT, this.#base);
    this.#sendBatch.useDestinations(SLOT_COUNT);

    const opened: number[] = [];
    const openRaw = (protocol: number): number => {
      const fd = openSocket(
        AF_INET,
        SOCK_FLAGS,
        protocol,
        `raw socket for IP protocol ${protocol}`,
      );
      opened.push(fd);
      setBuffers(fd, BUFFER_SIZE);
      return fd;
    };
    try {
      this.#sendSocket = openRaw(IPPROTO_RAW);
      for (const [index, name] of options.links) {
        const fd = openRaw(IPPROTO_RAW);
        bindToDevice(fd, name);
        this.#boundSockets.set(index, fd);
      }
      this.fds = options.protocols.map(openRaw);
      const { lane, laneCount } = options;
      if (laneCount > 1) for (const fd of this.fds) filterFlows(fd, lane, laneCount);
      if (options.links.size > 0)
        for (const fd of this.fds) setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
    } catch (error) {
      for (const fd of opened) close(fd);
      throw error;
    }
  }

  receive(ring: Ring, max: number): number {
    if (this.#receiveRing !== ring) this.#aimAt(ring);
    // Begins with another socket each time, so that a flood of one protocol leaves room for the others.
    const first = this.#nextSocket++;
    let total = 0;
    for (let n = 0; n < this.fds.length && total < max; n++) {
      const fd = this.fds[(first + n) % this.fds.length] as number;
      total += this.#receiveFrom(fd, ring, max - total);
      // A batch that ended with the last slot goes on at the first.
      if (total > 0 && (ring.filled & MASK) === 0 && total < max) {
        total += this.#receiveFrom(fd, ring, max - total);
      }
    }
    return total;
  }

  send(ring: Ring, from: number, to: number): void {
    this.#room.begin();
    let position = from;
    while (position !== to) {
      const link = this.#linkAt(ring, position);
      let count = 0;
      for (
        ;
        position !== to && this.#linkAt(ring, position) === link;
        position = (position + 1) >>> 0
      ) {
        if (ring.reason(position) !== REASON_NONE) continue;
        const address = ring.processedAddress(position);
        this.#sendBatch.setData(count, address, ring.length(position));
        const payload = ring.payloadLength(position);
        if (payload > 0) {
          this.#sendBatch.setPayload(count, ring.processedPayload(position), payload);
        }
        this.#sendBatch.setDestination(count, this.#wireWord(address + IPV4_DESTINATION));
        this.#sendPositions[count++] = position;
      }
      if (count > 0) this.#flush(ring, this.#boundSockets.get(link) ?? this.#sendSocket, count);
    }
  }

  kernelDrops(): KernelDrops {
    const rawSocket = sumReceiveDrops(this.fds);
    return rawSocket === undefined ? {} : { rawSocket };
  }

  close(): void {
    for (const fd of [...this.fds, this.#sendSocket, ...this.#boundSockets.values()]) close(fd);
  }

  /** Lets message n of the receive batch name slot n, once and for all. */
  #aimAt(ring: Ring): void {
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      this.#receiveBatch.setData(slot, ring.packetAddress(slot), SLOT_PACKET);
    }
    this.#receiveRing = ring;
  }

  #receiveFrom(fd: number, ring: Ring, max: number): number {
    const position = ring.filled;
    const slot = position & MASK;
    // One call fills slots that lie side by side: up to the end of the ring.
    const room = Math.min(max, ring.reserve(), SLOT_COUNT - slot);
    if (room === 0) return 0;
    const wantsLink = this.#options.links.size > 0;
    if (wantsLink) this.#receiveBatch.resetControls(slot, room);
    const count = recvmmsg(fd, this.#receiveBatch.header(slot), room, MSG_DONTWAIT);
    if (count <= 0) return 0;
    for (let n = 0; n < count; n++) {
      const link = wantsLink ? this.#receiveBatch.receivedLink(slot + n) : 0;
      ring.fill((position + n) >>> 0, this.#receiveBatch.received(slot + n), 0, link);
    }
    ring.publish(count);
    return count;
  }

  #linkAt(ring: Ring, position: number): number {
    return this.#boundSockets.size === 0 ? 0 : this.#options.linkOf(ring.tunnel(position));
  }

  /** Sends the first `count` messages of the send batch in order; gives each that fails its reason. */
  #flush(ring: Ring, fd: number, count: number): void {
    const onFailed = (index: number, reason: number): void => {
      ring.setReason(this.#sendPositions[index] as number, reason);
    };
    sendInOrder({ fd, messages: this.#sendBatch, count, room: this.#room, onFailed });
  }

  /** Four bytes at `address`, as one host-order word. Inner packets lie anywhere, so outer ones do. */
  #wireWord(address: number): number {
    return this.#view.getUint32(address, true);
  }
}
