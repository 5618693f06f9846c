import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT, Failure } from '../sys/failure.js';
import type { Call } from './command.js';

const DEFAULT_SOCKET = '/run/grebe/grebe.sock';
const DEFAULT_CONFIG = '/etc/grebe/grebe.toml';

/** Bytes of a unix socket's path without its final zero: sizeof sun_path - 1. Node cuts a longer one off. */
const SOCKET_PATH_MAX = 107;

/** The path that a `--socket` names. Throws a usage Failure for one that no socket can have. */
export function namedSocket(word: string): string {
  const path = resolve(word);
  const size = Buffer.byteLength(path);
  if (word !== '' && size <= SOCKET_PATH_MAX) return path;
  const fault = word === '' ? 'is empty' : `is ${size} bytes long, at most ${SOCKET_PATH_MAX} fit`;
  throw new Failure(
    EXIT.usage,
    `--socket: the path ${fault}`,
    'for instance --socket ./grebe.sock',
  );
}

/**
 * Asks the router that the command line means. With `--socket` that one; with `--config` the one that
 * config names; else the default one, and where nobody answers there, the one the default config names.
 * A config is read only where it is needed: it costs half of what `grebe status` takes.
 */
export async function askRouter<T>(call: Call, ask: (socket: string) => Promise<T>): Promise<T> {
  if (call.socket !== undefined) return ask(namedSocket(call.socket));
  if (call.config !== undefined) return ask(await socketOf(call.config));
  try {
    return await ask(DEFAULT_SOCKET);
  } catch (error) {
    const isAway = error instanceof Failure && error.exitCode === EXIT.unreachable;
    if (!isAway || !existsSync(DEFAULT_CONFIG)) throw error;
    const named = await socketOf(DEFAULT_CONFIG);
    if (named === DEFAULT_SOCKET) throw error;
    return ask(named);
  }
}

async function socketOf(file: string): Promise<string> {
  const { loadConfigOrFail } = await import('../config/load.js');
  return loadConfigOrFail(file).router.socket;
}
