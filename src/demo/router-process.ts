import { type ChildProcess, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
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
 * its config in TOML; `router`: lines of its `[router]` table. Throws a Failure with the router's own words
 * when it ends before that.
 */
export async function startRouter(
  namespaces: Namespaces,
  namespace: string,
  tunnels: string,
  router = '',
): Promise<RouterProcess> {
  const config = join(namespaces.folder, `${namespace}.toml`);
  const socket = join(namespaces.folder, `${namespace}.sock`);
  writeFileSync(config, `[router]\nsocket = ${JSON.stringify(socket)}\n${router}\n${tunnels}`);
  const start = Date.now();
  const child = namespaces.start(
    namespace,
    process.execPath,
    [PROGRAM, 'run', '--config', config],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
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

const COUNTERS = z.object({ packets: z.number(), bytes: z.number() });
const DROPS = z.record(z.string(), z.number());
const STATUS = z.object({
  schema: z.literal('grebe.status/1'),
  codec: z.string(),
  underlay: z.string(),
  uptimeSeconds: z.number(),
  tunnels: z.array(
    z.object({
      name: z.string(),
      mode: z.string(),
      local: z.string(),
      remote: z.string(),
      state: z.enum(['up', 'down']),
      mtu: z.number(),
      rx: COUNTERS,
      tx: COUNTERS,
      drops: DROPS,
    }),
  ),
  drops: DROPS,
});

/** What `grebe status -j` tells. */
export type Status = z.infer<typeof STATUS>;

/** Asks a router for its status the way a user does. */
export function readStatus(router: RouterProcess): Status {
  return STATUS.parse(JSON.parse(grebe('status', '-j', '--socket', router.socket)));
}

/** Runs another command of grebe and returns its stdout; throws a Failure with its own words. */
export function grebe(...words: string[]): string {
  const result = spawnSync(process.execPath, [PROGRAM, ...words], { encoding: 'utf8' });
  // `status` ends with 3 when a tunnel is down: its output is whole.
  if (result.status === EXIT.ok || result.status === EXIT.down) return result.stdout;
  throw new Failure(EXIT.failed, `grebe ${words.join(' ')}: ${result.stderr.trim()}`);
}
