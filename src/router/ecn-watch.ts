// Pairs of ECN fields that came out of tunnels although no sender and no path should leave them (RFC 6040, 4.2): the codec
// counts them, and every ten seconds the log gets a line of each tunnel that has more of them. A peer that copies no
// ECN, or a router on the way that writes the field, shows like this. No line appears for what is below the log's level.
import type { Logger } from 'pino';
import { type EcnCounts, ecnPair } from '../ring/ecn-counts.js';
import { LimitedLog } from './limited-log.js';

const PERIOD_MS = 10_000;
const FIELDS = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'] as const;

export interface EcnWatchOptions {
  /** Tunnels by record, from 1, their peers behind all of them: the name that the log has for each. */
  readonly names: readonly string[];
  readonly counts: EcnCounts;
  readonly log: Logger;
}

export class EcnWatch {
  readonly #options: EcnWatchOptions;
  readonly #voice: LimitedLog;
  readonly #seen: number[][];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EcnWatchOptions) {
    this.#options = options;
    const { names, counts, log } = options;
    this.#seen = names.map((_, index) => counts.get(index + 1));
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
    for (const [index, tunnel] of names.entries()) {
      const now = counts.get(index + 1);
      const before = this.#seen[index] ?? [];
      const grown = now.map((count, place) => (count - (before[place] ?? 0)) >>> 0);
      if (grown.every((count) => count === 0)) continue;
      this.#seen[index] = now;
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
