// Two network namespaces with one veth pair between them, and processes inside them.
//
//   left 192.0.2.1 --- u0 === u0 --- 192.0.2.2 right      MTU 1500, offloads off
import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ip, Namespaces, SEARCH_PATH } from '../../src/demo/namespaces.js';
import { EXIT, Failure } from '../../src/sys/failure.js';

export interface Side {
  readonly namespace: string;
  /** Its address on the underlay. */
  readonly address: string;
}

export interface Lab {
  readonly left: Side;
  readonly right: Side;
  /** For files; goes with the lab. */
  readonly folder: string;
  /** False when `ethtool` is missing: the veth then carries superpackets. */
  readonly offloadsOff: boolean;

  /** Runs a command in a namespace to its end and returns its stdout. Does not hold up the event loop. */
  run(side: Side, words: readonly string[], limitMs: number): Promise<string>;

  /** Starts a process in a namespace and waits for its line with `ready`, on stdout or stderr. */
  start(side: Side, words: readonly string[]): Promise<Running>;

  /** Ends what was started and removes what was made. */
  close(): Promise<void>;
}

/** A process inside a namespace. */
export interface Running {
  /** From the start of the process to its line with `ready`. */
  readonly readyMs: number;
  /** User and system time it has used so far. */
  cpuSeconds(): number;
  rssMegabytes(): number;
  /** Resolves with all it said on stdout once it has ended by itself; rejects after `limitMs`. */
  finish(limitMs: number): Promise<string>;
  /** SIGTERM, then SIGKILL. */
  stop(): Promise<void>;
}

const READY_LIMIT_MS = 10_000;
/** USER_HZ: the unit of the times in /proc/PID/stat on every Linux this runs on. */
const TICKS_PER_SECOND = 100;

/** Makes both namespaces and the veth. Throws a Failure, and leaves nothing, when a step is refused. */
export async function openLab(): Promise<Lab> {
  const namespaces = new Namespaces('path');
  try {
    // Without IPv6 no packet crosses that the bench did not send.
    const [a, b] = [
      namespaces.add('left', { ipv6: false }),
      namespaces.add('right', { ipv6: false }),
    ];
    const left: Side = { namespace: a, address: '192.0.2.1' };
    const right: Side = { namespace: b, address: '192.0.2.2' };
    namespaces.link(cableEnd(left), cableEnd(right));
    return {
      left,
      right,
      folder: namespaces.folder,
      offloadsOff: [left, right].every(turnOffloadsOff),
      run: async (side, words, limitMs) => {
        const child = startProcess(namespaces, side, words);
        return finish(namespaces, child, gather(child), words, limitMs);
      },
      start: (side, words) => startReady(namespaces, side, words),
      close: () => namespaces.close(),
    };
  } catch (error) {
    await namespaces.close();
    throw error;
  }
}

function cableEnd(side: Side) {
  return { namespace: side.namespace, device: 'u0', addresses: [`${side.address}/24`] };
}

function turnOffloadsOff(side: Side): boolean {
  const features = ['-K', 'u0', 'tso', 'off', 'gso', 'off', 'gro', 'off'];
  const words = ['netns', 'exec', side.namespace, 'ethtool', ...features];
  return spawnSync('ip', words, { env: { ...process.env, PATH: SEARCH_PATH } }).status === 0;
}

/** Whether `program` is in the search path. */
export function hasProgram(program: string): boolean {
  const env = { ...process.env, PATH: SEARCH_PATH };
  return spawnSync('sh', ['-c', `command -v "${program}"`], { env }).status === 0;
}

/** `ip` inside the namespace of `side`. */
export function ipOf(side: Side, ...words: string[]): string {
  return ip('-n', side.namespace, ...words);
}

interface Gathered {
  stdout: string;
  stderr: string;
}

function startProcess(namespaces: Namespaces, side: Side, words: readonly string[]): ChildProcess {
  const [program = '', ...rest] = words;
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  return namespaces.start(side.namespace, program, rest, { stdio });
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
): Promise<string> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      void namespaces.stop(child);
    }, limitMs);
    const refuse = (cause: string) => {
      const said = text.stderr.trim() || text.stdout.trim().slice(-500);
      reject(new Failure(EXIT.failed, `${words.join(' ')} ${cause}${said ? `: ${said}` : ''}`));
    };
    const settle = (code: number | null, signal: string | null) => {
      clearTimeout(timer);
      if (code === 0) resolve(text.stdout);
      else refuse(late ? `took more than ${limitMs} ms` : `ended (${signal ?? `exit ${code}`})`);
    };
    if (child.exitCode !== null) settle(child.exitCode, null);
    else child.once('close', settle);
  });
}

async function startReady(
  namespaces: Namespaces,
  side: Side,
  words: readonly string[],
): Promise<Running> {
  const startedAt = performance.now();
  const child = startProcess(namespaces, side, words);
  const text = gather(child);
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: string) => {
      clearTimeout(timer);
      const said = `${text.stderr}${text.stdout}`.trim().slice(-500);
      reject(new Failure(EXIT.failed, `${words.join(' ')} ${cause}: ${said}`));
    };
    const timer = setTimeout(() => fail('was not ready in time'), READY_LIMIT_MS);
    const look = () => {
      if (!/\bready\b/.test(text.stdout + text.stderr)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('exit', (code, signal) => fail(`ended (${signal ?? `exit ${code}`})`));
  });
  const readyMs = performance.now() - startedAt;
  const pid = child.pid ?? 0;
  return {
    readyMs,
    cpuSeconds: () => cpuSecondsOf(pid),
    rssMegabytes: () => rssMegabytesOf(pid),
    finish: (limitMs) => finish(namespaces, child, text, words, limitMs),
    stop: () => namespaces.stop(child),
  };
}

function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may hold spaces: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  return (userTicks + systemTicks) / TICKS_PER_SECOND;
}

function rssMegabytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s*(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}
