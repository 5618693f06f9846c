// What becomes of packets that do not go on. They are dropped and counted as such in any case; before their slots are
// free they are shown here, to those who have something to say about them:
//
//   showEncap, showDecap   every packet of a batch that has a reason
//   inject                 a packet of the router's own to a device, at once
//   emit                   one into a tunnel: it waits in a queue for generatedBatch, which `fill` gives it to
//   sendBack               one to the peer, without a tunnel around it: the same by `fillBack`
//
// All of it is off the fast path: nothing here runs for a batch of which everything went on.
import { DEVICE_HEADER_LENGTH, DEVICE_HEADER_SIZE, SLOT_PACKET } from '../../asm/layout.js';
import { REASON_LOCAL, REASON_NONE } from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import { gather } from '../underlay/slot-copy.js';
import type { Lane } from './lane.js';

/** Packets that wait to go out; one more is refused. */
const QUEUE_LENGTH = 256;

/** A packet that does not go on. */
export interface Dropped {
  /** The tunnel's record, 0 where there is none. */
  readonly record: number;
  /** REASON_*. */
  readonly reason: number;
  /** With REASON_LOCAL: what ended here, LOCAL_*; otherwise 0. */
  readonly local: number;
  /** Packets on the wire that it stands for: more than 1 of a superpacket that a kernel was to split. */
  readonly packets: number;
  /**
   * Encap: the inner packet or frame. Decap: the outer packet as it came in, or, where only the device refused
   * it, what was to be written; of what ended here what counts of it. A copy.
   */
  readonly bytes: Uint8Array;
}

/** Told of packets that do not go on. Throws nothing, whatever is in them. */
export interface Responder {
  /**
   * A packet of the device of its tunnel did not get out. Returns true when it goes out in another form, which
   * `emitInstead` was given: then it was not dropped.
   */
  onEncapDrop?(packet: Dropped): boolean | undefined;
  /** A packet of the underlay did not get in. */
  onDecapDrop?(packet: Dropped): void;
  /** Whether packets with this reason are of interest: others are not even copied. */
  wants(reason: number): boolean;
}

interface Waiting {
  readonly record: number;
  readonly packet: Uint8Array;
  /** The router's own, not a part of what a device handed over. */
  readonly isOwn: boolean;
}

export class Aside {
  /** Asked in this order. */
  readonly responders: Responder[] = [];
  readonly #lane: Lane;
  readonly #bytes: Uint8Array;
  readonly #waiting: Waiting[] = [];
  readonly #back: Waiting[] = [];

  constructor(lane: Lane, memory: WebAssembly.Memory) {
    this.#lane = lane;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** Whether packets wait to go out. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0 || this.#back.length > 0;
  }

  /** Gives `packet` to the device of the tunnel of `record`. Returns false when there is none, or it is full. */
  inject(record: number, packet: Uint8Array): boolean {
    return this.#lane.deviceOf(record)?.inject(packet) ?? false;
  }

  /**
   * Sends `packet`, an inner packet or frame, into the tunnel of `record` with the next turn of the lane. Returns false
   * when too many wait already. The bytes are the queue's from here on.
   */
  emit(record: number, packet: Uint8Array): boolean {
    return enqueue(this.#waiting, { record, packet, isOwn: true });
  }

  /**
   * Sends `packet`, a whole IP packet to the peer of the tunnel of `record`, as it is, and counts it as one that the
   * tunnel sent. The rest as `emit`.
   */
  sendBack(record: number, packet: Uint8Array): boolean {
    return enqueue(this.#back, { record, packet, isOwn: true });
  }

  /** Fills and publishes free slots of the encap ring with what waits, at most `max`, and counts it. Returns how many. */
  fill(ring: Ring, max: number): number {
    return this.#fillFrom(this.#waiting, ring, max);
  }

  /** The same with what waits to go as it is: no codec is to see it. */
  fillBack(ring: Ring, max: number): number {
    return this.#fillFrom(this.#back, ring, max);
  }

  #fillFrom(queue: Waiting[], ring: Ring, max: number): number {
    if (queue.length === 0) return 0;
    const taken = queue.splice(0, Math.min(max, ring.reserve()));
    for (const [index, { record, packet }] of taken.entries()) {
      const position = (ring.filled + index) >>> 0;
      const header = ring.deviceHeader(position);
      this.#bytes.fill(0, header, header + DEVICE_HEADER_SIZE); // nothing left to do
      this.#bytes.set(packet, ring.packetAddress(position));
      ring.fill(position, packet.length, record, 0);
    }
    ring.publish(taken.length);
    const own = taken.filter(({ isOwn }) => isOwn).length;
    this.#lane.countGenerated(own);
    this.#lane.countReceived(taken.length - own);
    return taken.length;
  }

  /**
   * Sends `packets` in the place of one that came from the device of the tunnel of `record`: they count as received in
   * its stead. Returns false, and sends none, when not all have room in the queue.
   */
  emitInstead(record: number, packets: readonly Uint8Array[]): boolean {
    if (this.#waiting.length + packets.length > QUEUE_LENGTH) return false;
    for (const packet of packets) this.#waiting.push({ record, packet, isOwn: false });
    return true;
  }

  /** Shows the packets of the encap ring from `from` on that have a reason. */
  showEncap(ring: Ring, from: number): void {
    for (const responder of this.responders) {
      if (!responder.onEncapDrop) continue;
      for (const { position, reason } of this.#dropped(ring, from, responder)) {
        const packets = ring.packets(position);
        const bytes = packets === 0 ? undefined : this.#inner(ring, position);
        if (bytes === undefined) continue;
        const dropped = { record: ring.tunnel(position), reason, local: 0, packets, bytes };
        if (!responder.onEncapDrop(dropped)) continue;
        ring.setPackets(position, 0); // counts as nothing: what goes out in its place does
        this.#lane.countReceived(-packets);
      }
    }
  }

  /** Shows the packets of the decap ring from `from` on that have a reason. */
  showDecap(ring: Ring, from: number): void {
    for (const responder of this.responders) {
      if (!responder.onDecapDrop) continue;
      for (const { position, reason } of this.#dropped(ring, from, responder)) {
        const bytes = this.#packet(ring, position);
        if (bytes === undefined) continue;
        const packets = ring.packets(position);
        const local = reason === REASON_LOCAL ? ring.local(position) : 0;
        responder.onDecapDrop({ record: ring.tunnel(position), reason, local, packets, bytes });
      }
    }
  }

  *#dropped(
    ring: Ring,
    from: number,
    responder: Responder,
  ): Generator<{ position: number; reason: number }> {
    const to = ring.processed;
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      const reason = ring.reason(position);
      if (reason !== REASON_NONE && responder.wants(reason)) yield { position, reason };
    }
  }

  /** The packet at `position`; undefined where a codec left no possible one. */
  #packet(ring: Ring, position: number): Uint8Array | undefined {
    if (ring.processedAddress(position) < 0) return undefined;
    if (ring.payloadLength(position) > 0 && ring.processedPayload(position) < 0) return undefined;
    return gather(this.#bytes, ring, position);
  }

  /** The same without the outer headers, where it got them before it got its reason. */
  #inner(ring: Ring, position: number): Uint8Array | undefined {
    const packet = this.#packet(ring, position);
    if (packet === undefined) return undefined;
    // The headers of a superpacket count once a segment.
    const header = ring.deviceHeader(position) + DEVICE_HEADER_LENGTH;
    const headers = (this.#bytes[header] ?? 0) | ((this.#bytes[header + 1] ?? 0) << 8);
    const own = ring.innerLength(position) - (ring.packets(position) - 1) * headers;
    return own > packet.length ? undefined : packet.subarray(packet.length - own);
  }
}

function enqueue(queue: Waiting[], waiting: Waiting): boolean {
  if (queue.length >= QUEUE_LENGTH || waiting.packet.length > SLOT_PACKET) return false;
  queue.push(waiting);
  return true;
}
