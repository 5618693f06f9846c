import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchStatus } from '../control/client.js';
import type { StatusMessage } from '../control/message.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Namespaces } from './namespaces.js';

const PROGRAM = fileURLToPath(new URL('../cli/main.js', import.meta.url));
/** A router is ready in well under a second; a machine under load gets more. */
const READY_MS = 10_000;

export interface RouterProcess {
  readonly child: ChildProcess;
  /** Path of its control socket. */
  readonly socket: string;
  readonly config: string;
  /** How long it took to be ready. */
  readonly readyMs: number;
  /** What it has said on stderr. */
  readonly messages: () => string;
}

/**
 * Starts `grebe run` inside `namespace` and waits until it is ready. `tunnels`: the `[tunnel.NAME]` tables of
 * its config in TOML; `router`: lines of its `[router]` table; `before`: words in front of the command. Throws a Failure with the router's own words
 * when it ends before that.
 */
export async function startRouter(
  namespaces: Namespaces,
  namespace: string,
  tunnels: string,
  router = '',
  before: readonly string[] = [],
): Promise<RouterProcess> {
  const config = join(namespaces.folder, `${namespace}.toml`);
  const socket = join(namespaces.folder, `${namespace}.sock`);
  // Nothing of it stays behind.
  const lines = /^recorder\b/m.test(router) ? router : `${router}\nrecorder = { dumps = "off" }`;
  writeFileSync(config, `[router]\nsocket = ${JSON.stringify(socket)}\n${lines}\n${tunnels}`);
  const start = Date.now();
  const words = [...before, process.execPath, PROGRAM, 'run', '--config', config];
  const [command = '', ...args] = words;
  const child = namespaces.start(namespace, command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let messages = '';
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: string): void => {
      clearTimeout(timer);
      reject(new Failure(EXIT.failed, `grebe run in ${namespace} ${cause}: ${messages.trim()}`));
    };
    const timer = setTimeout(() => fail(`was not ready after ${READY_MS} ms`), READY_MS);
    child.stderr?.on('data', (data) => {
      messages += String(data);
      if (!/\bready\b/.test(messages)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', (code, signal) => fail(`ended (${signal ?? `exit ${code}`})`));
    child.once('error', (error) => fail(error.message));
  });
  return { child, socket, config, readyMs: Date.now() - start, messages: () => messages };
}

export type Status = StatusMessage;

/** Asks a router for its status, as `grebe status` does. */
export function readStatus(router: RouterProcess): Promise<Status> {
  return fetchStatus(router.socket);
}
