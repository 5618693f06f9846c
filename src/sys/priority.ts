// CPU time of this process's threads, as setpriority(2) tells it to Linux: there, a niceness belongs to a thread.
import { readdirSync, readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { basename } from 'node:path';

/** Largest niceness that there is. */
const NICEST = 19;

/** The kernel's number of the calling thread. */
export function threadId(): number {
  return Number(basename(readlinkSync('/proc/thread-self')));
}

/**
 * Lets the threads `favoured` (kernel's numbers) run before all others of this process, also before those that are
 * made later: the others become nicer by `by`. Needs no capability and cannot be taken back without one. Returns false
 * when the kernel refuses.
 */
export function favourThreads(favoured: ReadonlySet<number>, by: number): boolean {
  const niceness = Math.min(NICEST, getPriority() + by);
  try {
    for (const entry of readdirSync('/proc/self/task')) {
      const id = Number(entry);
      if (!favoured.has(id)) makeNicer(id, niceness);
    }
    return true;
  } catch {
    return false;
  }
}

function makeNicer(id: number, niceness: number): void {
  try {
    setPriority(id, niceness);
  } catch (error) {
    if (!String(error).includes('ESRCH')) throw error; // it has ended meanwhile
  }
}
