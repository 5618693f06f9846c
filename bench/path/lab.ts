// Two network namespaces with one veth pair between them, and processes inside them.
//
//   left 192.0.2.1 --- u0 === u0 --- 192.0.2.2 right      MTU 1500, offloads off
//
// Everything has a unique name, every process is ended by its id, and close() removes the rest.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EXIT, Failure } from '../../src/sys/failure.js';

export interface Side {
  readonly namespace: string;
  /** Its address on the underlay. */
  readonly address: string;
}

export interface Lab {
  readonly left: Side;
  readonly right: Side;
  /** False when `ethtool` is missing: the veth then carries superpackets. */
  readonly offloadsOff: boolean;
  close(): void;
}

/** A process inside a namespace. */
export interface Running {
  readonly pid: number;
  /** From the start of the process to its line with `ready`. */
  readonly readyMs: number;
  /** User and system time it has used so far. */
  cpuSeconds(): number;
  rssMegabytes(): number;
  /** SIGTERM, then SIGKILL after two seconds. */
  stop(): Promise<void>;
}

const UNDERLAY_MTU = 1500;
const COMMAND_LIMIT_MS = 10_000;
const READY_LIMIT_MS = 10_000;
const STOP_LIMIT_MS = 2_000;
/** USER_HZ: the unit of the times in /proc/PID/stat on every Linux this runs on. */
const TICKS_PER_SECOND = 100;

let labs = 0;

/** Makes both namespaces and the veth. Throws a Failure, and leaves nothing, when a step is refused. */
export function openLab(): Lab {
  const name = `grebe-path-${process.pid}-${++labs}`;
  const left: Side = { namespace: `${name}-l`, address: '192.0.2.1' };
  const right: Side = { namespace: `${name}-r`, address: '192.0.2.2' };
  const close = () => {
    for (const side of [left, right]) spawnSync('ip', ['netns', 'delete', side.namespace]);
  };
  try {
    for (const side of [left, right]) command('ip', ['netns', 'add', side.namespace]);
    const veth = ['link', 'add', 'u0', 'mtu', `${UNDERLAY_MTU}`, 'type', 'veth'];
    command('ip', ['-n', left.namespace, ...veth, 'peer', 'name', 'u0', 'netns', right.namespace]);
    for (const side of [left, right]) {
      command('ip', ['-n', side.namespace, 'address', 'add', `${side.address}/24`, 'dev', 'u0']);
      command('ip', ['-n', side.namespace, 'link', 'set', 'u0', 'up', 'mtu', `${UNDERLAY_MTU}`]);
      command('ip', ['-n', side.namespace, 'link', 'set', 'lo', 'up']);
    }
    const offloadsOff = [left, right].every((side) => turnOffloadsOff(side));
    return { left, right, offloadsOff, close };
  } catch (error) {
    close();
    throw error;
  }
}

function turnOffloadsOff(side: Side): boolean {
  const features = ['-K', 'u0', 'tso', 'off', 'gso', 'off', 'gro', 'off'];
  return spawnSync('ip', ['netns', 'exec', side.namespace, 'ethtool', ...features]).status === 0;
}

/** Whether `program` is in the PATH. */
export function hasProgram(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v "${program}"`]).status === 0;
}

/** Runs a command to its end and returns its stdout. Throws a Failure with its stderr. */
export function command(program: string, words: readonly string[], limitMs = COMMAND_LIMIT_MS) {
  const result = spawnSync(program, words, { encoding: 'utf8', timeout: limitMs });
  if (result.status === 0) return result.stdout;
  const cause = result.error?.message ?? result.stderr.trim() ?? `exit ${result.status}`;
  throw new Failure(EXIT.failed, `${program} ${words.join(' ')}: ${cause || result.stdout.trim()}`);
}

/** Runs a command in a namespace to its end, without holding up the event loop. */
export function commandIn(side: Side, words: readonly string[], limitMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawnIn(side, words, limitMs);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(stdout);
      const cause = stderr.trim() || stdout.trim() || `ended with ${signal ?? code}`;
      reject(new Failure(EXIT.failed, `${words.join(' ')}: ${cause}`));
    });
  });
}

/** `ip netns exec` becomes the program itself, so the process id is the program's. */
function spawnIn(side: Side, words: readonly string[], limitMs?: number): ChildProcess {
  return spawn('ip', ['netns', 'exec', side.namespace, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(limitMs === undefined ? {} : { timeout: limitMs, killSignal: 'SIGKILL' as const }),
  });
}

/** Starts a process in a namespace and waits for its line with `ready`, on stdout or stderr. */
export async function startIn(side: Side, words: readonly string[]): Promise<Running> {
  const startedAt = performance.now();
  const child = spawnIn(side, words);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = () => stopChild(child, ended);
  try {
    await readyLine(child, words);
  } catch (error) {
    await stop();
    throw error;
  }
  const readyMs = performance.now() - startedAt;
  const pid = child.pid ?? 0;
  return {
    pid,
    readyMs,
    cpuSeconds: () => cpuSecondsOf(pid),
    rssMegabytes: () => rssMegabytesOf(pid),
    stop,
  };
}

function readyLine(child: ChildProcess, words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const refuse = (cause: string) =>
      reject(new Failure(EXIT.failed, `${words.join(' ')}: ${cause}: ${text.trim().slice(-500)}`));
    const timer = setTimeout(() => refuse('not ready in time'), READY_LIMIT_MS);
    const look = (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4096);
      if (!/\bready\b/.test(text)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('error', (error) => refuse(error.message));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      refuse(`ended with ${signal ?? code}`);
    });
  });
}

async function stopChild(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
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
