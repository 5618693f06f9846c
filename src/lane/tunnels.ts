// The tunnels of a lane, beside the table of the codec: for what is not decided packet by packet. A remote that has a
// host name may move, and the lane is told: from then on answers, paths and errors go by where it is.
import { recordsOf } from '../packet/peers.js';
import { createTable, isOwn, type Table } from '../packet/table.js';
import type { Tunnel } from '../packet/tunnel.js';

/** What the tunnel of a record is from here on. Undefined: a hole. */
export type TunnelChange = readonly [record: number, tunnel: Tunnel | undefined];

export class LaneTunnels {
  readonly #tunnels: (Tunnel | undefined)[];
  #records: readonly (Tunnel | undefined)[] | undefined;
  #table: Table | undefined;

  /** Tunnel i is record i + 1. */
  constructor(tunnels: readonly (Tunnel | undefined)[]) {
    this.#tunnels = [...tunnels];
  }

  change(changes: readonly TunnelChange[]): void {
    for (const [record, tunnel] of changes) {
      while (this.#tunnels.length < record) this.#tunnels.push(undefined);
      this.#tunnels[record - 1] = tunnel;
    }
    // Made anew by who asks first: of many changes, once.
    this.#records = undefined;
    this.#table = undefined;
  }

  /** The tunnel of a record, or what it is with one of its peers alone. */
  of(record: number): Tunnel | undefined {
    this.#records ??= recordsOf(this.#tunnels).map(({ tunnel }) => tunnel);
    return this.#records[record - 1];
  }

  get table(): Table {
    this.#table ??= createTable(this.#tunnels);
    return this.#table;
  }

  /** Whether an address, in wire order, is one of ours: of an end of a tunnel or of its device. */
  isOwn(address: Uint8Array): boolean {
    return isOwn(this.table, address);
  }
}
