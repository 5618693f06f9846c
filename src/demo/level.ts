// Which level of the demo this machine allows.
//
//   direct           root (or the rights of root) may make namespaces and TUN devices
//   user-namespace   anyone may, inside a user namespace of his own
//   otherwise        both routers in memory; `obstacles` says why
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { SEARCH_PATH } from './namespaces.js';

export type Way =
  | { readonly kind: 'direct' }
  | { readonly kind: 'user-namespace' }
  | { readonly kind: 'none'; readonly obstacles: readonly string[] };

const TUN = '/dev/net/tun';

/** Environment variable of a demo that runs in a user namespace already: it does not nest. */
export const INSIDE = 'GREBE_DEMO_INSIDE';

/** Before a command in a user namespace: `ip netns` keeps names under /run, which is not the user's. */
const OWN_RUN = 'mount -t tmpfs grebe-demo /run && exec "$@"';

/** The command line that runs `words` in a user namespace, with the rights of root over what it makes there. */
export function inUserNamespace(words: readonly string[]): readonly [string, string[]] {
  const options = ['--user', '--map-root-user', '--net', '--mount'];
  return ['unshare', [...options, 'sh', '-c', OWN_RUN, 'grebe', ...words]];
}

/** Tries, and leaves nothing behind. */
export function findWay(): Way {
  const general = [lacksLinux(), lacksIp(), lacksTun()].filter((cause) => cause !== undefined);
  if (general.length > 0) return { kind: 'none', obstacles: general };

  const probe = `grebe-probe-${process.pid}`;
  const direct = attempt('ip', ['netns', 'add', probe]);
  if (direct === undefined) {
    attempt('ip', ['netns', 'del', probe]);
    return { kind: 'direct' };
  }
  if (process.env[INSIDE] !== undefined) {
    return { kind: 'none', obstacles: [`no network namespace in a user namespace: ${direct}`] };
  }
  // The name of the namespace is gone together with the mount namespace.
  const inside = attempt(...inUserNamespace(['ip', 'netns', 'add', probe]));
  if (inside === undefined) return { kind: 'user-namespace' };
  return {
    kind: 'none',
    obstacles: [`no network namespace: ${direct}`, `no user namespace: ${inside}`],
  };
}

function lacksLinux(): string | undefined {
  return process.platform === 'linux' ? undefined : `this is ${process.platform}, not Linux`;
}

function lacksIp(): string | undefined {
  const cause = attempt('ip', ['-V']);
  return cause === undefined ? undefined : `iproute2 is missing: ${cause}`;
}

function lacksTun(): string | undefined {
  try {
    closeSync(openSync(TUN, 'r+'));
    return undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    return `no TUN device: ${TUN}: ${code}`;
  }
}

/** Runs a command; returns why it failed, or undefined. */
function attempt(command: string, args: readonly string[]): string | undefined {
  const env = { ...process.env, PATH: SEARCH_PATH };
  const result = spawnSync(command, args, { encoding: 'utf8', env });
  if (result.status === 0) return undefined;
  return result.error?.message ?? (result.stderr.trim() || `exit ${result.status}`);
}
