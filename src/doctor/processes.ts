// Processes by the sockets that they have open, as far as this user may look.
import { readdirSync, readlinkSync } from 'node:fs';
import { readText } from './machine.js';

/** The process that listens on the unix socket `path`; undefined where it cannot be found. */
export function listenerOf(path: string): number | undefined {
  const lines = readText('/proc/net/unix').split('\n');
  const inodes = lines.flatMap((line) => {
    const columns = line.trim().split(/ +/);
    return columns[7] === path && columns[6] !== undefined ? [columns[6]] : [];
  });
  return ownersOf(new Set(inodes)).owners[0];
}

export interface Owners {
  readonly owners: readonly number[];
  /** Sockets that nobody was found for: they belong to processes that this user may not look at. */
  readonly hidden: number;
}

/** Processes that have one of the sockets open. */
export function ownersOf(inodes: ReadonlySet<string>): Owners {
  if (inodes.size === 0) return { owners: [], hidden: 0 };
  const found = new Set<string>();
  const owners = listed('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const open = listed(`/proc/${pid}/fd`).flatMap((fd) => {
        const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
        return inode !== undefined && inodes.has(inode) ? [inode] : [];
      });
      for (const inode of open) found.add(inode);
      return open.length > 0;
    });
  return { owners: owners.map(Number), hidden: inodes.size - found.size };
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // another user's, or gone
  }
}

/** Where a link leads, '' where it cannot be told. */
export function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
