// Dumps that the router writes itself: what the recorder has when a peer is lost, or when much is dropped at once.
//
//   1. cause    liveness tells that a tunnel is down; a look a second finds bursts of drops
//   2. limit    one a minute of each tunnel, some a minute of all: ten thousand tunnels may go down at once
//   3. take     the packets are copied at once, before others take their places
//   4. write    one after the other: a temporary file, then its name; old dumps make room
//
// A disk that is full, or any other fault of the folder, costs the dump and one warning.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { access, constants, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { DUMP_FOLDER, type RecorderConfig, STATE_FOLDER } from '../config/recorder.js';
import { Failure } from '../sys/failure.js';
import { encodeRecording } from './recording-file.js';
import type { DropCounts, Recordings } from './recordings.js';

export interface DumpsOptions {
  readonly folder: string;
  /** Drops of one tunnel within a second that are worth a dump; 0 = never. */
  readonly burst: number;
  readonly recordings: Pick<Recordings, 'dropCounts' | 'recorded'>;
  readonly log: Logger;
}

const LOOK_MS = 1000;
const MINUTE_MS = 60_000;
/** Dumps a minute, of all tunnels. */
const DUMPS_A_MINUTE = 20;
/** Dumps that are kept, and of one tunnel and cause: a stranger who has much dropped pushes out no others. */
const FILES_MAX = 64;
const FILES_OF_ONE = 4;
/** By process: another router may have the same folder. */
const TEMPORARY = `.grebe-dump-${process.pid}.tmp`;
const TEMPORARY_NAME = /^\.grebe-dump-([0-9]+)\.tmp$/;
const DUMP_NAME = /^[0-9]{8}T[0-9]{9}Z-(.+)\.pcapng$/;
/** What a packet of no tunnel is filed under: no device can have this name. */
const NO_TUNNEL = 'no-tunnel-at-all';

/** The dumps of a router; undefined: it writes none. */
export function openDumps(
  { keep, dumps, burst }: RecorderConfig,
  recordings: Recordings,
  log: Logger,
): Dumps | undefined {
  if (keep === 0 || dumps === 'off') return undefined;
  if (dumps !== 'auto') return new Dumps({ folder: dumps, burst, recordings, log });
  if (!existsSync(STATE_FOLDER)) return undefined;
  return new Dumps({ folder: DUMP_FOLDER, burst, recordings, log });
}

type Cause = 'down' | 'drops';

export class Dumps {
  readonly #options: DumpsOptions;
  #seen: DropCounts = new Map();
  readonly #lastMs = new Map<string, number>();
  #minuteMs = 0;
  #inMinute = 0;
  #left = 0;
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(options: DumpsOptions) {
    this.#options = options;
  }

  /** Makes the folder where it is not there, and begins to look. */
  start(): void {
    const { folder, log } = this.#options;
    try {
      makeFolder(folder);
      removeLeftovers(folder);
    } catch (error) {
      const message = `no dumps are written: cannot make ${folder}: ${codeOf(error)}`;
      log.warn({ event: 'dumps', folder }, message);
      return;
    }
    this.#written = this.#check();
    this.#seen = this.#options.recordings.dropCounts();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Ends looking, and resolves when nothing is being written any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#written;
  }

  /** The peer of the tunnel `name` is lost. */
  tunnelDown(name: string): void {
    if (this.#timer !== undefined) this.#dump(name, 'down');
  }

  /** Finds tunnels of which more was dropped since the last look than `burst`. */
  #look(): void {
    const { burst, recordings } = this.#options;
    const counts = recordings.dropCounts();
    for (const [name, count] of counts) {
      const before = this.#seen.get(name) ?? count;
      if (burst > 0 && (count - before) >>> 0 >= burst) this.#dump(name, 'drops');
    }
    this.#seen = counts;
    this.#tellLeft();
  }

  #dump(tunnel: string | null, cause: Cause): void {
    const { recordings, log } = this.#options;
    const subject = tunnel ?? NO_TUNNEL;
    if (!this.#isAllowed(`${subject} ${cause}`)) return;
    const chunks = takeRecording(recordings, tunnel);
    if (chunks === undefined) return;
    this.#written = this.#written
      .then(() => this.#write(subject, cause, Buffer.concat(chunks)))
      .then((file) => {
        if (file === undefined) return;
        const what = cause === 'down' ? 'the peer is lost' : 'much was dropped at once';
        const about = { event: 'dump', tunnel: subject, cause, file };
        log.info(about, `${what}: the last packets of ${subject} are in ${file}`);
      });
  }

  /** Whether a dump of this tunnel and cause may be written by now. */
  #isAllowed(key: string): boolean {
    const nowMs = performance.now();
    const lastMs = this.#lastMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < MINUTE_MS) return false;
    if (nowMs - this.#minuteMs >= MINUTE_MS) {
      this.#minuteMs = nowMs;
      this.#inMinute = 0;
      for (const [old, ms] of this.#lastMs) if (nowMs - ms >= MINUTE_MS) this.#lastMs.delete(old);
    }
    if (this.#inMinute >= DUMPS_A_MINUTE) {
      this.#left++;
      return false;
    }
    this.#inMinute++;
    this.#lastMs.set(key, nowMs);
    return true;
  }

  #tellLeft(): void {
    if (this.#left === 0 || performance.now() - this.#minuteMs < MINUTE_MS) return;
    const left = this.#left;
    this.#left = 0;
    const message = `${left} dumps more were left out: at most ${DUMPS_A_MINUTE} are written a minute`;
    this.#options.log.warn({ event: 'dumps', left }, message);
  }

  /** Whether the folder takes files, said right at the start. */
  async #check(): Promise<void> {
    const { folder } = this.#options;
    await access(folder, constants.W_OK).catch((error: unknown) => this.#fail(error));
  }

  /** Writes a dump and lets old ones go. Returns its path, undefined where it could not be written. */
  async #write(subject: string, cause: Cause, bytes: Uint8Array): Promise<string | undefined> {
    const { folder } = this.#options;
    const time = new Date().toISOString().replace(/[-:.]/g, '');
    const file = join(folder, `${time}-${safeName(subject)}-${cause}.pcapng`);
    const temporary = join(folder, TEMPORARY);
    try {
      await rm(temporary, { force: true });
      await writeWhole(temporary, bytes);
      await rename(temporary, file);
      this.#isFailing = false;
      await this.#prune();
      return file;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      this.#fail(error);
      return undefined;
    }
  }

  async #prune(): Promise<void> {
    const { folder } = this.#options;
    const names = (await readdir(folder)).filter((name) => DUMP_NAME.test(name)).sort();
    for (const name of tooMany(names)) await rm(join(folder, name), { force: true });
  }

  /** Warns, once until a dump could be written again. */
  #fail(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    const { folder, log } = this.#options;
    const message = `no dump was written to ${folder}: ${causeOf(error)}; the router goes on`;
    log.warn({ event: 'dumps', folder, code: codeOf(error) }, message);
  }
}

/** Which dumps are to go: the oldest of a tunnel and cause that has too many, then the oldest of all. */
export function tooMany(sorted: readonly string[]): string[] {
  const ofOne = new Map<string, number>();
  const kept: string[] = [];
  const gone: string[] = [];
  for (const name of [...sorted].reverse()) {
    const about = DUMP_NAME.exec(name)?.[1] ?? '';
    const count = (ofOne.get(about) ?? 0) + 1;
    ofOne.set(about, count);
    const isKept = count <= FILES_OF_ONE && kept.length < FILES_MAX;
    (isKept ? kept : gone).push(name);
  }
  return gone;
}

/** What is recorded of a tunnel; undefined: it has just been taken away. */
function takeRecording(
  recordings: DumpsOptions['recordings'],
  tunnel: string | null,
): Uint8Array[] | undefined {
  try {
    return [...encodeRecording(recordings.recorded(tunnel === null ? 'none' : { tunnel }))];
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** The name of a device may have anything but `/` and blanks in it. */
function safeName(name: string): string {
  return name.replace(/[^A-Za-z0-9_.-]/g, '_');
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o640);
  try {
    await file.writeFile(bytes);
    await file.sync(); // a full disk says so here at the latest
  } finally {
    await file.close();
  }
}

/** Removes what a router that was killed left half written. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = TEMPORARY_NAME.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** The folder and the one above it: packets are nobody else's business. */
function makeFolder(folder: string): void {
  for (const path of [dirname(folder), folder]) {
    try {
      mkdirSync(path, { mode: 0o750 });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  }
}

function causeOf(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `the disk is full (${code})`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `it may not be written to (${code})`;
    default:
      return code;
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? String(error.code) : error.message;
}
