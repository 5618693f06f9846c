// Packets of a running router for whoever traces them: one reader at a time, over the trace rings of all lanes.
import { DIRECTION_DECAP } from '../../asm/layout.js';
import { REASON_LOCAL } from '../../asm/reason.js';
import { peerRanges } from '../packet/peers.js';
import { type Reason, reasonName } from '../packet/reason.js';
import type { Tunnel } from '../packet/tunnel.js';
import type { MemoryPlan } from '../ring/plan.js';
import { type TracedEntry, TraceReader } from '../ring/trace-ring.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Trace, TracedPacket, TraceRequest } from './contract.js';

/** By record, the first is record 1. */
type Tunnels = readonly (Tunnel | undefined)[];

export class Traces {
  readonly #memory: WebAssembly.Memory;
  readonly #plan: MemoryPlan;
  readonly #tunnels: () => Tunnels;
  readonly #links: () => ReadonlyMap<number, string>;
  #open: { readonly trace: Trace; readonly yields: boolean } | undefined;

  constructor(
    memory: WebAssembly.Memory,
    plan: MemoryPlan,
    tunnels: () => Tunnels,
    links: () => ReadonlyMap<number, string>,
  ) {
    this.#memory = memory;
    this.#plan = plan;
    this.#tunnels = tunnels;
    this.#links = links;
  }

  /** Begins a trace. Throws a Failure for a tunnel that is not there, and while another trace is open. */
  open({ tunnel, dropsOnly, limit, yields = false }: TraceRequest): Trace {
    const own = tunnel === null ? 0 : this.#recordOf(tunnel);
    // Packets of a tunnel with peers are theirs: those of all tunnels are taken down, and these picked from them.
    const range = peerRanges(this.#tunnels()).find(({ device }) => device === own);
    const record = range === undefined ? own : 0;
    const isWanted = (one: TracedEntry): boolean =>
      range === undefined ||
      one.record === own ||
      (one.record >= range.first && one.record < range.first + range.count);
    if (this.#open?.yields === true && !yields) this.#open.trace.close();
    if (this.#open !== undefined) {
      throw new Failure(
        EXIT.failed,
        'packets are traced already',
        'end the other grebe trace first',
      );
    }
    const lanes = this.#plan.lanes.map((lane) => new TraceReader(this.#memory, lane.trace));
    const ofLane = Math.max(1, Math.floor(limit / lanes.length));
    for (const lane of lanes) lane.start({ limit: ofLane, dropsOnly, record });
    const trace: Trace = {
      tunnels: this.#tunnels(),
      links: this.#links(),
      // What the lanes copy after its end is not for this trace.
      read: () => (trace.isEnded() ? { packets: [], missed: 0 } : readAll(lanes, isWanted)),
      isEnded: () => this.#open?.trace !== trace,
      close: () => {
        if (this.#open?.trace !== trace) return; // the lanes may be another's by this time
        for (const lane of lanes) lane.stop();
        this.#open = undefined;
      },
    };
    this.#open = { trace, yields };
    return trace;
  }

  /** The tunnels are others: one who looks on by the way begins anew. */
  renew(): void {
    if (this.#open?.yields === true) this.#open.trace.close();
  }

  #recordOf(name: string): number {
    const index = this.#tunnels().findIndex((tunnel) => tunnel?.name === name);
    if (index >= 0) return index + 1;
    const names = this.#tunnels().flatMap((tunnel) => tunnel?.name ?? []);
    throw new Failure(
      EXIT.noInput,
      `there is no tunnel ${JSON.stringify(name)}`,
      names.length === 0 ? 'the router has none' : `tunnels: ${names.join(', ')}`,
    );
  }
}

function readAll(
  lanes: readonly TraceReader[],
  isWanted: (entry: TracedEntry) => boolean,
): ReturnType<Trace['read']> {
  const read = lanes.map((lane) => lane.read());
  const packets = read.flatMap(({ entries }, lane) =>
    entries.filter(isWanted).map((one) => traced(one, lane)),
  );
  packets.sort((a, b) => a.timeMs - b.timeMs);
  return { packets, missed: read.reduce((sum, { missed }) => sum + missed, 0) };
}

function traced({ direction, reason, ...entry }: TracedEntry, lane: number): TracedPacket {
  return {
    ...entry,
    lane,
    direction: direction === DIRECTION_DECAP ? 'decap' : 'encap',
    reason: nameOf(reason),
  };
}

/** A codec that is wrong may leave any number as a reason: such a packet is counted as its fault. */
function nameOf(reason: number): Reason | null {
  if (reason === REASON_LOCAL) return null; // no drop
  try {
    return reasonName(reason);
  } catch {
    return 'codec-fault';
  }
}
