// Numbered packets that came before their turn wait here for those before them (RFC 2890, 2.2).
//
//   hold   keeps a copy of a packet that the codec found early
//   fill   brings back, in order, those whose turn has come or whose time is up
//
// The codec judges a packet again when it is brought back: only then it counts. A packet waits for `timeMs` at the
// longest; when its time is up everything before it goes on, gaps and all. So it does when more than `packets` wait.
import { RING_STATES, STATE_RX_NEXT, STATE_SIZE } from '../../asm/layout.js';
import { REASON_CODEC_FAULT, REASON_GRE_SEQUENCE } from '../../asm/reason.js';
import { readGre } from '../packet/gre.js';
import { readOuter } from '../packet/outer.js';
import { isGre, type Reorder, type Tunnel } from '../packet/tunnel.js';
import type { Ring } from '../ring/ring.js';
import { gather } from '../underlay/slot-copy.js';

/** Record and limits of the tunnels whose early packets wait. */
export function reorderLimits(
  tunnels: readonly (Tunnel | undefined)[],
): (readonly [record: number, limits: Reorder])[] {
  return tunnels.flatMap((tunnel, index) => {
    const limits = tunnel && isGre(tunnel) ? tunnel.reorder : undefined;
    return limits === undefined ? [] : [[index + 1, limits] as const];
  });
}

interface Held {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  /** Of those in the first piece, where the packet came in two; all otherwise. */
  readonly firstLength: number;
  readonly link: number;
  /** When it has waited long enough, as performance.now counts. */
  readonly dueMs: number;
}

interface Flow extends Reorder {
  readonly record: number;
  /** In the order of their numbers, each once. */
  readonly held: Held[];
}

/** The early packets of one lane. */
export class ReorderBuffer {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #states: number;
  readonly #flows = new Map<number, Flow>();
  #waiting = 0;

  /** `ring`: the decap ring; `limits` by record, of the tunnels that have a buffer. */
  constructor(memory: WebAssembly.Memory, ring: Ring, limits: ReadonlyMap<number, Reorder>) {
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#states = this.#words[(ring.address + RING_STATES) >>> 2] as number;
    this.setLimits(limits);
  }

  /** What waits of a tunnel that has no buffer any more goes on at once, as what the codec then finds it to be. */
  setLimits(limits: ReadonlyMap<number, Reorder>): void {
    for (const [record, flow] of this.#flows) {
      if (limits.has(record)) continue;
      if (flow.held.length === 0) this.#flows.delete(record);
      else this.#flows.set(record, { ...flow, packets: 0, timeMs: 0, held: flow.held.map(due) });
    }
    for (const [record, limit] of limits) {
      const held = this.#flows.get(record)?.held ?? [];
      this.#flows.set(record, { ...limit, record, held });
    }
  }

  /** Packets that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Keeps a copy of the processed packet at `position` of the decap ring, which was found early. One whose number
   * waits already gets its reason instead.
   */
  hold(ring: Ring, position: number, nowMs: number): void {
    const flow = this.#flows.get(ring.tunnel(position));
    const isThere = ring.processedAddress(position) >= 0;
    const isWhole = ring.payloadLength(position) === 0 || ring.processedPayload(position) >= 0;
    const bytes = isThere && isWhole ? gather(this.#bytes, ring, position) : null;
    const sequence = bytes === null ? null : sequenceOf(bytes);
    if (flow === undefined || bytes === null || sequence === null) {
      ring.setReason(position, REASON_CODEC_FAULT); // no build of ours finds such a packet early
      return;
    }
    const { held, timeMs } = flow;
    // From behind: as a rule the newest number is the highest.
    let at = held.length;
    while (at > 0 && distance(sequence, held[at - 1] as Held) < 0) at--;
    if (at > 0 && distance(sequence, held[at - 1] as Held) === 0) {
      ring.setReason(position, REASON_GRE_SEQUENCE);
      return;
    }
    const firstLength = ring.length(position);
    const link = ring.link(position);
    held.splice(at, 0, { sequence, bytes, firstLength, link, dueMs: nowMs + timeMs });
    this.#waiting++;
  }

  /** How long until the first of the waiting packets has waited long enough, 0 when it has; -1: none waits. */
  timeoutMs(nowMs: number): number {
    if (this.#waiting === 0) return -1;
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { held } of this.#flows.values()) {
      for (const one of held) dueMs = Math.min(dueMs, one.dueMs);
    }
    return Math.max(0, Math.ceil(dueMs - nowMs));
  }

  /**
   * Fills and publishes free slots of a decap ring with packets of one tunnel whose turn has come, without a gap, at
   * most `max`. Returns how many; 0 when all others have to wait.
   */
  fill(ring: Ring, max: number, nowMs: number): number {
    if (this.#waiting === 0) return 0;
    for (const flow of this.#flows.values()) {
      const count = this.#fillFrom(flow, ring, max, nowMs);
      if (count > 0) return count;
    }
    return 0;
  }

  #fillFrom(flow: Flow, ring: Ring, max: number, nowMs: number): number {
    const { held, packets } = flow;
    const [first] = held;
    if (first === undefined) return 0;
    const word = (this.#states + flow.record * STATE_SIZE + STATE_RX_NEXT) >>> 2;
    let next = this.#words[word] as number;
    const mayGo = held.length > packets || held.some(({ dueMs }) => dueMs <= nowMs);
    if (distance(next, first) < 0) {
      if (!mayGo) return 0;
      // What is missing is given up.
      next = first.sequence;
      this.#words[word] = next;
    }
    const room = Math.min(max, ring.reserve());
    let count = 0;
    for (let one = held[0]; one !== undefined && count < room; one = held[count]) {
      if (distance(next, one) < 0) break;
      const position = (ring.filled + count) >>> 0;
      const address = ring.packetAddress(position);
      this.#bytes.set(one.bytes, address);
      ring.fill(position, one.firstLength, 0, one.link);
      const rest = one.bytes.length - one.firstLength;
      if (rest > 0) ring.setPayload(position, address + one.firstLength, rest);
      if (one.sequence === next) next = (next + 1) >>> 0;
      count++;
    }
    held.splice(0, count);
    this.#waiting -= count;
    ring.publish(count);
    return count;
  }
}

function due(held: Held): Held {
  return { ...held, dueMs: 0 };
}

/** How far `sequence` is beyond that of a held packet, in arithmetic modulo 2^32. */
function distance(sequence: number, held: Held): number {
  return (sequence - held.sequence) | 0;
}

/** The sequence number of a whole tunnel packet, null without one. */
function sequenceOf(bytes: Uint8Array): number | null {
  const outer = readOuter(bytes);
  return outer?.isGre ? readGre(outer.payload).sequence : null;
}
