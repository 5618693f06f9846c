// CPU time of the whole machine.
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { TICKS_PER_SECOND } from './processes.js';

/** Columns of the `cpu` line in /proc/stat in which a core waits: idle and iowait. */
const WAITING = [3, 4];
/** Columns that guests use; they are in user and nice too. */
const COUNTED = 8;

/** CPUs that other work may keep busy before the machine's CPU time says nothing about a path. */
export const QUIET_LOAD = 0.2;

/** Seconds that all cores together have worked since the machine started. */
export function busySeconds(stat = readFileSync('/proc/stat', 'utf8')): number {
  const [line = ''] = stat.split('\n', 1);
  const ticks = line
    .trim()
    .split(/\s+/)
    .slice(1, 1 + COUNTED)
    .map(Number);
  const busy = ticks.filter((_, column) => !WAITING.includes(column));
  return busy.reduce((sum, value) => sum + value, 0) / TICKS_PER_SECOND;
}

/** CPU-seconds that the machine uses in a second, watched for `seconds`. */
export async function watchBusy(seconds: number): Promise<number> {
  const before = busySeconds();
  await setTimeout(seconds * 1000);
  return (busySeconds() - before) / seconds;
}
