// Sequence numbers kept over a restart. A router that begins with 0 again looks to its peer as if it sent old packets:
// RFC 2890, 2.2 has them dropped, and a Linux peer drops every one until the old number is reached.
//
//   1. restore   at the start, before anything is sent
//   2. keep      every PERIOD_MS, each number with a lead: a router that is killed has sent more by then
//   3. note      what a tunnel had that goes, so that it can `resume` when it comes again
//   4. close     at the end the numbers as they are
//
// A number that is ahead does no harm: the peer takes what comes after it. Where no folder is given nothing is kept.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { isGre, type Tunnel } from '../packet/tunnel.js';
import type { Sequences } from '../ring/sequences.js';
import type { RouterRecord } from './records.js';

const PERIOD_MS = 10_000;
/** More than a tunnel sends in a period, and a hundred times less than the 2^31 from where on a number counts as old. */
const LEAD = 1 << 24;
/** Tunnels whose numbers are known: those that went first are forgotten first. */
const KNOWN_MAX = 20_000;
const SCHEMA = 'grebe.sequences/1';
const FILE = 'sequences.json';

export interface SequenceStoreOptions {
  /** Where the file lies; undefined: nowhere. */
  readonly folder: string | undefined;
  readonly sequences: Sequences;
  /** The records by their place, as they are at the moment. */
  readonly records: () => readonly (RouterRecord | undefined)[];
  readonly log: Logger;
}

export class SequenceStore {
  readonly #options: SequenceStoreOptions;
  /** Next numbers, also of tunnels that are gone. */
  readonly #known = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #isFailing = false;
  #isWriting = false;

  constructor(options: SequenceStoreOptions) {
    this.#options = options;
  }

  /** Continues with the numbers of the last run, and keeps them from here on. */
  restore(): void {
    const { folder, sequences, log } = this.#options;
    if (folder === undefined) return;
    for (const [id, next] of readNumbers(join(folder, FILE), log)) this.#learn(id, next);
    for (const [record, id] of this.#numbered()) {
      const next = this.#known.get(id);
      if (next !== undefined) sequences.set(record, next);
    }
    this.#keep(LEAD);
    this.#timer = setInterval(() => void this.#keepSoon(), PERIOD_MS);
    this.#timer.unref();
  }

  /** The tunnel of a record goes, and sends no more. */
  note(record: number, tunnel: Tunnel): void {
    const id = idOf(tunnel);
    if (id !== undefined) this.#learn(id, this.#options.sequences.get(record));
  }

  /** A tunnel gets a record, before it sends: goes on with the numbers that it had, if it was here before. */
  resume(record: number, tunnel: Tunnel): void {
    const next = this.#known.get(idOf(tunnel) ?? '');
    if (next !== undefined) this.#options.sequences.set(record, next);
  }

  /** Other tunnels are there: their numbers are kept soon. */
  changed(): void {
    if (this.#timer !== undefined) void this.#keepSoon();
  }

  /** Keeps the numbers as they are. Call it when nothing is sent any more. */
  close(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#keep(0);
  }

  /** Records whose packets are numbered, each with what tells its tunnel from others. */
  #numbered(): (readonly [record: number, id: string])[] {
    return this.#options.records().flatMap((one, index) => {
      const id = one && idOf(one.tunnel);
      return id === undefined ? [] : [[index + 1, id] as const];
    });
  }

  /** Replaces the file whole: a reader never sees half of one. */
  #keep(lead: number): void {
    const { folder } = this.#options;
    if (folder === undefined) return;
    const file = join(folder, FILE);
    const text = this.#text(lead);
    try {
      if (text === undefined) rmSync(file, { force: true });
      else {
        writeFileSync(`${file}.last`, text, { flush: true });
        renameSync(`${file}.last`, file);
      }
      this.#isFailing = false;
    } catch (error) {
      this.#sayFailing(error);
    }
  }

  /** The same beside other work: a slow disk holds up nothing, and is not written to twice at a time. */
  async #keepSoon(): Promise<void> {
    const { folder } = this.#options;
    const text = this.#text(LEAD);
    if (folder === undefined || text === undefined || this.#isWriting) return;
    const file = join(folder, FILE);
    this.#isWriting = true;
    try {
      await writeFile(`${file}.new`, text, { flush: true });
      await rename(`${file}.new`, file);
      this.#isFailing = false;
    } catch (error) {
      this.#sayFailing(error);
    } finally {
      this.#isWriting = false;
    }
  }

  /** What the file is to hold; undefined: no tunnel numbers its packets. */
  #text(lead: number): string | undefined {
    const numbers = this.#numbered().map(([record, id]) => {
      return [id, (this.#options.sequences.get(record) + lead) >>> 0] as const;
    });
    for (const [id, next] of numbers) this.#learn(id, next);
    if (numbers.length === 0) return undefined;
    return JSON.stringify({ schema: SCHEMA, numbers: Object.fromEntries(numbers) });
  }

  #learn(id: string, next: number): void {
    this.#known.delete(id); // the newest is the last
    this.#known.set(id, next);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
  }

  #sayFailing(error: unknown): void {
    const { folder, log } = this.#options;
    if (!this.#isFailing) {
      const message = `sequence numbers are not kept in ${folder}: ${String(error)}; after a restart a peer may drop packets as old`;
      log.warn({ event: 'state' }, message);
    }
    this.#isFailing = true;
  }
}

/** What tells a tunnel from others; undefined: its packets have no numbers. */
function idOf(tunnel: Tunnel): string | undefined {
  if (!isGre(tunnel) || !tunnel.sequenceOut) return undefined;
  const { mode, local, remote, keyOut } = tunnel;
  return `${mode} ${local} ${remote} ${keyOut ?? '-'}`;
}

/** The numbers of a file, none where there is none or it makes no sense. */
function readNumbers(file: string, log: Logger): Map<string, number> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return new Map();
  }
  const numbers = parseNumbers(text);
  if (numbers !== undefined) return numbers;
  log.warn({ event: 'state' }, `${file} makes no sense: sequence numbers begin with 0`);
  return new Map();
}

function parseNumbers(text: string): Map<string, number> | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof content !== 'object' || content === null) return undefined;
  if (!('schema' in content) || content.schema !== SCHEMA || !('numbers' in content))
    return undefined;
  const { numbers } = content;
  if (typeof numbers !== 'object' || numbers === null) return undefined;
  return new Map(
    Object.entries(numbers).flatMap(([id, next]: [string, unknown]) =>
      typeof next === 'number' && Number.isInteger(next) && next >= 0 && next <= 0xffffffff
        ? [[id, next]]
        : [],
    ),
  );
}
