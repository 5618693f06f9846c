// Host names of remotes, asked for again and again: a peer may move, and one that is not known yet may come to be.
//
//   1. start      all are asked for once, together; what has no answer stays open
//   2. due        the earliest question that is due, and those due soon after, in one process
//   3. learn      the address in use is kept while it is among the answers; one that was known outlives a failure
//   4. onChange   told once for all that changed, and again until it could follow
//
// The process asks, this thread waits: no packet depends on either.
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import type { Lookup } from '../config/lookup.js';
import { type Answer, type Name, namesOf, resolveAll } from '../config/names.js';

/** Between two questions for a name that has an address. */
const KNOWN_MS = 60_000;
/** For one that has none: soon at first, as when the machine is just starting, and more and more seldom. */
const UNKNOWN_MS = [1000, 2000, 4000, 8000, 15_000, 30_000, 60_000] as const;
/** Share of the time that is left to chance, so that many routers do not ask at once. */
const JITTER = 0.1;
/** Questions due within this time are asked together. */
const TOGETHER_MS = 500;

export interface HostNamesOptions {
  readonly log: Logger;
  /** Default: the system's. */
  readonly lookup?: Lookup;
  /** Divides all times, for tests. */
  readonly speed?: number;
}

interface Known {
  question: Name;
  address: string | undefined;
  fault: string;
  failures: number;
  dueMs: number;
}

export class HostNames {
  readonly #log: Logger;
  readonly #lookup: Lookup | undefined;
  readonly #speed: number;
  /** By tunnel and name. */
  readonly #names = new Map<string, Known>();
  readonly #end = new AbortController();
  /** An address changed, and not everything has followed. */
  #isPending = false;
  #isAsking = false;
  #onChange: (() => Promise<boolean>) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Asks nothing yet. */
  constructor(config: Config, { log, lookup, speed = 1 }: HostNamesOptions) {
    this.#log = log;
    this.#lookup = lookup;
    this.#speed = speed;
    this.#add(config);
  }

  /**
   * Asks for the names of another config that are not known yet; those of the one before are kept until `keep`. Takes 5 s
   * at most, and never rejects.
   */
  async learn(config: Config): Promise<void> {
    const added = this.#add(config);
    if (added.length > 0) await this.#askFirst(added);
  }

  /** Forgets what `config` does not name, and goes on asking for the rest. */
  keep(config: Config): void {
    const wanted = new Set(namesOf(config).map(({ tunnel, name }) => idOf(tunnel, name)));
    for (const id of this.#names.keys()) if (!wanted.has(id)) this.#names.delete(id);
    if (this.#onChange !== undefined && !this.#isAsking) this.#wait(this.#onChange);
  }

  /** Returns those that were not known. */
  #add(config: Config): Known[] {
    return namesOf(config).flatMap((question): Known[] => {
      const id = idOf(question.tunnel, question.name);
      if (this.#names.has(id)) return [];
      const known = { question, address: undefined, fault: 'not asked yet', failures: 0, dueMs: 0 };
      this.#names.set(id, known);
      return [known];
    });
  }

  /** What `name` stands for in a tunnel, if that is known. */
  addressOf(tunnel: string, name: string): string | undefined {
    return this.#names.get(idOf(tunnel, name))?.address;
  }

  /** Why a name of a tunnel stands for nothing; undefined where it does. */
  faultOf(tunnel: string, name: string): string | undefined {
    const known = this.#names.get(idOf(tunnel, name));
    if (known === undefined || known.address !== undefined) return undefined;
    return `cannot resolve ${name}: ${known.fault}`;
  }

  /** Asks for all. Takes 5 s at most, and never rejects. */
  ask(): Promise<void> {
    return this.#askFirst([...this.#names.values()]);
  }

  async #askFirst(names: readonly Known[]): Promise<void> {
    await this.#askFor(names);
    // What the config leaves open is settled with the first answer, or without one: sockets are opened for it.
    for (const known of names) {
      const version = known.question.version ?? (known.address?.includes(':') ? 6 : 4);
      known.question = { ...known.question, version };
    }
  }

  /**
   * Goes on asking; `onChange` is awaited before the next question, and called again after that when it resolves with
   * false. Never keeps the process alive.
   */
  watch(onChange: () => Promise<boolean>): void {
    this.#onChange = onChange;
    this.#wait(onChange);
  }

  #wait(onChange: () => Promise<boolean>): void {
    clearTimeout(this.#timer);
    if (this.#end.signal.aborted || this.#names.size === 0) return;
    const next = Math.min(...[...this.#names.values()].map(({ dueMs }) => dueMs));
    this.#timer = setTimeout(() => void this.#turn(onChange), Math.max(0, next - Date.now()));
    this.#timer.unref();
  }

  /** Asks no more. Idempotent. */
  close(): void {
    this.#end.abort();
    clearTimeout(this.#timer);
  }

  async #turn(onChange: () => Promise<boolean>): Promise<void> {
    this.#isAsking = true;
    const until = Date.now() + TOGETHER_MS / this.#speed;
    const due = [...this.#names.values()].filter(({ dueMs }) => dueMs <= until);
    if (await this.#askFor(due)) this.#isPending = true;
    if (this.#end.signal.aborted) return;
    if (this.#isPending) this.#isPending = !(await onChange());
    this.#isAsking = false;
    this.#wait(onChange);
  }

  /** Returns whether an address changed. */
  async #askFor(names: readonly Known[]): Promise<boolean> {
    const { signal } = this.#end;
    const options = this.#lookup === undefined ? { signal } : { signal, lookup: this.#lookup };
    const resolved = await resolveAll(
      names.map(({ question }) => question),
      options,
    );
    if (signal.aborted) return false;
    let hasChanged = false;
    for (const [index, { answer }] of resolved.entries()) {
      const known = names[index];
      if (known !== undefined && this.#learn(known, answer)) hasChanged = true;
    }
    return hasChanged;
  }

  /** Returns whether the address is another than before. */
  #learn(known: Known, answer: Answer): boolean {
    const { tunnel, name } = known.question;
    const before = known.address;
    if ('fault' in answer) {
      if (known.failures++ === 0 && before === undefined) {
        const message = `tunnel ${tunnel}: cannot resolve ${name}: ${answer.fault}; it is asked for again`;
        this.#log.warn({ event: 'name-unresolved', tunnel, name }, message);
      }
      known.fault = answer.fault;
    } else {
      known.failures = 0;
      const all = [answer.address, ...(answer.others ?? [])];
      if (before === undefined || !all.includes(before)) known.address = answer.address;
    }
    known.dueMs = Date.now() + this.#pause(known);
    if (known.address === before) return false;
    const { address } = known;
    this.#log.info({ event: 'name-resolved', tunnel, name, address }, `${name} is ${address}`);
    return true;
  }

  #pause({ address, failures }: Known): number {
    const last = UNKNOWN_MS.length - 1;
    const unknown = UNKNOWN_MS[Math.min(failures - 1, last)] ?? KNOWN_MS;
    const base = address === undefined ? unknown : KNOWN_MS;
    return (base * (1 + JITTER * (2 * Math.random() - 1))) / this.#speed;
  }
}

function idOf(tunnel: string, name: string): string {
  return `${tunnel} ${name}`;
}
