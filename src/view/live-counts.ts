import type { Drops } from '../router/contract.js';

/** Counts by a name. */
export type Counts = Map<string, number>;

export interface Rate {
  /** A second. */
  readonly packets: number;
  readonly bytes: number;
}

export const NONE: Rate = { packets: 0, bytes: 0 };

/** Counters of a tunnel, or of one of its peers, with the rates of the last second. */
export class LiveCounts {
  readonly rx = { packets: 0, bytes: 0 };
  readonly tx = { packets: 0, bytes: 0 };
  rxRate: Rate = NONE;
  txRate: Rate = NONE;
  drops: Counts = new Map();
  /** Dropped in the last second. */
  newDrops = 0;

  /** Begins anew with the counters of a status. */
  protected begin(counted: { readonly rx: Rate; readonly tx: Rate; readonly drops: Drops }): void {
    Object.assign(this.rx, counted.rx);
    Object.assign(this.tx, counted.tx);
    this.drops = new Map(Object.entries(counted.drops));
  }

  /** Adds what passed in `seconds`, after which nothing was dropped yet. */
  pass(rx: Rate, tx: Rate, seconds: number): void {
    addTo(this.rx, rx);
    addTo(this.tx, tx);
    this.rxRate = perSecond(rx, seconds);
    this.txRate = perSecond(tx, seconds);
    this.newDrops = 0;
  }

  /** Adds what was dropped meanwhile. */
  drop(drops: Drops): void {
    const counts = Object.entries(drops);
    add(this.drops, counts);
    this.newDrops = counts.reduce((sum, [, count]) => sum + count, 0);
  }
}

/** Sum of counts. */
export function total(counts: Counts): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** Adds counts by their names. */
export function add(sum: Counts, counts: Iterable<readonly [string, number]>): void {
  for (const [name, count] of counts) sum.set(name, (sum.get(name) ?? 0) + count);
}

function addTo(sum: { packets: number; bytes: number }, more: Rate): void {
  sum.packets += more.packets;
  sum.bytes += more.bytes;
}

function perSecond({ packets, bytes }: Rate, seconds: number): Rate {
  return seconds > 0 ? { packets: packets / seconds, bytes: bytes / seconds } : NONE;
}
