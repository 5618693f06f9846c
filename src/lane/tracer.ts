// What a lane copies of its packets while somebody traces them.
//
//   1. before   headers of the batch as they came, before the codec changes them in place
//   2. after    those that were asked for, with tunnel and reason as the batch ended
import { SLOT_COUNT } from '../../asm/layout.js';
import { REASON_EARLY, REASON_LOCAL, REASON_NONE } from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import { TRACE_SNAP, TraceWriter } from '../ring/trace-ring.js';

const MASK = SLOT_COUNT - 1;

/** Share of a second's packets that may be copied at once: a burst is seen from its beginning. */
const BURST = 0.25;

/** The tracer of one lane. A batch without a reader costs it one look at a word. */
export class Tracer {
  readonly #writer: TraceWriter;
  readonly #bytes: Uint8Array;
  /** By slot: the first bytes of its packet, and how many it has. */
  readonly #headers = new Uint8Array(SLOT_COUNT * TRACE_SNAP);
  readonly #kept = new Uint8Array(SLOT_COUNT);
  readonly #lengths = new Uint32Array(SLOT_COUNT);
  /** Packets that may be copied right away, as of #sinceMs. */
  #tokens = 0;
  #sinceMs = 0;

  constructor(memory: WebAssembly.Memory, address: number) {
    this.#writer = new TraceWriter(memory, address);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** Keeps the headers of the packets from `from` on that were just filled in. Returns whether somebody reads. */
  before(ring: Ring, from: number): boolean {
    if (this.#writer.limit === 0) return false;
    const to = ring.filled;
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      this.#keep(ring, position);
    }
    return true;
  }

  /** Shows the reader what became of the packets that `before` kept, as far as it asked for them. */
  after(ring: Ring, from: number, direction: number): void {
    const writer = this.#writer;
    const { limit, dropsOnly, record } = writer;
    const timeMs = performance.timeOrigin + performance.now();
    this.#refill(limit, timeMs);
    let missed = 0;
    const to = ring.processed;
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      const reason = ring.reason(position);
      if (reason === REASON_EARLY) continue; // it comes again, and ends then
      if (dropsOnly && (reason === REASON_NONE || reason === REASON_LOCAL)) continue;
      if (record !== 0 && ring.tunnel(position) !== record) continue;
      const packets = ring.packets(position);
      if (this.#tokens < 1) {
        missed += packets;
        continue;
      }
      this.#tokens--;
      const slot = position & MASK;
      const start = slot * TRACE_SNAP;
      const bytes = this.#headers.subarray(start, start + (this.#kept[slot] as number));
      const length = this.#lengths[slot] as number;
      const known = { direction, record: ring.tunnel(position), reason, link: ring.link(position) };
      writer.write({ ...known, length, packets, timeMs }, bytes);
    }
    if (missed > 0) writer.miss(missed);
  }

  #keep(ring: Ring, position: number): void {
    const slot = position & MASK;
    const start = slot * TRACE_SNAP;
    const address = ring.processedAddress(position);
    const length = address < 0 ? 0 : ring.length(position);
    const payload = ring.payloadLength(position) === 0 ? -1 : ring.processedPayload(position);
    const rest = payload < 0 ? 0 : ring.payloadLength(position);
    const kept = Math.min(length, TRACE_SNAP);
    const more = Math.min(rest, TRACE_SNAP - kept);
    if (kept > 0) this.#headers.set(this.#bytes.subarray(address, address + kept), start);
    if (more > 0) this.#headers.set(this.#bytes.subarray(payload, payload + more), start + kept);
    this.#kept[slot] = kept + more;
    this.#lengths[slot] = length + rest;
  }

  #refill(limit: number, nowMs: number): void {
    const most = Math.max(1, limit * BURST);
    const since = this.#sinceMs === 0 ? most : ((nowMs - this.#sinceMs) * limit) / 1000;
    this.#tokens = Math.min(most, this.#tokens + Math.max(0, since));
    this.#sinceMs = nowMs;
  }
}
