// What a lane was told of the tunnels, for what is not decided packet by packet. Whoever holds one of the lists sees it
// change; what was made of it is to be forgotten then.
import { recordsOf } from '../packet/peers.js';
import type { Tunnel } from '../packet/tunnel.js';
import type { LaneChange } from './message.js';

export class LaneTunnels {
  /** Tunnel i has record i + 1; those of peers are holes. */
  readonly tunnels: (Tunnel | undefined)[];
  /** Of every record what it stands for, those of peers too. */
  readonly ofRecords: (Tunnel | undefined)[] = [];

  constructor(tunnels: readonly (Tunnel | undefined)[]) {
    this.tunnels = [...tunnels];
    this.#spread();
  }

  change(changed: LaneChange['tunnels']): void {
    const isPlain = changed.every(([record, tunnel]) => {
      return !tunnel?.peers && !this.tunnels[record - 1]?.peers;
    });
    for (const [record, tunnel] of changed) {
      while (this.tunnels.length < record) this.tunnels.push(undefined);
      this.tunnels[record - 1] = tunnel;
      if (isPlain) this.ofRecords[record - 1] = tunnel;
    }
    if (!isPlain) this.#spread();
  }

  #spread(): void {
    this.ofRecords.length = 0;
    for (const { tunnel } of recordsOf(this.tunnels)) this.ofRecords.push(tunnel);
  }
}
