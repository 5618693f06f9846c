// The token of the TCP listener: in a file that root and the router's own user can read. A new one with each start.

import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { EXIT, Failure } from '../sys/failure.js';

const TOKEN_BYTES = 32;

/** Where the token of the router at the unix socket `path` lies: `grebe.token` beside `grebe.sock`. */
export function tokenPath(path: string): string {
  return `${path.replace(/\.sock$/, '')}.token`;
}

/** Makes a token and writes it to `file`, which nobody else ever sees half written. */
export function makeToken(file: string): string {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const unfinished = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(unfinished, `${token}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    const cause = error instanceof Error ? error.message : String(error);
    throw new Failure(
      EXIT.failed,
      `cannot write the token of the API: ${cause}`,
      'make room there, or choose another place: grebe run --socket PATH',
    );
  }
  return token;
}

export function removeToken(file: string): void {
  rmSync(file, { force: true });
}
