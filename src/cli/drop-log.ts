// Drops in the log: never a line a packet, but how many there were since the last line about them.
//
// A tunnel and a reason get a line when they begin to drop. While they go on, lines about them become rarer, from one
// in PERIOD_MS to one in PERIOD_MAX_MS; once they have been quiet for as long, they begin anew. However many tunnels
// there are, a period has at most LINE_LIMIT lines, those with the most drops, and one that counts the rest.
import type { Logger } from 'pino';
import type { Drops, RouterStatus } from '../router/contract.js';

/** How often counters are to be looked at. */
export const PERIOD_MS = 10_000;
const PERIOD_MAX_MS = 600_000;
const LINE_LIMIT = 20;

interface Source {
  /** What was counted when its last line was written. */
  told: number;
  /** What was counted when last looked. */
  seen: number;
  /** From when on the drops are that were not told yet. */
  fromMs: number;
  /** When its last line was written, and when it last dropped. */
  toldMs: number;
  droppedMs: number;
  /** When it was last there. */
  lookedMs: number;
  /** Shortest time between two lines. */
  pauseMs: number;
}

/** What is to be said of one source. */
interface Due {
  readonly source: Source;
  readonly tunnel: string | null;
  readonly reason: string;
  readonly count: number;
}

export class DropLog {
  readonly #log: Logger;
  readonly #sources = new Map<string, Source>();
  #lookedMs: number;

  /** `nowMs`: a clock that never goes back. */
  constructor(log: Logger, nowMs: number) {
    this.#log = log;
    this.#lookedMs = nowMs;
  }

  /** Looks at the counters, and says what is due. */
  take({ tunnels, drops }: Pick<RouterStatus, 'tunnels' | 'drops'>, nowMs: number): void {
    const due = [...this.#look(null, drops, nowMs)];
    for (const { name, drops: own } of tunnels) due.push(...this.#look(name, own, nowMs));
    due.sort((a, b) => b.count - a.count);
    for (const one of due.slice(0, LINE_LIMIT)) this.#say(one, nowMs);
    this.#sayRest(due.slice(LINE_LIMIT), nowMs);
    this.#lookedMs = nowMs;
    for (const [key, { lookedMs }] of this.#sources) {
      if (lookedMs !== nowMs) this.#sources.delete(key); // its tunnel is gone
    }
  }

  *#look(tunnel: string | null, drops: Drops, nowMs: number): Iterable<Due> {
    for (const [reason, count = 0] of Object.entries(drops)) {
      const source = this.#sourceOf(`${tunnel ?? ''} ${reason}`);
      source.lookedMs = nowMs;
      if (count < source.seen) source.told = source.seen = 0; // another tunnel has that name
      if (count !== source.seen) source.droppedMs = nowMs;
      if (source.seen === source.told) source.fromMs = this.#lookedMs;
      source.seen = count;
      if (nowMs - source.droppedMs >= source.pauseMs) source.pauseMs = PERIOD_MS;
      const isRested = nowMs - source.toldMs >= source.pauseMs;
      if (count > source.told && isRested)
        yield { source, tunnel, reason, count: count - source.told };
    }
  }

  #sourceOf(key: string): Source {
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const never = Number.NEGATIVE_INFINITY;
    const times = { fromMs: never, toldMs: never, droppedMs: never, lookedMs: never };
    const source: Source = { told: 0, seen: 0, ...times, pauseMs: PERIOD_MS };
    this.#sources.set(key, source);
    return source;
  }

  #say({ source, tunnel, reason, count }: Due, nowMs: number): void {
    const seconds = this.#note(source, nowMs);
    const whose = tunnel === null ? {} : { tunnel };
    // What strangers send is no fault of ours, and they can send as much of it as they like.
    const level = tunnel === null ? 'info' : 'warn';
    this.#log[level](
      { event: 'drops', ...whose, reason, count, seconds },
      `${tunnel ?? 'no tunnel'}: ${count} ${reason} drop${count === 1 ? '' : 's'} in ${seconds} s`,
    );
  }

  /** Marks a source as told, and returns the seconds that its line stands for. */
  #note(source: Source, nowMs: number): number {
    source.pauseMs =
      source.toldMs === Number.NEGATIVE_INFINITY
        ? PERIOD_MS
        : Math.min(PERIOD_MAX_MS, source.pauseMs * 2);
    source.told = source.seen;
    source.toldMs = nowMs;
    return Math.max(1, Math.round((nowMs - source.fromMs) / 1000));
  }

  #sayRest(rest: readonly Due[], nowMs: number): void {
    if (rest.length === 0) return;
    const count = rest.reduce((sum, one) => sum + one.count, 0);
    for (const { source } of rest) this.#note(source, nowMs);
    const tunnels = new Set(rest.map(({ tunnel }) => tunnel)).size;
    this.#log.warn(
      { event: 'drops', tunnels, count },
      `${count} drops more, of ${tunnels} tunnel${tunnels === 1 ? '' : 's'}: grebe status`,
    );
  }
}
