// The path of a control socket: made, claimed from a dead router, left to a living one.
//
//   1. makeFolder    where it lies
//   2. claimSocket   listens; once more after a dead router's socket was removed
//   3. shareSocket   with the group of the router's users

import { chownSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, Failure } from '../sys/failure.js';

/** Owner and group may talk to the router, nobody else. */
const SOCKET_UMASK = 0o117;
/**
 * How long a socket that takes connections may answer none. A killed router listens until the kernel has
 * removed its devices, 20 to 30 ms each.
 */
const SILENCE_LIMIT_MS = 10_000;
const PROBE_PAUSE_MS = 20;
/** Routers that start at the same time may each find what another one just made, or just removed. */
const CLAIMS_MAX = 5;

function makeFolder(path: string): void {
  const folder = dirname(path);
  try {
    makeFolders(folder);
  } catch (error) {
    throw new Failure(
      EXIT.failed,
      `cannot make ${folder}, the folder of the control socket: ${codeOf(error)}`,
      'choose another place: grebe run --socket PATH',
    );
  }
}

/** Like `mkdir -p`. Node's own never returns where a file system refuses every name, as /proc does. */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return;
  makeFolders(dirname(folder));
  mkdirSync(folder, { mode: 0o755 });
}

/** Lets `server` listen on the unix socket `path`. The one that a dead router left is replaced; a live one is a Failure. */
export async function claimSocket(server: Server, path: string): Promise<void> {
  makeFolder(path);
  for (let attempt = 1; ; attempt++) {
    try {
      return await listen(server, path);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EADDRINUSE' && attempt < CLAIMS_MAX) {
        await removeStale(path);
        continue;
      }
      throw new Failure(
        EXIT.failed,
        `cannot listen on the control socket ${path}: ${code}`,
        'choose another place: grebe run --socket PATH',
      );
    }
  }
}

/**
 * Gives the socket at `path` to `group`, where the machine has one of that name: its members may talk to the router.
 * Without the right to do so it stays with the group of the process.
 */
export function shareSocket(path: string, group: string): void {
  const line = groups().find((one) => one.startsWith(`${group}:`));
  const id = Number(line?.split(':')[2] ?? Number.NaN);
  if (!Number.isInteger(id)) return;
  try {
    chownSync(path, process.getuid?.() ?? 0, id);
  } catch {
    // EPERM, or EINVAL in a user namespace that does not know the group
  }
}

function groups(): string[] {
  try {
    return readFileSync('/etc/group', 'utf8').split('\n');
  } catch {
    return [];
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket gets its mode when it is made, inside listen(): there is no moment when others may connect.
    const before = process.umask(SOCKET_UMASK);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** Removes the socket at `path` when nobody listens on it; otherwise throws a Failure. */
async function removeStale(path: string): Promise<void> {
  const place = lstatSync(path, { throwIfNoEntry: false });
  if (place === undefined) return; // its router has removed it since
  if (!place.isSocket()) {
    throw new Failure(
      EXIT.failed,
      `${path} exists and is no socket`,
      'choose another place: grebe run --socket PATH',
    );
  }
  const end = Date.now() + SILENCE_LIMIT_MS;
  let found = await probe(path, SILENCE_LIMIT_MS);
  while (found === 'gone' && Date.now() < end) {
    await sleep(PROBE_PAUSE_MS);
    found = await probe(path, end - Date.now());
  }
  if (found === 'ECONNREFUSED') {
    // Not the one that another router may have put there since.
    const isSame = lstatSync(path, { throwIfNoEntry: false })?.ctimeMs === place.ctimeMs;
    if (isSame) rmSync(path, { force: true });
  } else if (found !== 'ENOENT') throw takenFailure(path, found);
}

function takenFailure(path: string, found: string): Failure {
  const other = 'run this one with another --socket';
  if (found === 'answer') {
    const message = `another router already answers on ${path}`;
    return new Failure(EXIT.failed, message, `see it: grebe status --socket ${path}; or ${other}`);
  }
  const isDeaf = found === 'silence' || found === 'gone';
  const message = isDeaf
    ? `another process listens on ${path} and does not answer`
    : `cannot ask who listens on ${path}: ${found}`;
  return new Failure(EXIT.failed, message, `see it: sudo ss -xlp src ${path}; or ${other}`);
}

/**
 * Sends a request to `path`. Resolves with `answer`, `silence`, `gone` (ended without an answer), or with
 * the code of the error.
 */
function probe(path: string, limitMs: number): Promise<string> {
  return new Promise((resolve) => {
    const connection = createConnection(path, () => connection.write('HEAD / HTTP/1.0\r\n\r\n'));
    const timer = setTimeout(() => settle('silence'), limitMs);
    const settle = (found: string): void => {
      clearTimeout(timer);
      connection.destroy();
      resolve(found);
    };
    connection.once('data', () => settle('answer'));
    connection.once('close', () => settle('gone'));
    connection.once('error', (error) => {
      const code = codeOf(error);
      settle(code === 'ECONNRESET' || code === 'EPIPE' ? 'gone' : code);
    });
  });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? String(error.code) : error.message;
}
