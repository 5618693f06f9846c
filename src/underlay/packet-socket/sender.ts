// Packets of an encap ring -> Ethernet frames through packet sockets of one device.
//
//   1. group     neighbours that leave by the same socket: superpackets by the length of their outer header
//   2. head      struct virtio_net_hdr, which tells the kernel how to segment, and the Ethernet header
//   3. sendmmsg  in order; a frame that is not taken gets its reason
//
// A superpacket leaves whole: the program of segmentation-program.ts makes it one that the kernel can segment.
import {
  ADJACENCY_HEADER,
  ADJACENCY_MTU,
  DEVICE_CHECKSUM_OFFSET,
  DEVICE_CHECKSUM_START,
  DEVICE_GSO_SIZE,
  DEVICE_GSO_TYPE,
  DEVICE_HEADER_LENGTH,
  DEVICE_HEADER_SIZE,
  SLOT_COUNT,
} from '../../../asm/layout.js';
import {
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TX_ERROR,
} from '../../../asm/reason.js';
import type { Ring } from '../../ring/ring.js';
import { addressOf, close, ERRNO } from '../../sys/libc.js';
import { openSocket, SOCK_NONBLOCK, SOCK_RAW, setBuffers, setOption } from '../../sys/socket.js';
import { sendInOrder, sendReason } from '../send.js';
import { SendRoom } from '../send-room.js';
import { PacketBatch } from './batch.js';
import { segmentationMark } from './segmentation-program.js';

const AF_PACKET = 17;
const SOL_SOCKET = 1;
const SO_MARK = 36;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const ETHERNET_LENGTH = 14;
const ETHERTYPE = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** What is in flight is charged with all the memory that the kernel has for it. */
const BUFFER_SIZE = 8 << 20;

export interface PacketSenderOptions {
  readonly memory: WebAssembly.Memory;
  /** Index and name of the device. */
  readonly link: number;
  readonly device: string;
  /** Length of the outer header by record, for those whose superpackets may be sent: see `change`. */
  readonly outerLengths: ReadonlyMap<number, number>;
  /** Address of the adjacency of a record's next hop, 0 = not known. */
  readonly adjacency: (record: number) => number;
  /** Told when the kernel could not segment a superpacket, which is lost. */
  readonly onRefused: () => void;
}

export class PacketSender {
  readonly #options: PacketSenderOptions;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #batch: PacketBatch;
  readonly #positions = new Uint32Array(SLOT_COUNT);
  readonly #room = new SendRoom();
  /** By mark, 0 for packets that are none of a superpacket. */
  readonly #sockets = new Map<number, number>();
  #outerLengths: ReadonlyMap<number, number>;

  /** Opens the sockets. Throws a Failure when a right is missing. */
  constructor(options: PacketSenderOptions) {
    const { memory, link, outerLengths } = options;
    this.#options = options;
    this.#outerLengths = outerLengths;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#batch = new PacketBatch(SLOT_COUNT, addressOf(this.#bytes), link);
    try {
      this.#open(0);
      this.change(outerLengths);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Sends superpackets of other records from here on. Throws a Failure when a socket cannot be had. */
  change(outerLengths: ReadonlyMap<number, number>): void {
    for (const mark of new Set([...outerLengths.values()].map(segmentationMark))) {
      if (mark !== 0 && !this.#sockets.has(mark)) this.#open(mark);
    }
    this.#outerLengths = outerLengths;
  }

  /** Sends the packets from position `from` to before `to` that have no reason yet; one not taken gets its reason. */
  send(ring: Ring, from: number, to: number): void {
    this.#room.begin();
    let count = 0;
    let mark = 0;
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      if (ring.reason(position) !== REASON_NONE) continue;
      const record = ring.tunnel(position);
      const adjacency = this.#options.adjacency(record);
      if (adjacency === 0) {
        ring.setReason(position, REASON_NO_ROUTE);
        continue;
      }
      const outerLength = this.#outerLengths.get(record) ?? 0;
      if (this.#isTooBig(ring, position, adjacency, outerLength)) {
        ring.setReason(position, REASON_TOO_BIG);
        continue;
      }
      const needed = ring.packets(position) > 1 ? segmentationMark(outerLength) : 0;
      if (needed !== mark && count > 0) {
        this.#flush(ring, mark, count);
        count = 0;
      }
      mark = needed;
      this.#set(ring, position, count, adjacency, outerLength);
      this.#positions[count++] = position;
    }
    if (count > 0) this.#flush(ring, mark, count);
  }

  close(): void {
    for (const fd of this.#sockets.values()) close(fd);
    this.#sockets.clear();
  }

  #open(mark: number): void {
    const what = `packet socket on ${this.#options.device}`;
    const fd = openSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0, what);
    setOption(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
    setBuffers(fd, BUFFER_SIZE);
    if (mark !== 0) setOption(fd, SOL_SOCKET, SO_MARK, mark);
    this.#sockets.set(mark, fd);
  }

  /** Whether the segments of a superpacket would be longer than the way takes, which nobody tells further on. */
  #isTooBig(ring: Ring, position: number, adjacency: number, outerLength: number): boolean {
    if (ring.packets(position) === 1) return false;
    const header = ring.deviceHeader(position);
    const headers = this.#view.getUint16(header + DEVICE_HEADER_LENGTH, true);
    const size = this.#view.getUint16(header + DEVICE_GSO_SIZE, true);
    return outerLength + headers + size > this.#view.getUint32(adjacency + ADJACENCY_MTU, true);
  }

  /** Makes message `index` of the packet at `position`. */
  #set(ring: Ring, position: number, index: number, adjacency: number, outerLength: number): void {
    const address = ring.processedAddress(position);
    const head = this.#batch.head(index);
    this.#copyEthernet(head, adjacency);
    let protocol = head.getUint16(DEVICE_HEADER_SIZE + ETHERTYPE);
    const isSuper = ring.packets(position) > 1;
    if (isSuper) {
      // What gso_type speaks of: the packet inside.
      this.#describe(head, ring.deviceHeader(position), ETHERNET_LENGTH + outerLength);
      const version = (this.#bytes[address + outerLength] as number) >>> 4;
      protocol = version === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
    } else {
      for (let at = 0; at < DEVICE_HEADER_SIZE; at += 2) head.setUint16(at, 0);
    }
    this.#batch.setPacket(index, address, ring.length(position), protocol);
    const payload = ring.payloadLength(position);
    if (payload > 0) this.#batch.setPayload(index, ring.processedPayload(position), payload);
  }

  #copyEthernet(head: DataView, adjacency: number): void {
    for (let at = 0; at < ETHERNET_LENGTH; at += 2) {
      const pair = this.#view.getUint16(adjacency + ADJACENCY_HEADER + at);
      head.setUint16(DEVICE_HEADER_SIZE + at, pair);
    }
  }

  /** Writes the device header that is at `from`, as it is for a packet with `outer` bytes more in front. */
  #describe(head: DataView, from: number, outer: number): void {
    const field = (offset: number): number => this.#view.getUint16(from + offset, true);
    head.setUint8(0, this.#view.getUint8(from));
    head.setUint8(DEVICE_GSO_TYPE, this.#view.getUint8(from + DEVICE_GSO_TYPE));
    head.setUint16(DEVICE_HEADER_LENGTH, field(DEVICE_HEADER_LENGTH) + outer, true);
    head.setUint16(DEVICE_GSO_SIZE, field(DEVICE_GSO_SIZE), true);
    head.setUint16(DEVICE_CHECKSUM_START, field(DEVICE_CHECKSUM_START) + outer, true);
    head.setUint16(DEVICE_CHECKSUM_OFFSET, field(DEVICE_CHECKSUM_OFFSET), true);
  }

  /** Sends the first `count` messages in order; gives each that fails its reason. */
  #flush(ring: Ring, mark: number, count: number): void {
    const fd = this.#sockets.get(mark) ?? -1; // EBADF, which is no socket's: tx-error
    const judge = (error: number): number => {
      // ENOMEM: the kernel found no way to segment; EINVAL: it does not take such a superpacket at all.
      const isRefused = error === ERRNO.ENOMEM || error === ERRNO.EINVAL;
      if (mark === 0 || !isRefused) return sendReason(error);
      this.#options.onRefused();
      return REASON_TX_ERROR;
    };
    const onFailed = (index: number, reason: number): void => {
      ring.setReason(this.#positions[index] as number, reason);
    };
    sendInOrder({ fd, messages: this.#batch, count, room: this.#room, judge, onFailed });
  }
}
