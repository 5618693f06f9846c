// Processes inside namespaces: run to their end, or started and watched until they are ready.
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Namespaces } from '../../src/demo/namespaces.js';
import { EXIT, Failure } from '../../src/sys/failure.js';

/** A process inside a namespace. */
export interface Running {
  /** From the start of the process until it was ready. */
  readonly readyMs: number;
  /** Throws a Failure with its last words when it has ended. */
  requireAlive(): void;
  /** User and system time of all its threads so far. */
  cpuSeconds(): number;
  rssMegabytes(): number;
  /** What it has said so far, on stdout and stderr. */
  output(): string;
  /** Resolves with all it said on stdout once it has ended by itself; rejects after `limitMs`. */
  finish(limitMs: number): Promise<string>;
  /** SIGTERM, then SIGKILL. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Asked again and again until it holds; absent: a line with `ready` on stdout or stderr. */
  readonly isReady?: (output: string) => boolean;
  readonly limitMs?: number;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const READY_LIMIT_MS = 10_000;
/** How often a process that says nothing is asked whether it is ready. */
const READY_INTERVAL_MS = 5;
/** USER_HZ: the unit of the times in /proc/PID/stat on every Linux this runs on. */
export const TICKS_PER_SECOND = 100;
/** How much of what a failed program said goes into the failure. */
const QUOTE_LENGTH = 200;

/**
 * Runs a command to its end and returns its stdout; a failure is thrown with its words. `codes`: exit codes
 * that are no failure.
 */
export function runToEnd(
  namespaces: Namespaces,
  namespace: string,
  words: readonly string[],
  limitMs: number,
  codes: readonly number[] = [0],
): Promise<string> {
  const child = startChild(namespaces, namespace, words, {});
  return finish(namespaces, child, gather(child), words, limitMs, codes);
}

/** Starts a process and waits until it is ready; whatever happens, it ends with its namespaces. */
export async function startReady(
  namespaces: Namespaces,
  namespace: string,
  words: readonly string[],
  options: StartOptions = {},
): Promise<Running> {
  const startedAt = performance.now();
  const child = startChild(namespaces, namespace, words, options.env ?? {});
  const text = gather(child);
  await becomeReady(child, text, words, options);
  const readyMs = performance.now() - startedAt;
  const pid = child.pid ?? 0;
  return {
    readyMs,
    requireAlive: () => {
      if (child.exitCode === null && child.signalCode === null) return;
      const how = child.signalCode ?? `exit ${child.exitCode}`;
      throw new Failure(EXIT.failed, `${words.join(' ')} has ended (${how}): ${quote(text)}`);
    },
    cpuSeconds: () => cpuSecondsOf(pid),
    rssMegabytes: () => rssMegabytesOf(pid),
    output: () => text.stdout + text.stderr,
    finish: (limitMs) => finish(namespaces, child, text, words, limitMs),
    stop: () => namespaces.stop(child),
  };
}

interface Gathered {
  stdout: string;
  stderr: string;
}

function startChild(
  namespaces: Namespaces,
  namespace: string,
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  const [program = '', ...rest] = words;
  // `env` becomes the program, as `ip netns exec` does: the pid stays that of the program.
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const [command = '', ...args] =
    settings.length === 0 ? [program, ...rest] : ['env', ...settings, program, ...rest];
  return namespaces.start(namespace, command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

function gather(child: ChildProcess): Gathered {
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => {
    text.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    text.stderr += chunk;
  });
  return text;
}

function finish(
  namespaces: Namespaces,
  child: ChildProcess,
  text: Gathered,
  words: readonly string[],
  limitMs: number,
  codes: readonly number[] = [0],
): Promise<string> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      void namespaces.stop(child);
    }, limitMs);
    const refuse = (cause: string) => {
      reject(new Failure(EXIT.failed, `${words.join(' ')} ${cause}: ${quote(text)}`));
    };
    const settle = (code: number | null, signal: string | null) => {
      clearTimeout(timer);
      if (code !== null && codes.includes(code)) resolve(text.stdout);
      else refuse(late ? `took more than ${limitMs} ms` : `ended (${signal ?? `exit ${code}`})`);
    };
    if (child.exitCode !== null) settle(child.exitCode, null);
    else child.once('close', settle);
  });
}

function becomeReady(
  child: ChildProcess,
  text: Gathered,
  words: readonly string[],
  options: StartOptions,
): Promise<void> {
  const isReady = options.isReady ?? ((output) => /\bready\b/.test(output));
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(limit);
      clearInterval(interval);
    };
    const fail = (cause: string) => {
      end();
      reject(new Failure(EXIT.failed, `${words.join(' ')} ${cause}: ${quote(text)}`));
    };
    const look = () => {
      if (!isReady(text.stdout + text.stderr)) return;
      end();
      resolve();
    };
    const limit = setTimeout(
      () => fail('was not ready in time'),
      options.limitMs ?? READY_LIMIT_MS,
    );
    const interval = setInterval(look, READY_INTERVAL_MS);
    child.once('exit', (code, signal) => fail(`ended (${signal ?? `exit ${code}`})`));
  });
}

/** The last that a program said, as one line. */
function quote({ stdout, stderr }: Gathered): string {
  const said = (stderr.trim() || stdout.trim()).slice(-QUOTE_LENGTH);
  return said.replace(/\s+/g, ' ') || 'it said nothing';
}

function cpuSecondsOf(pid: number): number {
  const stat = readOwn(pid, 'stat');
  // The second field is the name in parentheses, which may hold spaces: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  return (userTicks + systemTicks) / TICKS_PER_SECOND;
}

function rssMegabytesOf(pid: number): number {
  const status = readOwn(pid, 'status');
  return Number(/VmRSS:\s*(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

function readOwn(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    throw new Failure(EXIT.failed, `process ${pid} has ended`);
  }
}
