// A network namespace for one test file: the process leaves the machine's network for a new, empty one,
// which goes when the process goes. Nothing has to be named or removed.
import { spawnSync } from 'node:child_process';
import koffi from 'koffi';

const CLONE_NEWNET = 0x4000_0000;

/** Enters it and brings loopback up. Returns false, or the reason why not: what a test's `skip` takes. */
export function enterOwnNamespace(): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  const unshare: (flags: number) => number = koffi.load('libc.so.6').func('int unshare(int flags)');
  if (unshare(CLONE_NEWNET) !== 0) return 'needs root: a network namespace of its own';
  ip('link set dev lo up');
  return false;
}

/** Runs `ip` in the namespace; throws with its words when it fails. */
export function ip(line: string): string {
  const { status, stdout, stderr } = spawnSync('ip', line.split(' '), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${line}: ${stderr}`);
  return stdout;
}
