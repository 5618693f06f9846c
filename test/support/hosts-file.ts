// An /etc/hosts of a router's own, which the test writes: the names that its tunnels have.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespaces } from '../../src/demo/namespaces.js';

export interface HostsFile {
  /** Words in front of a command in a namespace, which then has these names and no others. */
  readonly before: readonly string[];
  /** Takes effect with the next question. */
  readonly write: (addresses: Readonly<Record<string, string>>) => void;
}

export function createHostsFile(namespaces: Namespaces, name: string): HostsFile {
  const file = join(namespaces.folder, `${name}.hosts`);
  const write: HostsFile['write'] = (addresses) => {
    const lines = Object.entries(addresses).map(([host, address]) => `${address} ${host}\n`);
    writeFileSync(file, lines.join('')); // in place: the mount is of this very file
  };
  write({});
  // `ip netns exec` has mounts of its own, which end with the command.
  const script = `mount --bind ${file} /etc/hosts && exec "$@"`;
  return { before: ['sh', '-ec', script, 'sh'], write };
}
