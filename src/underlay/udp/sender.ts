// Packets of an encap ring -> datagrams through UDP sockets.
//
//   1. collect   each packet's socket: by its outer source address, its device and the port of its flow
//   2. group     what goes by one socket, in order; neighbours of one size become one message (UDP_SEGMENT)
//   3. sendmmsg  a message that is not taken gives its packets their reason, but for IPv6 that must pass: in fragments
//
// The codec has written IP and UDP header; the kernel writes its own in their place, from the same TOS, TTL, DF
// and addresses. A flow always takes the same socket, so it keeps its order and its source port.
import { SLOT_COUNT } from '../../../asm/layout.js';
import { REASON_NONE, REASON_TOO_BIG, REASON_TX_ENOBUFS } from '../../../asm/reason.js';
import { IPV6_MTU_MIN } from '../../packet/ipv6.js';
import { GRE_UDP_PORT } from '../../packet/udp.js';
import type { Ring } from '../../ring/ring.js';
import { addressOf, ERRNO } from '../../sys/libc.js';
import { sendInOrder, sendReason } from '../send.js';
import { SendRoom } from '../send-room.js';
import { DatagramBatch } from './datagrams.js';
import { UDP_LENGTH, type UdpOuter } from './outer.js';
import { type FlowSocket, FlowSockets } from './sockets.js';

/** Datagrams of one message at most (UDP_MAX_SEGMENTS of kernels before 6.9), and their bytes. */
const SEGMENT_LIMIT = 64;
const MESSAGE_LIMIT = 65507;

export interface UdpSenderOptions {
  /** Device names by index, for tunnels bound to one. */
  readonly links: ReadonlyMap<number, string>;
  /** Index of the device that the tunnel of a record is bound to, 0 = none. */
  readonly linkOf: (record: number) => number;
  /** Told once when the kernel cannot segment on the way out (EIO): datagrams go one by one from there on. */
  readonly onSegmentationRefused: () => void;
}

export class UdpSender {
  readonly #outer: UdpOuter;
  readonly #options: UdpSenderOptions;
  readonly #view: DataView;
  readonly #sockets: FlowSockets;
  readonly #batch: DatagramBatch;
  /** Packets of a message that did not go as one. */
  readonly #apart: DatagramBatch;
  readonly #room = new SendRoom();
  /** Of the collected packets: position, address of the outer header, socket (undefined once it is sent). */
  readonly #positions = new Uint32Array(SLOT_COUNT);
  readonly #outers = new Uint32Array(SLOT_COUNT);
  readonly #socketOf: (FlowSocket | undefined)[] = [];
  /** Positions in the order of the batch, and by message which of them is the first. */
  readonly #sent = new Uint32Array(SLOT_COUNT);
  readonly #firstOf = new Uint32Array(SLOT_COUNT + 1);
  #segments = true;

  constructor(memory: WebAssembly.Memory, outer: UdpOuter, options: UdpSenderOptions) {
    const base = addressOf(new Uint8Array(memory.buffer));
    this.#outer = outer;
    this.#options = options;
    this.#view = new DataView(memory.buffer);
    this.#sockets = new FlowSockets(outer, options.links);
    this.#batch = new DatagramBatch(SLOT_COUNT, base, outer, GRE_UDP_PORT);
    this.#apart = new DatagramBatch(SEGMENT_LIMIT, base, outer, GRE_UDP_PORT);
  }

  /** Sends the packets from position `from` to before `to` that have no reason yet; one not taken gets its reason. */
  send(ring: Ring, from: number, to: number): void {
    this.#room.begin();
    const count = this.#collect(ring, from, to);
    for (let first = 0; first < count; first++) {
      const socket = this.#socketOf[first];
      if (socket !== undefined) this.#sendBy(ring, socket, first, count);
    }
  }

  close(): void {
    this.#sockets.close();
  }

  #collect(ring: Ring, from: number, to: number): number {
    const portOffset = this.#outer.headLength - UDP_LENGTH;
    let count = 0;
    let socket: FlowSocket | number = 0;
    // What the packet before had, nearly always the same: its tunnel, which says where it comes from, and its port.
    let tunnel = 0;
    let port = 0;
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      if (ring.reason(position) !== REASON_NONE) continue;
      const outer = ring.processedAddress(position);
      const record = ring.tunnel(position);
      const flow = this.#view.getUint16(outer + portOffset);
      if (record !== tunnel || flow !== port) {
        socket = this.#sockets.of(this.#view, outer, this.#options.linkOf(record), flow);
        tunnel = record;
        port = flow;
      }
      if (typeof socket === 'number') {
        ring.setReason(position, sendReason(socket));
        continue;
      }
      this.#positions[count] = position;
      this.#outers[count] = outer;
      this.#socketOf[count++] = socket;
    }
    return count;
  }

  /** Sends those of the collected packets from `first` on that go by `socket`. */
  #sendBy(ring: Ring, socket: FlowSocket, first: number, count: number): void {
    const view = this.#view;
    const batch = this.#batch;
    const { headLength } = this.#outer;
    let packets = 0;
    // Of the message at hand: its first outer header, the size of all datagrams but the last, and how full it is.
    let head = 0;
    let size = 0;
    let room = 0;
    let segments = 0;
    batch.clear();
    for (let index = first; index < count; index++) {
      if (this.#socketOf[index] !== socket) continue;
      this.#socketOf[index] = undefined;
      const position = this.#positions[index] as number;
      const outer = this.#outers[index] as number;
      const headers = ring.length(position) - headLength;
      const payload = ring.payloadLength(position);
      const length = headers + payload;
      const dontFragment = this.#outer.dontFragment(view, outer);
      if (dontFragment !== socket.dontFragment) {
        this.#flush(ring, socket, packets);
        socket.setDontFragment(dontFragment);
        batch.clear();
        packets = 0;
        room = 0;
      }
      if (room >= length && length <= size && this.#outer.isLike(view, outer, head)) {
        if (++segments === 2) batch.segment(size);
        room = length < size || segments === SEGMENT_LIMIT ? 0 : room - length;
      } else {
        head = outer;
        size = length;
        room = this.#segments ? MESSAGE_LIMIT - length : 0;
        segments = 1;
        this.#firstOf[batch.count] = packets;
        batch.begin(view, outer);
      }
      batch.add(outer + headLength, headers);
      if (payload > 0) batch.add(ring.processedPayload(position), payload);
      this.#sent[packets++] = position;
    }
    this.#flush(ring, socket, packets);
  }

  /** Sends the messages of the batch, `packets` packets in all, in order. */
  #flush(ring: Ring, socket: FlowSocket, packets: number): void {
    const { count } = this.#batch;
    this.#firstOf[count] = packets;
    sendInOrder({
      fd: socket.fd,
      messages: this.#batch,
      count,
      room: this.#room,
      onFailed: (index, reason, error) => {
        const start = this.#firstOf[index] as number;
        const end = this.#firstOf[index + 1] as number;
        if (reason !== REASON_TX_ENOBUFS && (end - start > 1 || this.#mustPass(ring, start))) {
          if (error === ERRNO.EIO) this.#stopSegmenting();
          this.#sendApart(ring, socket, start, end);
          return;
        }
        for (let n = start; n < end; n++) ring.setReason(this.#sent[n] as number, reason);
      },
    });
  }

  /** The device that the route leads to fills in no checksums, and this kernel does not in its place. */
  #stopSegmenting(): void {
    if (!this.#segments) return;
    this.#segments = false;
    this.#options.onSegmentationRefused();
  }

  /**
   * Whether the packet that is `n`th of those sent is IPv6 that every link has to take, over IPv6: in fragments, if not
   * whole (RFC 2473, 7.1). Over IPv4 it has no DF.
   */
  #mustPass(ring: Ring, n: number): boolean {
    const position = this.#sent[n] as number;
    const inner = ring.innerLength(position);
    if (this.#outer.version === 4 || inner > IPV6_MTU_MIN) return false;
    const end = ring.length(position) + ring.payloadLength(position);
    return this.#view.getUint8(ring.processedAddress(position) + end - inner) >>> 4 === 6;
  }

  /** Sends the packets of a message one by one: each has a verdict of its own. */
  #sendApart(ring: Ring, socket: FlowSocket, start: number, end: number): void {
    const batch = this.#apart;
    const { headLength } = this.#outer;
    for (let n = start; n < end; n++) {
      const position = this.#sent[n] as number;
      const outer = ring.processedAddress(position);
      const payload = ring.payloadLength(position);
      batch.clear();
      batch.begin(this.#view, outer);
      batch.add(outer + headLength, ring.length(position) - headLength);
      if (payload > 0) batch.add(ring.processedPayload(position), payload);
      let reason = this.#sendOne(socket);
      if (reason === REASON_TOO_BIG && this.#mustPass(ring, n)) {
        socket.setMayFragment(true);
        reason = this.#sendOne(socket);
        socket.setMayFragment(false);
      }
      if (reason !== REASON_NONE) ring.setReason(position, reason);
    }
  }

  /** Sends the one message that is in the batch of packets apart. Returns its reason. */
  #sendOne(socket: FlowSocket): number {
    let refused: number = REASON_NONE;
    sendInOrder({
      fd: socket.fd,
      messages: this.#apart,
      count: 1,
      room: this.#room,
      onFailed: (_, reason) => {
        refused = reason;
      },
    });
    return refused;
  }
}
