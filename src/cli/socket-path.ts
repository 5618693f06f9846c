import { existsSync } from 'node:fs';
import { EXIT, Failure } from '../sys/failure.js';
import type { Call } from './command.js';

const DEFAULT_SOCKET = '/run/grebe/grebe.sock';
const DEFAULT_CONFIG = '/etc/grebe/grebe.toml';

/**
 * Asks the router that the command line means. With `--socket` that one; with `--config` the one that
 * config names; else the default one, and where nobody answers there, the one the default config names.
 * A config is read only where it is needed: it costs half of what `grebe status` takes.
 */
export async function askRouter<T>(call: Call, ask: (socket: string) => Promise<T>): Promise<T> {
  if (call.socket !== undefined) return ask(call.socket);
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
