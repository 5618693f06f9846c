// Whose packets the counters of a record are about: those of a tunnel, or of one of its peers as the config names it.
import type { Fleet } from './fleet.js';

/** By record. */
export function recordIds(fleet: Fleet): Map<number, string> {
  return new Map(
    fleet.flatMap(({ record, peers, config }): [number, string][] => [
      [record, config.name],
      ...config.peers.map(({ remote }, index): [number, string] => [
        (peers?.first ?? 0) + index,
        `${config.name} ${remote}`,
      ]),
    ]),
  );
}
