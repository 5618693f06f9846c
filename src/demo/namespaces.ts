// Network namespaces for the demo and for the end-to-end tests: made under names of their own, and
// always removed.
//
//   add, link      make namespaces and the virtual cables between them
//   run, start     a command inside, to its end or in the background
//   close          stop what was started, delete what was made
//
// A name is grebe-LABEL-NAME-PID, so that two runs never meet and a later run can tell what a killed one
// left behind. Nothing outside these namespaces is touched.
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, Failure } from '../sys/failure.js';

/** How long a process may take to end after SIGTERM before it is killed. */
const STOP_MS = 2000;

/** PATH may lack sbin for ordinary users; `ip` usually lives there. */
export const SEARCH_PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
const ENVIRONMENT = { ...process.env, PATH: SEARCH_PATH };

/** One end of a virtual cable. */
export interface CableEnd {
  /** What `add` returned. */
  readonly namespace: string;
  readonly device: string;
  /** `address/bits`, IPv4 or IPv6. */
  readonly addresses: readonly string[];
}

export interface AddOptions {
  /** false: no IPv6 in it at all, so that no packet is sent that nobody asked for. */
  readonly ipv6?: boolean;
  /** Forwards packets between its devices. */
  readonly forward?: boolean;
}

/** Labs that are open: removed even when the process ends early. */
const open = new Set<Namespaces>();

export class Namespaces {
  /** A folder for files of this run, removed with the rest. */
  readonly folder: string;
  readonly #label: string;
  readonly #names: string[] = [];
  readonly #children = new Set<ChildProcess>();

  constructor(label: string) {
    this.#label = label;
    this.folder = mkdtempSync(join(tmpdir(), `grebe-${label}-`));
    guard();
    open.add(this);
  }

  /** Makes a namespace with its loopback device up and returns its full name. */
  add(name: string, options: AddOptions = {}): string {
    const full = `grebe-${this.#label}-${name}-${process.pid}`;
    ip('netns', 'add', full);
    this.#names.push(full);
    const settings: string[] = [];
    const set = (path: string, value: number): number =>
      settings.push(`echo ${value} > /proc/sys/net/${path}`);
    if (options.ipv6 === false) {
      set('ipv6/conf/all/disable_ipv6', 1);
      set('ipv6/conf/default/disable_ipv6', 1);
    } else {
      // Addresses are usable at once: duplicates are not possible here.
      set('ipv6/conf/all/accept_dad', 0);
      set('ipv6/conf/default/accept_dad', 0);
      set('ipv6/conf/default/router_solicitations', 0);
      if (options.forward) {
        set('ipv6/conf/all/forwarding', 1);
        // `all` is what forwarding asks. A device that has it too reports multicast groups, from ::
        // while its address is not ready: tunnels would carry and drop what nobody sent.
        set('ipv6/conf/default/forwarding', 0);
      }
    }
    if (options.forward) set('ipv4/ip_forward', 1);
    // Set whatever the machine's own value is, so that runs are alike.
    set('ipv4/conf/all/rp_filter', 0);
    set('ipv4/conf/default/rp_filter', 0);
    const script = ['sh', '-ec', settings.join('\n')];
    execute('ip', ['netns', 'exec', full, ...script], `kernel settings in ${full}`);
    ip('-n', full, 'link', 'set', 'lo', 'up');
    return full;
  }

  /** Joins two namespaces by a pair of virtual Ethernet devices. */
  link(a: CableEnd, b: CableEnd): void {
    ip(
      ...['-n', a.namespace, 'link', 'add', a.device, 'type', 'veth'],
      ...['peer', 'name', b.device, 'netns', b.namespace],
    );
    for (const end of [a, b]) {
      for (const address of end.addresses) {
        const nodad = address.includes(':') ? ['nodad'] : [];
        ip('-n', end.namespace, 'address', 'add', address, 'dev', end.device, ...nodad);
      }
      ip('-n', end.namespace, 'link', 'set', end.device, 'up');
    }
  }

  /** Runs a command inside to its end and returns what it printed; a failure is thrown with its words. */
  run(namespace: string, command: string, args: readonly string[]): string {
    return execute('ip', ['netns', 'exec', namespace, command, ...args]);
  }

  /** Starts a command inside. It is stopped by `stop` or `close` at the latest. */
  start(
    namespace: string,
    command: string,
    args: readonly string[],
    options: SpawnOptions = {},
  ): ChildProcess {
    // `ip netns exec` becomes the command, so the child's pid is that of the command itself.
    const child = spawn('ip', ['netns', 'exec', namespace, command, ...args], {
      env: ENVIRONMENT,
      ...options,
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Ends a started process: SIGTERM, and SIGKILL to one that does not listen. */
  async stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  /** Stops everything that was started and removes everything that was made. */
  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => this.stop(child)));
    this.closeNow();
  }

  /** `close` for the end of the process: does not wait. */
  closeNow(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.clear();
    for (const name of this.#names.splice(0)) attempt('netns', 'del', name);
    rmSync(this.folder, { recursive: true, force: true });
    open.delete(this);
  }
}

/** Runs `ip` with these words; throws a Failure with its own words when it refuses. */
export function ip(...words: string[]): string {
  return execute('ip', words);
}

/** Removes what runs that were killed left behind: namespaces whose maker is gone, and what runs inside. */
export function sweepNamespaces(): void {
  for (const line of attempt('netns', 'list').split('\n')) {
    const [, name, pid] = /^(grebe-\S+-(\d+))\b/.exec(line) ?? [];
    if (name === undefined || isAlive(Number(pid))) continue;
    for (const left of attempt('netns', 'pids', name).split('\n')) if (left) kill(Number(left));
    attempt('netns', 'del', name);
  }
}

/** `what`: how a failure names the command. */
function execute(
  command: string,
  args: readonly string[],
  what = `${command} ${args.join(' ')}`,
): string {
  const result = spawnSync(command, args, { encoding: 'utf8', env: ENVIRONMENT });
  if (result.status === 0) return result.stdout;
  const cause = result.error?.message ?? (result.stderr.trim() || `exit ${result.status}`);
  throw new Failure(EXIT.failed, `${what}: ${cause}`);
}

/** Runs `ip` with these words and returns what it printed, whether or not it liked them. */
function attempt(...words: string[]): string {
  return spawnSync('ip', words, { encoding: 'utf8', env: ENVIRONMENT }).stdout ?? '';
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

let guarded = false;

/** Removes open labs when the process ends, by a signal too. */
function guard(): void {
  if (guarded) return;
  guarded = true;
  process.once('exit', () => {
    for (const lab of open) lab.closeNow();
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}
