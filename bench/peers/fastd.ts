// fastd in TUN mode with the method "null": a daemon in C over UDP, without encryption.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { hasProgram } from '../path/lab.js';
import { versionOf } from './compiled.js';
import type { Path } from './contract.js';
import { type End, endsOf, setUpDevice } from './ends.js';

const DEVICE = 'fastd0';
const PORT = 10000;
/** Outer IPv4 20, UDP 8, and one byte that tells packets from handshakes. */
const MTU = 1471;

interface Keys {
  readonly secret: string;
  readonly open: string;
}

export function fastd(): Path {
  return {
    name: 'fastd',
    missing: () => (hasProgram('fastd') ? undefined : 'fastd is not installed (Debian: fastd)'),
    version: () => versionOf('fastd'),
    open: async (lab) => {
      const [left, right] = endsOf(lab);
      const [leftKeys, rightKeys] = [makeKeys(left), makeKeys(right)];
      writeFileSync(configOf(left), config(left, leftKeys, rightKeys));
      writeFileSync(configOf(right), config(right, rightKeys, leftKeys));
      // The second to start shakes hands with the first: only then both are ready.
      const isReady = (output: string) => output.includes('established');
      const routers = await Promise.all(
        [left, right].map((end) =>
          lab.start(end.side, ['fastd', '-c', configOf(end)], { isReady }),
        ),
      );
      for (const end of [left, right]) setUpDevice(end, DEVICE, MTU);
      return { left: left.inner, right: right.inner, routers };
    },
  };
}

function configOf(end: End): string {
  return end.file('fastd.conf');
}

function config(end: End, own: Keys, other: Keys): string {
  return `mode tun;
interface "${DEVICE}";
method "null";
mtu ${MTU};
bind ${end.side.address}:${PORT};
secret "${own.secret}";
peer "other" {
  key "${other.open}";
  remote ${end.remote}:${PORT};
}
`;
}

function makeKeys(end: End): Keys {
  const secret = run('--generate-key', '--machine-readable');
  const file = end.file('fastd.key');
  writeFileSync(file, `secret "${secret}";\n`, { mode: 0o600 });
  return { secret, open: run('--show-key', '--machine-readable', '-c', file) };
}

function run(...words: string[]): string {
  const result = spawnSync('fastd', words, { encoding: 'utf8' });
  if (result.status === 0) return result.stdout.trim();
  throw new Failure(EXIT.failed, `fastd ${words.join(' ')}: ${result.stderr.trim()}`);
}
