// Packets of an encap ring -> raw sockets of one family, the outer header included.
//
// The kernel routes by the destination that a message names, taken from the header. Over IPv4 it fills in what is 0:
// identification, source, checksum; over IPv6 nothing.
import { SLOT_COUNT } from '../../../asm/layout.js';
import { REASON_NONE, REASON_TOO_BIG } from '../../../asm/reason.js';
import type { Ring } from '../../ring/ring.js';
import { close } from '../../sys/libc.js';
import {
  AF_INET,
  AF_INET6,
  bindToDevice,
  SOCKADDR_IN_ADDRESS,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_ADDRESS,
  SOCKADDR_IN6_SIZE,
  setOption,
} from '../../sys/socket.js';
import { MessageBatch } from '../batch.js';
import { IPPROTO_IP, IPPROTO_IPV6 } from '../control-messages.js';
import { sendInOrder } from '../send.js';
import type { SendRoom } from '../send-room.js';
import type { FragmentSender } from './fragment-sender.js';
import { openRaw } from './receiver.js';

const IPPROTO_RAW = 255; // the header is included
const IP_MULTICAST_LOOP = 34;
const IPV6_MULTICAST_LOOP = 19;

/** Of the outer header; addresses of its family as 32-bit words. */
const SHAPES = {
  4: {
    ...{ family: AF_INET, level: IPPROTO_IP, loop: IP_MULTICAST_LOOP },
    ...{ nameSize: SOCKADDR_IN_SIZE, nameAddress: SOCKADDR_IN_ADDRESS },
    ...{ destination: 16, addressSize: 4 },
  },
  6: {
    ...{ family: AF_INET6, level: IPPROTO_IPV6, loop: IPV6_MULTICAST_LOOP },
    ...{ nameSize: SOCKADDR_IN6_SIZE, nameAddress: SOCKADDR_IN6_ADDRESS },
    ...{ destination: 24, addressSize: 16 },
  },
} as const;

export class RawSender {
  readonly version: 4 | 6;
  /** Packets added and not sent yet. */
  count = 0;
  readonly #shape: (typeof SHAPES)[4 | 6];
  readonly #view: DataView;
  readonly #batch: MessageBatch;
  readonly #positions = new Uint32Array(SLOT_COUNT);
  readonly #room: SendRoom;
  readonly #fragments: FragmentSender;
  #links: ReadonlyMap<number, string> = new Map();
  readonly #socket: number;
  /** By device. */
  readonly #bound = new Map<number, number>();

  /**
   * Opens the sockets: one for any device, and one for each of `links`, names by index. Throws a Failure when a right
   * is missing. `base`: native address of the dataplane's memory.
   */
  constructor(
    version: 4 | 6,
    memory: WebAssembly.Memory,
    base: number,
    links: ReadonlyMap<number, string>,
    room: SendRoom,
    fragments: FragmentSender,
  ) {
    this.version = version;
    this.#fragments = fragments;
    const shape = SHAPES[version];
    this.#shape = shape;
    this.#view = new DataView(memory.buffer);
    this.#batch = new MessageBatch(SLOT_COUNT, base, { nameSize: shape.nameSize });
    this.#room = room;
    for (let index = 0; index < SLOT_COUNT; index++) {
      // The rest of it stays 0. A link-local destination counts on the device that the socket is bound to.
      this.#batch.names.setUint16(index * this.#batch.nameStride, shape.family, true);
    }
    this.#socket = this.#open();
    try {
      this.bind(links);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Has a socket for each of `links` from here on, and none for any other device. Throws a Failure as when opened. */
  bind(links: ReadonlyMap<number, string>): void {
    this.#links = links;
    for (const [index, name] of links) {
      if (this.#bound.has(index)) continue;
      const fd = this.#open();
      bindToDevice(fd, name); // closes it where that fails
      this.#bound.set(index, fd);
    }
    for (const [index, fd] of this.#bound) {
      if (links.has(index)) continue;
      close(fd);
      this.#bound.delete(index);
    }
  }

  #open(): number {
    const { family, level, loop } = this.#shape;
    const fd = openRaw(family, IPPROTO_RAW);
    setOption(fd, level, loop, 0); // what goes to a group is for others
    return fd;
  }

  /** Adds the packet at `position`, which begins at `address`, to those that `flush` sends. */
  add(ring: Ring, position: number, address: number): void {
    const index = this.count++;
    const batch = this.#batch;
    const view = this.#view;
    const { nameAddress, destination, addressSize } = this.#shape;
    batch.setData(index, address, ring.length(position));
    const payload = ring.payloadLength(position);
    if (payload > 0) batch.setPayload(index, ring.processedPayload(position), payload);
    const name = index * batch.nameStride + nameAddress;
    for (let at = 0; at < addressSize; at += 4) {
      // As it lies in the packet; inner packets lie anywhere, so outer ones do.
      batch.names.setUint32(name + at, view.getUint32(address + destination + at, true), true);
    }
    this.#positions[index] = position;
  }

  /** Sends the packets added, in order, out of device `link`, 0 = any; gives each that fails its reason. */
  flush(ring: Ring, link: number): void {
    const { count } = this;
    this.count = 0;
    if (count === 0) return;
    const fd = this.#bound.get(link) ?? this.#socket;
    const onFailed = (index: number, reason: number): void => {
      const position = this.#positions[index] as number;
      if (reason === REASON_TOO_BIG) this.sendFragments(ring, position, link);
      else ring.setReason(position, reason);
    };
    sendInOrder({ fd, messages: this.#batch, count, room: this.#room, onFailed });
  }

  /** Sends the packet at `position` in fragments, where it may be; otherwise it gets its reason. */
  sendFragments(ring: Ring, position: number, link: number): void {
    const fd = this.#bound.get(link) ?? this.#socket;
    const reason = this.#fragments.send(fd, this.#links.get(link), ring, position);
    if (reason !== REASON_NONE) ring.setReason(position, reason);
  }

  close(): void {
    for (const fd of [this.#socket, ...this.#bound.values()]) close(fd);
  }
}
