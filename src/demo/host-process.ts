// Starts the tasks of host.ts inside namespaces and reads what they print.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { EXIT, Failure } from '../sys/failure.js';
import type { BulkResult } from './bulk.js';
import type { Namespaces } from './namespaces.js';
import type { EchoResult } from './result.js';

const PROGRAM = fileURLToPath(new URL('./host.js', import.meta.url));

const ECHO_RESULT = z.object({
  sent: z.number(),
  received: z.number(),
  minMs: z.number(),
  avgMs: z.number(),
  maxMs: z.number(),
});
const BULK_RESULT = z.object({ bytes: z.number(), seconds: z.number(), intact: z.boolean() });
const FRAME = z.object({ timeMs: z.number(), length: z.number(), hex: z.string() });

/** A frame of the underlay as the capture task tells it. */
export interface Frame {
  readonly timeMs: number;
  readonly length: number;
  /** Its beginning. */
  readonly bytes: Uint8Array;
}

/** Pings `address` from inside `namespace`, waiting up to `timeoutMs` for each answer. */
export async function pingFrom(
  namespaces: Namespaces,
  namespace: string,
  address: string,
  count: number,
  size: number,
  timeoutMs = 1000,
): Promise<EchoResult> {
  const words = [address, `${count}`, `${size}`, `${timeoutMs}`];
  return ECHO_RESULT.parse(await runTask(namespaces, namespace, 'echo', ...words));
}

/** Sends to a receiver that `startReceiver` has started, for `seconds` or up to `maxBytes`. */
export async function sendFrom(
  namespaces: Namespaces,
  namespace: string,
  address: string,
  port: number,
  seconds: number,
  maxBytes?: number,
): Promise<BulkResult> {
  const max = maxBytes === undefined ? [] : [`${maxBytes}`];
  const words = [address, `${port}`, `${seconds}`, ...max];
  return BULK_RESULT.parse(await runTask(namespaces, namespace, 'send', ...words));
}

/** Starts a bulk receiver and waits until it can be connected to. */
export async function startReceiver(
  namespaces: Namespaces,
  namespace: string,
  address: string,
  port: number,
): Promise<ChildProcess> {
  const words = ['receive', address, `${port}`];
  const { child } = await startTask(namespaces, namespace, words, () => {});
  return child;
}

/** Captures the first `count` frames of IP protocol `protocol` that pass `device`; resolves once it listens. */
export async function startCapture(
  namespaces: Namespaces,
  namespace: string,
  device: string,
  protocol: number,
  count: number,
): Promise<{ readonly frames: readonly Frame[]; readonly stop: () => Promise<void> }> {
  const frames: Frame[] = [];
  const words = ['capture', device, `${protocol}`, `${count}`];
  const { child, ended } = await startTask(namespaces, namespace, words, (value) => {
    const { timeMs, length, hex } = FRAME.parse(value);
    frames.push({ timeMs, length, bytes: Buffer.from(hex, 'hex') });
  });
  const stop = async (): Promise<void> => {
    await namespaces.stop(child);
    await ended;
  };
  return { frames, stop };
}

/** Runs a task to its end and returns the last line it printed. */
async function runTask(
  namespaces: Namespaces,
  namespace: string,
  ...words: string[]
): Promise<unknown> {
  let last: unknown;
  const { ended } = spawnTask(namespaces, namespace, words, (value) => {
    last = value;
  });
  await ended;
  return last;
}

/** Starts a task and waits for its first line, which says that it listens. */
async function startTask(
  namespaces: Namespaces,
  namespace: string,
  words: readonly string[],
  onLine: (value: unknown) => void,
): Promise<{ readonly child: ChildProcess; readonly ended: Promise<void> }> {
  let isListening = false;
  let listening = (): void => {};
  const first = new Promise<void>((resolve) => {
    listening = resolve;
  });
  const { child, ended } = spawnTask(namespaces, namespace, words, (value) => {
    if (isListening) return onLine(value);
    isListening = true;
    listening();
  });
  await Promise.race([first, ended]);
  return { child, ended };
}

/** `ended` rejects with the task's own words when it fails; being stopped is no failure. */
function spawnTask(
  namespaces: Namespaces,
  namespace: string,
  words: readonly string[],
  onLine: (value: unknown) => void,
): { readonly child: ChildProcess; readonly ended: Promise<void> } {
  const child = namespaces.start(namespace, process.execPath, [PROGRAM, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr?.on('data', (data) => {
    errors += String(data);
  });
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (line) => onLine(JSON.parse(line)));
  }
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0 || code === null) return resolve();
      reject(new Failure(EXIT.failed, `${words.join(' ')} in ${namespace}: ${errors.trim()}`));
    });
  });
  // Its failure is reported to whoever waits for it; a task nobody waits for ends with its namespace.
  ended.catch(() => {});
  return { child, ended };
}
