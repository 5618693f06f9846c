// The live view of a router, for any number of watchers: one look at it a second, told to all, and none without watchers.
//
//   1. look      the status, and its differences to the one before
//   2. packets   what was dropped meanwhile, explained, for those who asked for it
//   3. tell      each event is encoded once, whoever watches

import { adviceOn } from '../inspect/advice.js';
import { explainTraced } from '../inspect/traced.js';
import { createTable, type Table } from '../packet/table.js';
import type { Router, Trace, TracedPacket } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { eventsBetween, type Sample, statusEvent } from './change.js';
import { encodeEvent, type LiveEvent } from './event.js';

const LOOK_INTERVAL_MS = 1000;
/** Watchers at a time. */
export const WATCHERS_MAX = 32;
/** Dropped packets a second: more than anybody reads, and explained in less than a millisecond. */
const PACKETS_A_SECOND = 10;

/** Somebody who watches. */
export interface Watcher {
  readonly wantsPackets: boolean;
  /** Takes an encoded event. */
  readonly take: (event: Uint8Array) => void;
}

export class LiveFeed {
  readonly #intervalMs: number;
  readonly #watchers = new Set<Watcher>();
  /** Counts the times that watching began or ended: a look of an earlier one is not told. */
  #round = 0;
  #timer: NodeJS.Timeout | undefined;
  #last: Sample | undefined;
  #packets: { readonly trace: Trace; readonly table: Table } | undefined;
  #isShown = true;

  constructor(intervalMs = LOOK_INTERVAL_MS) {
    this.#intervalMs = intervalMs;
  }

  /** Tells `watcher` the status, then what changes, until the function that it returns is called. */
  watch(router: Router, watcher: Watcher): () => void {
    if (this.#watchers.size >= WATCHERS_MAX) {
      throw new Failure(
        EXIT.unreachable,
        `${WATCHERS_MAX} clients watch the router already`,
        'end one of them: grebe top, or the page in a browser',
      );
    }
    this.#watchers.add(watcher);
    if (this.#last !== undefined) watcher.take(encodeEvent(statusEvent(this.#last)));
    if (watcher.wantsPackets) watcher.take(encodeEvent(this.#packetsEvent()));
    if (this.#watchers.size === 1) void this.#look(router, ++this.#round);
    return () => {
      this.#watchers.delete(watcher);
      if (!this.#wantsPackets()) this.#endPackets();
      if (this.#watchers.size === 0) this.close();
    };
  }

  /** Ends looking. */
  close(): void {
    this.#round++;
    clearTimeout(this.#timer);
    this.#last = undefined;
    this.#endPackets();
    this.#watchers.clear();
  }

  async #look(router: Router, round: number): Promise<void> {
    const status = await router.status().catch(() => undefined);
    if (round !== this.#round) return;
    if (status !== undefined) {
      this.#tellChanges({ timeMs: Date.now(), steadyMs: performance.now(), status });
    }
    if (this.#wantsPackets()) {
      this.#tell(this.#readPackets(router), (one) => one.wantsPackets);
    }
    this.#timer = setTimeout(() => void this.#look(router, round), this.#intervalMs);
  }

  #tellChanges(sample: Sample): void {
    const last = this.#last;
    this.#last = sample;
    const events = last === undefined ? [statusEvent(sample)] : eventsBetween(last, sample);
    // Other tunnels: the trace explains by those it began with.
    if (events.some(({ kind }) => kind === 'status')) this.#endPackets();
    this.#tell(events, () => true);
  }

  #wantsPackets(): boolean {
    return [...this.#watchers].some((one) => one.wantsPackets);
  }

  #tell(events: readonly LiveEvent[], isMeant: (watcher: Watcher) => boolean): void {
    for (const event of events) {
      const encoded = encodeEvent(event);
      for (const watcher of this.#watchers) if (isMeant(watcher)) watcher.take(encoded);
    }
  }

  /** What was dropped since the last look. Without an open trace it opens one, where nobody else has. */
  #readPackets(router: Router): LiveEvent[] {
    const wasShown = this.#isShown;
    if (this.#packets?.trace.isEnded() === true) this.#packets = undefined;
    this.#packets ??= openPackets(router);
    this.#isShown = this.#packets !== undefined;
    const changed = wasShown === this.#isShown ? [] : [this.#packetsEvent()];
    if (this.#packets === undefined) return changed;
    const { trace, table } = this.#packets;
    return [...changed, ...trace.read().packets.map((one) => packetEvent(one, trace, table))];
  }

  #packetsEvent(): LiveEvent {
    return { kind: 'packets', data: { isShown: this.#isShown } };
  }

  #endPackets(): void {
    this.#packets?.trace.close();
    this.#packets = undefined;
  }
}

function openPackets(router: Router): { trace: Trace; table: Table } | undefined {
  try {
    const how = { tunnel: null, dropsOnly: true, limit: PACKETS_A_SECOND, yields: true };
    const trace = router.trace(how);
    return { trace, table: createTable(trace.tunnels) };
  } catch {
    return undefined; // somebody else traces
  }
}

function packetEvent(packet: TracedPacket, { links }: Trace, table: Table): LiveEvent {
  const { timeMs, length, packets } = packet;
  const explained = explainTraced(packet, table, links);
  const next = adviceOn(explained);
  return { kind: 'packet', data: { timeMs, length, packets, ...explained, next } };
}
