// Differences of counters.

import type { Traffic } from './event.js';

export function difference(old: Traffic, now: Traffic): Traffic {
  return { packets: now.packets - old.packets, bytes: now.bytes - old.bytes };
}

/** What was counted since, or undefined where nothing was. */
export function newCounts<K extends string>(
  old: Partial<Record<K, number>>,
  now: Partial<Record<K, number>>,
): Partial<Record<K, number>> | undefined {
  let found: Partial<Record<K, number>> | undefined;
  for (const key in now) {
    const count = (now[key] ?? 0) - (old[key] ?? 0);
    if (count <= 0) continue;
    found ??= {};
    found[key] = count;
  }
  return found;
}
