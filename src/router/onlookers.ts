// Who looks on while packets pass, and keeps what is to outlive them: traces, recordings and dumps, odd ECN, sequence
// numbers. All of them go by the tunnels as they are at the moment.
import type { Logger } from 'pino';
import type { RecorderConfig } from '../config/recorder.js';
import type { Tunnel } from '../packet/tunnel.js';
import { EcnCounts } from '../ring/ecn-counts.js';
import type { MemoryPlan } from '../ring/plan.js';
import { Sequences } from '../ring/sequences.js';
import { stateFolder } from '../sys/state-folder.js';
import { type Dumps, openDumps } from './dumps.js';
import { EcnWatch } from './ecn-watch.js';
import { Recordings } from './recordings.js';
import type { RouterRecords } from './records.js';
import { SequenceStore } from './sequence-store.js';
import { Traces } from './trace.js';

export interface OnlookersOptions {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly recorder: RecorderConfig;
  /** By record; the same list as long as none is another. */
  readonly tunnels: () => readonly (Tunnel | undefined)[];
  readonly records: () => RouterRecords;
  /** Names of devices that tunnels are bound to, by index. */
  readonly links: () => ReadonlyMap<number, string>;
  readonly log: Logger;
}

export class Onlookers {
  readonly traces: Traces;
  readonly recordings: Recordings;
  readonly dumps: Dumps | undefined;
  readonly #sequences: SequenceStore;
  readonly #ecnWatch: EcnWatch;

  constructor(options: OnlookersOptions) {
    const { memory, plan, recorder, tunnels, records, links, log } = options;
    this.traces = new Traces(memory, plan, tunnels, links);
    this.recordings = new Recordings(memory, plan, tunnels);
    this.dumps = openDumps(recorder, this.recordings, log);
    const sequences = new Sequences(memory, plan.states);
    this.#sequences = new SequenceStore({ folder: stateFolder(), sequences, records, log });
    this.#ecnWatch = new EcnWatch({
      names: () => records().map((record) => record?.tunnel.name),
      counts: new EcnCounts(memory, plan.states),
      log,
    });
  }

  /** Before anything is sent: numbers go on where the last run ended. */
  restore(): void {
    this.#sequences.restore();
  }

  /** Once lanes run. */
  start(): void {
    this.dumps?.start();
    this.#ecnWatch.start();
  }

  /** A record that forgot its state is about to be `tunnel`, of which the table does not know yet. */
  begins(record: number, tunnel: Tunnel): void {
    this.#sequences.resume(record, tunnel);
  }

  /** The packets of a record are those of another tunnel or peer from here on. */
  otherOwner(record: number): void {
    this.recordings.forget(record);
  }

  /** The table has other tunnels; `gone`: what it does not know any more, by record. */
  changed(gone: ReadonlyMap<number, Tunnel>): void {
    for (const [record, tunnel] of gone) this.#sequences.note(record, tunnel);
    this.#sequences.changed();
    this.traces.renew();
  }

  /** When nothing is sent any more. Resolves once all that is to be written is. Idempotent. */
  async stop(): Promise<void> {
    this.#ecnWatch.stop();
    this.#sequences.close();
    await this.dumps?.stop();
  }
}
