// Pairs of ECN fields that came out of tunnels although no sender and no path should leave them (RFC 6040, 4.2): the codec
// counts them, and every ten seconds the log gets a line of each tunnel that has more of them. A peer that copies no
// ECN, or a router on the way that writes the field, shows like this. No line appears for what is below the log's level.
import type { Logger } from 'pino';
import { type EcnCounts, ecnPair } from '../ring/ecn-counts.js';
import { LimitedLog } from './limited-log.js';

const PERIOD_MS = 10_000;
const FIELDS = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'] as const;

export interface EcnWatchOptions {
  /** The name that the log has for each record, from 1, as it is at the moment; undefined: nobody's. */
  readonly names: () => readonly (string | undefined)[];
  readonly counts: EcnCounts;
  readonly log: Logger;
}

export class EcnWatch {
  readonly #options: EcnWatchOptions;
  readonly #voice: LimitedLog;
  /** By record: whose counts they were. */
  readonly #seen = new Map<number, { readonly tunnel: string; readonly counts: number[] }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EcnWatchOptions) {
    this.#options = options;
    const { names, counts, log } = options;
    for (const [index, tunnel] of names().entries()) {
      if (tunnel !== undefined)
        this.#seen.set(index + 1, { tunnel, counts: counts.get(index + 1) });
    }
    const summary = (left: number) => `${left} tunnels more with odd pairs of ECN fields`;
    this.#voice = new LimitedLog({ log, event: 'ecn', summary });
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), PERIOD_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#voice.close();
  }

  /** Says what was counted since the last look. */
  look(): void {
    const { names, counts } = this.#options;
    for (const [index, tunnel] of names().entries()) {
      if (tunnel === undefined) continue;
      const now = counts.get(index + 1);
      const seen = this.#seen.get(index + 1);
      const before = seen?.tunnel === tunnel ? seen.counts : [];
      // Less than before: the record began anew, with another tunnel or peer.
      const isAnew = now.some((count, place) => count < (before[place] ?? 0));
      const grown = isAnew ? now : now.map((count, place) => count - (before[place] ?? 0));
      if (grown.every((count) => count === 0)) continue;
      this.#seen.set(index + 1, { tunnel, counts: now });
      this.#say(tunnel, grown);
    }
  }

  #say(tunnel: string, grown: readonly number[]): void {
    const packets = grown.reduce((sum, count) => sum + count, 0);
    const parts = grown.flatMap((count, place) => {
      const { outer, inner } = ecnPair(place);
      return count === 0 ? [] : [`${count} with outer ${FIELDS[outer]} / inner ${FIELDS[inner]}`];
    });
    const message = `${tunnel}: odd ECN in ${PERIOD_MS / 1000} s: ${parts.join(', ')} (RFC 6040, 4.2)`;
    this.#voice.say('warn', { event: 'ecn', tunnel, packets }, message);
  }
}
