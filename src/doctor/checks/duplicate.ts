import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { DEFAULT_CONFIG_FILE, loadConfig } from '../../config/load.js';
import { PROTOCOL_OF } from '../../packet/outer-header.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { readText } from '../machine.js';
import { linkOf, listenerOf, ownersOf } from '../processes.js';
import type { Subject, Target } from '../subject.js';

/** Where a network namespace lists its raw sockets. */
const SOCKETS = ['/proc/net/raw', '/proc/net/raw6'];

/**
 * Whether another process takes the same packets: each raw socket gets a copy of every packet of its protocol. Two
 * tunnels of one config that do are an error of the config.
 */
export const duplicate: Check = {
  looks:
    'raw sockets of the same protocols (/proc/net/raw), and the configs of the routers they belong to',
  fine: 'no other process takes these packets',
  examine: (subject: Subject) => {
    const protocols = new Set(subject.targets.map(({ mode }) => PROTOCOL_OF[mode]));
    const inodes = socketInodes(protocols);
    if (inodes.size === 0) return [];
    const { owners, hidden } = ownersOf(inodes);
    const own = subject.router.kind === 'running' ? listenerOf(subject.router.socket) : undefined;
    const others = owners.filter((pid) => pid !== own);
    const outcomes = others.flatMap((pid) => judge(pid, subject));
    if (hidden === 0) return outcomes;
    const found = `${hidden} raw sockets of these protocols belong to processes that this user may not look at: the router's own, or another's`;
    return [...outcomes, { severity: 'unknown', found, next: 'sudo grebe doctor' }];
  },
};

/** Inodes of the raw sockets of these protocols. */
function socketInodes(protocols: ReadonlySet<number>): Set<string> {
  const lines = SOCKETS.flatMap((file) => readText(file).split('\n').slice(1));
  return new Set(
    lines.flatMap((line) => {
      const columns = line.trim().split(/ +/);
      const protocol = Number.parseInt(columns[1]?.split(':').at(-1) ?? '', 16);
      const inode = columns[9];
      return inode !== undefined && protocols.has(protocol) ? [inode] : [];
    }),
  );
}

function judge(pid: number, { targets }: Subject): Outcome[] {
  const theirs = configOf(pid);
  const name = readText(`/proc/${pid}/comm`).trim();
  if (theirs === undefined) {
    const found = `process ${pid} (${name}) receives the same protocols`;
    return [{ severity: 'note', found, next: `ps -fp ${pid}` }];
  }
  return targets.flatMap((target): Outcome[] => {
    const own = matchesOf(target);
    const twin = theirs.find((other) =>
      matchesOf({ config: other }).some((id) => own.includes(id)),
    );
    if (twin === undefined) return [];
    const found = `the router of process ${pid} has the same tunnel, as ${twin.name}: both take its packets`;
    const next = `end one of them: kill ${pid}; or give one another key`;
    return [{ severity: 'error', tunnel: target.name, found, next }];
  });
}

/** The tunnels of the config that a process of `grebe run` was started with. */
function configOf(pid: number): readonly NonNullable<Target['config']>[] | undefined {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (!words.includes('run')) return undefined;
    const at = words.findIndex((word) => word === '--config' || word.startsWith('--config='));
    const word = words[at]?.split('=')[1] ?? words[at + 1];
    const file = at < 0 || word === undefined ? DEFAULT_CONFIG_FILE : word;
    return loadConfig(resolve(linkOf(`/proc/${pid}/cwd`), file)).config?.tunnels;
  } catch {
    return undefined;
  }
}

/** By what received packets are told to belong to a tunnel, or to one of its peers. */
function matchesOf({ config }: Pick<Target, 'config'>): string[] {
  if (config === undefined) return [];
  const { mode, local, remote, keyIn, dev, peers } = config;
  const remotes = peers.length > 0 ? peers.map((peer) => peer.remote) : [remote];
  return remotes.map((end) => JSON.stringify([mode.replace('tap', ''), local, end, keyIn, dev]));
}
