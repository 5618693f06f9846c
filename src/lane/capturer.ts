// What a lane copies of its packets while somebody captures them, whole.
//
//   1. filled   where the packets of the batch lie, before the codec moves their addresses
//   2. taken    behind the codec: those that are wanted are copied
//   3. done     behind the draining end: with what became of them they are shown to the reader
import {
  DEVICE_HEADER_LENGTH,
  DIRECTION_DECAP,
  DIRECTION_ENCAP,
  SLOT_COUNT,
} from '../../asm/layout.js';
import { REASON_EARLY, REASON_NONE } from '../../asm/reason.js';
import { CaptureWriter, type Pieces } from '../ring/capture-ring.js';
import type { Ring } from '../ring/ring.js';
import { BatchClock } from './batch-clock.js';

const MASK = SLOT_COUNT - 1;
const NOWHERE: Pieces = { address: 0, length: 0, payload: 0, payloadLength: 0 };

/** The capturer of one lane. A batch that nobody captures costs it one look at a word. */
export class Capturer {
  readonly #writer: CaptureWriter;
  readonly #bytes: Uint8Array;
  /** By slot: where its packet lay, and its place in the ring of the reader. */
  readonly #noted: Pieces[] = new Array(SLOT_COUNT).fill(NOWHERE);
  readonly #places = new Int32Array(SLOT_COUNT);
  #isOn = false;
  readonly #clock = new BatchClock();

  constructor(memory: WebAssembly.Memory, address: number) {
    this.#writer = new CaptureWriter(memory, address);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** The packets of `ring` from `from` on were just filled in. */
  filled(ring: Ring, from: number): void {
    this.#isOn = this.#writer.snap > 0;
    if (!this.#isOn) return;
    this.#clock.start();
    for (let position = from; position !== ring.filled; position = (position + 1) >>> 0) {
      this.#noted[position & MASK] = piecesOf(ring, position);
    }
  }

  /** The codec is through with them, and nothing else has touched them. */
  taken(ring: Ring, from: number, direction: number): void {
    if (!this.#isOn) return;
    const writer = this.#writer;
    const { snap } = writer;
    const timeMs = this.#clock.startedMs;
    const codecNs = this.#clock.elapsedNs();
    for (let position = from; position !== ring.processed; position = (position + 1) >>> 0) {
      const slot = position & MASK;
      const record = ring.tunnel(position);
      this.#places[slot] = -1;
      if (ring.reason(position) === REASON_EARLY || !writer.wants(record)) continue;
      const packets = ring.packets(position);
      const whole = this.#whole(ring, position, direction);
      const inner = this.#inner(ring, position, direction, whole);
      const packet = { record, direction, timeMs, codecNs, inner, packets };
      const place = writer.add(packet, whole, snap);
      this.#places[slot] = place;
      if (place < 0) writer.lose(direction, packets);
    }
  }

  /** They were sent or delivered, or have the reason why not. */
  done(ring: Ring, from: number): void {
    if (!this.#isOn) return;
    const endNs = this.#clock.elapsedNs();
    for (let position = from; position !== ring.processed; position = (position + 1) >>> 0) {
      const place = this.#places[position & MASK] as number;
      if (place >= 0) this.#writer.judge(place, ring.reason(position), endNs);
    }
    this.#writer.publish();
  }

  /** The packet with all that it has: encap puts its header in front, decap takes it away. */
  #whole(ring: Ring, position: number, direction: number): Pieces {
    if (direction === DIRECTION_DECAP || ring.reason(position) !== REASON_NONE) {
      return this.#noted[position & MASK] as Pieces;
    }
    return piecesOf(ring, position);
  }

  /** Where in it the inner packet begins, 0 = not known. */
  #inner(ring: Ring, position: number, direction: number, whole: Pieces): number {
    if (ring.reason(position) !== REASON_NONE) return 0;
    if (direction === DIRECTION_ENCAP) {
      // The headers of a superpacket count once a segment, and are there once.
      const header = ring.deviceHeader(position) + DEVICE_HEADER_LENGTH;
      const headers = (this.#bytes[header] ?? 0) | ((this.#bytes[header + 1] ?? 0) << 8);
      const own = ring.innerLength(position) - (ring.packets(position) - 1) * headers;
      return Math.max(0, whole.length + whole.payloadLength - own);
    }
    const address = ring.processedAddress(position);
    const offset = address - whole.address;
    if (offset >= 0 && offset < whole.length) return offset;
    const behind = address - whole.payload;
    return behind >= 0 && behind < whole.payloadLength ? whole.length + behind : 0;
  }
}

/** Where the packet at `position` lies; nowhere, if that is not where it may. */
function piecesOf(ring: Ring, position: number): Pieces {
  const address = ring.processedAddress(position);
  if (address < 0) return NOWHERE;
  const payloadLength = ring.payloadLength(position);
  const payload = payloadLength === 0 ? 0 : ring.processedPayload(position);
  const isThere = payloadLength > 0 && payload >= 0;
  const length = ring.length(position);
  return {
    ...{ address, length },
    ...{ payload: isThere ? payload : 0, payloadLength: isThere ? payloadLength : 0 },
  };
}
