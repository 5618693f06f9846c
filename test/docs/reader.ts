// Machines as a reader of the pages has them, in a folder: `sudo` does nothing for root, `npx grebe` is this build with a
// control socket for each machine, and `grebe` a package that programs can import.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const GREBE = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** Names in examples, and what they stand for. */
const HOSTS = [
  '127.0.0.1 localhost',
  '192.0.2.2 gw.office.example.net',
  '192.0.2.3 spoke.example.net',
];

export interface ReaderOptions {
  /** Seconds that `ping` waits between two packets; absent: as it does. */
  readonly pingInterval?: number;
}

/** Makes the machines `here` and `there` in `folder`, which is empty. */
export function makeReader(folder: string, { pingInterval }: ReaderOptions = {}): void {
  for (const name of ['bin', 'node_modules', 'here', 'there']) mkdirSync(join(folder, name));
  symlinkSync(ROOT, join(folder, 'node_modules', 'grebe'));
  writeFileSync(join(folder, 'hosts'), `${HOSTS.join('\n')}\n`);
  const program = (name: string, text: string): void => {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, 'bin', name), 0o755);
  };
  program('sudo', 'exec "$@"');
  const socket = '--socket "$MACHINE/grebe.sock"';
  program('npx', `shift; exec "${process.execPath}" "${GREBE}" "$@" ${socket}`);
  if (pingInterval === undefined) return;
  program('ping', `PATH="\${PATH#*:}"; exec ping -i ${pingInterval} "$@"`);
}

/** A script for bash inside the namespace of a machine, by `ip netns exec`, that does `script` there. */
export function asReader(folder: string, machine: 'here' | 'there', script: string): string {
  const home = join(folder, machine);
  return [
    'set -euo pipefail',
    // `ip netns exec` has mounts of its own, which end with the command.
    `mount --bind "${join(folder, 'hosts')}" /etc/hosts`,
    `export PATH="${join(folder, 'bin')}:$PATH" MACHINE="${home}" LC_ALL=C.UTF-8`,
    `cd "${home}"`,
    script,
  ].join('\n');
}
