// A config file that somebody may be writing at this moment.
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, Failure } from '../sys/failure.js';
import type { Config } from './config.js';
import type { Diagnostic } from './diagnostic.js';
import { configOrFail, loadConfig } from './load.js';

/** Whoever writes a file is done with it, or has gone, when it has not changed for this long. */
const QUIET_MS = 1000;
const POLL_MS = 50;
/** A file that changes all the time is taken as it is then. */
const PATIENCE_MS = 5000;

export interface SettledConfig {
  readonly config: Config;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads `file` for a router that runs. One whose last line has no line end is read again until it has one, or until
 * nobody has changed it for a second. Rejects with a Failure that holds all errors of the file, and for one with
 * nothing in it: that is a write that failed, no wish to have no tunnels.
 */
export async function loadSettled(file: string): Promise<SettledConfig> {
  const until = Date.now() + PATIENCE_MS;
  let loaded = loadConfig(file);
  while (!loaded.hasLineEnd && msSinceChange(file) < QUIET_MS && Date.now() < until) {
    await sleep(POLL_MS);
    loaded = loadConfig(file);
  }
  const config = configOrFail(loaded, file);
  if (!loaded.isEmpty) return { config, diagnostics: loaded.diagnostics };
  throw new Failure(
    EXIT.config,
    `${file} has nothing in it: the tunnels stay as they are`,
    'write the config anew; for a router without tunnels: [router]',
  );
}

/** A file from the future has not changed lately, either. */
function msSinceChange(file: string): number {
  try {
    return Math.abs(Date.now() - statSync(file).mtimeMs);
  } catch {
    return 0; // replaced at this moment: the next read says
  }
}
