// Whose packets the counters of each record are about: those of a tunnel, or of one of its peers as the config names it.
import type { MemoryPlan } from '../ring/plan.js';
import { addCounters, clearRecord, type RecordCounters, readRecord } from '../tunnel/counters.js';
import type { Fleet } from './fleet.js';

/** By record, whom it counts for in this fleet. */
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

/** Records that counted once, with what was counted for those who had them before. */
export class CountedRecords {
  readonly #memory: WebAssembly.Memory;
  readonly #plan: MemoryPlan;
  readonly #ids: Map<number, string>;
  #retired: RecordCounters | undefined;

  constructor(memory: WebAssembly.Memory, plan: MemoryPlan, fleet: Fleet) {
    this.#memory = memory;
    this.#plan = plan;
    this.#ids = recordIds(fleet);
  }

  /** What was counted for tunnels and peers that are not in `fleet`. */
  gone(fleet: Fleet): RecordCounters | undefined {
    const present = recordIds(fleet);
    let sum = this.#retired;
    for (const record of this.#ids.keys()) {
      if (!present.has(record)) sum = this.#plus(sum, record);
    }
    return sum;
  }

  /** Whether a record counted for another than `id` so far. */
  isOthers(record: number, id: string): boolean {
    return (this.#ids.get(record) ?? id) !== id;
  }

  /** Lets a record count for `id`, from nothing on where it counted for another. */
  give(record: number, id: string): void {
    if (this.isOthers(record, id)) {
      this.#retired = this.#plus(this.#retired, record);
      clearRecord(this.#memory, this.#plan, record);
    }
    this.#ids.set(record, id);
  }

  #plus(sum: RecordCounters | undefined, record: number): RecordCounters {
    const row = readRecord(this.#memory, this.#plan, record);
    return sum === undefined ? row : addCounters(sum, row);
  }
}
