// Next hops in the dataplane's memory: which Ethernet header the packets of a tunnel get. The main thread
// writes, lanes read at any time: an adjacency is written whole before the one atomic store that names it, and
// its place is used again as late as possible.
import {
  ADJACENCY_CAPACITY,
  ADJACENCY_DEVICE,
  ADJACENCY_HEADER,
  ADJACENCY_MTU,
  ADJACENCY_SIZE,
  CONTROL_NEXT_HOPS,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import type { Reserve } from '../ring/plan.js';

const ETHERTYPES = { 4: 0x0800, 6: 0x86dd } as const;
const MAC_LENGTH = 6;

/** How the packets of a tunnel leave. */
export interface NextHop {
  /** IP version of the outer header. */
  readonly version: 4 | 6;
  /** Number of the device, in the order that lanes have them. */
  readonly device: number;
  /** Ethernet addresses, six bytes each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Longest packet that the way takes. */
  readonly mtu: number;
}

/** Addresses of the two parts. */
export interface NextHopPlan {
  readonly nextHops: number;
  readonly adjacencies: number;
}

/** Plans both with `reserve`, which gives the offset of fresh room of a size and an alignment. */
export function planNextHops(reserve: Reserve): NextHopPlan {
  return {
    nextHops: reserve(TUNNEL_CAPACITY * 4, 128),
    adjacencies: reserve(ADJACENCY_CAPACITY * ADJACENCY_SIZE, 128),
  };
}

interface Adjacency {
  readonly address: number;
  users: number;
}

export class NextHopTable {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #first: number;
  /** By what they say: tunnels with the same next hop share one. */
  readonly #adjacencies = new Map<string, Adjacency>();
  readonly #ofRecord = new Map<number, string>();
  /** Places that are free, the one that was freed first in front. */
  readonly #free: number[];

  /** Nothing is known at first. */
  constructor(memory: WebAssembly.Memory, plan: NextHopPlan) {
    this.#words = new Uint32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#first = plan.nextHops >>> 2;
    this.#free = Array.from(
      { length: ADJACENCY_CAPACITY },
      (_, index) => plan.adjacencies + index * ADJACENCY_SIZE,
    );
    this.#words[CONTROL_NEXT_HOPS >>> 2] = plan.nextHops;
  }

  /** Sets the next hop of a record; undefined while it is not known. Returns whether that changed anything. */
  set(record: number, nextHop: NextHop | undefined): boolean {
    const before = this.#ofRecord.get(record);
    const after = nextHop && nameOf(nextHop);
    if (before === after) return false;
    const address = nextHop === undefined || after === undefined ? 0 : this.#take(after, nextHop);
    Atomics.store(this.#words, this.#first + record, address);
    if (before !== undefined) this.#drop(before);
    if (after === undefined) this.#ofRecord.delete(record);
    else this.#ofRecord.set(record, after);
    return true;
  }

  #take(name: string, nextHop: NextHop): number {
    const known = this.#adjacencies.get(name);
    if (known !== undefined) {
      known.users++;
      return known.address;
    }
    // INVARIANT: there are more places than records, so one is free.
    const address = this.#free.shift() ?? 0;
    this.#bytes.set(nextHop.destination, address + ADJACENCY_HEADER);
    this.#bytes.set(nextHop.source, address + ADJACENCY_HEADER + MAC_LENGTH);
    const type = address + ADJACENCY_HEADER + 2 * MAC_LENGTH;
    const ethertype = ETHERTYPES[nextHop.version];
    this.#bytes.set([ethertype >>> 8, ethertype & 0xff], type);
    this.#words[(address + ADJACENCY_DEVICE) >>> 2] = nextHop.device;
    this.#words[(address + ADJACENCY_MTU) >>> 2] = nextHop.mtu;
    this.#adjacencies.set(name, { address, users: 1 });
    return address;
  }

  #drop(name: string): void {
    const adjacency = this.#adjacencies.get(name);
    if (adjacency === undefined || --adjacency.users > 0) return;
    this.#adjacencies.delete(name);
    this.#free.push(adjacency.address);
  }
}

/** Next hops with the same name are the same. */
function nameOf({ version, device, source, destination, mtu }: NextHop): string {
  return [version, device, mtu, ...source, ...destination].join(' ');
}
