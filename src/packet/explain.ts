// explain: the verdict of one packet, with every check on its way there
//
//   1. decap, encap   the packet path itself, watched: the checks that the packet passed, and its verdict
//   2. passedStages   stages.ts: a line for each of those checks
//   3. endingOf       endings.ts: a line for the check where a dropped packet ended
//   4. nearest        nearest.ts: the tunnel that it nearly belonged to
import { type Decapped, decap } from './decap.js';
import { encapInto, recordOf } from './encap.js';
import { ENDS_AT, endingOf, lateEnding } from './endings.js';
import { type Known, keep } from './known.js';
import { type Nearest, nearestOf } from './nearest.js';
import type { Reason } from './reason.js';
import { passedStages, type Stage } from './stages.js';
import { createState, createTunnelState, type State } from './state.js';
import { type Table, type Tunnels, toTable } from './table.js';
import { isGre } from './tunnel.js';

export type { Difference, Nearest } from './nearest.js';
export type { Stage, StageName } from './stages.js';

export type Direction = 'decap' | 'encap';

/** Which way a packet goes, and what else is known of it. */
export interface ExplainOptions {
  /** `decap`, the default: bytes from the outer IP header on; `encap`: a packet for the tunnel of `record`. */
  readonly direction?: Direction | undefined;
  /** encap: place of the tunnel among the tunnels, from 1. */
  readonly record?: number | undefined;
  /** Sequence numbers so far; otherwise the packet is the first. */
  readonly state?: State | undefined;
  /** Index of the device that an outer packet came from, 0 = not known. */
  readonly link?: number | undefined;
  /** Names of such devices. */
  readonly links?: ReadonlyMap<number, string> | undefined;
}

/** Every check that a packet passed, and its verdict. */
export interface Explanation {
  readonly direction: Direction;
  /** `early`: a numbered packet that waits for those before it; `local`: one that ends at the router itself. */
  readonly verdict: Decapped['verdict'];
  /** Null unless it is dropped. */
  readonly reason: Reason | null;
  /** Name of the tunnel that took or refused it, or null. */
  readonly tunnel: string | null;
  /** The checks in their order; a dropped packet ended in the last. */
  readonly stages: readonly Stage[];
  /** The tunnel it nearly belonged to, where that tells something. */
  readonly nearest: Nearest | null;
}

/** What becomes of `packet` among `tunnels`, and why: by decap or encap themselves. */
export function explain(
  packet: Uint8Array,
  tunnels: Tunnels,
  options: ExplainOptions = {},
): Explanation {
  const table = toTable(tunnels);
  return options.direction === 'encap'
    ? explainEncap(packet, table, options)
    : explainDecap(packet, table, options);
}

function explainDecap(packet: Uint8Array, table: Table, options: ExplainOptions): Explanation {
  const { state = createState(), link = 0 } = options;
  const known: Known = { packet, table, way: [] };
  const observe = keep.bind(null, known);
  const { verdict, reason, tunnel, record } = decap(packet, table, state, link, observe);
  const stages = passedStages(known);
  if (reason !== null) {
    const isOrdered = tunnel !== null && isGre(tunnel) && tunnel.sequenceIn;
    const expected = isOrdered ? state.of(tunnel, record).rxNext : undefined;
    stages.push(endingOf(reason, known, expected));
  }
  if (verdict === 'early') {
    stages.push({ name: 'sequence', passed: true, detail: 'early: it waits for those before it' });
  }
  const near = nearestOf(reason, known, options);
  const name = tunnel?.name ?? null;
  return { direction: 'decap', verdict, reason, tunnel: name, stages, nearest: near };
}

function explainEncap(packet: Uint8Array, table: Table, options: ExplainOptions): Explanation {
  const { state = createState(), record: device = 0 } = options;
  const known: Known = { packet, table, way: [] };
  const record = recordOf(packet, table, device);
  const entry = table.entries[record - 1];
  const memory = entry === undefined ? createTunnelState() : state.of(entry.tunnel, record);
  const observe = keep.bind(null, known);
  const result = encapInto(packet, entry, memory, undefined, table, observe);
  const { verdict, reason } = result;
  const stages = passedStages(known, result.verdict === 'ok' ? result.packet : undefined);
  if (reason !== null) stages.push(endingOf(reason, known));
  const tunnel = entry?.tunnel.name ?? null;
  return { direction: 'encap', verdict, reason, tunnel, stages, nearest: null };
}

/**
 * Explains a packet whose verdict is known from elsewhere, a running router: what it knew (sequence numbers, the
 * kernel's answers) and bytes that are missing here may have made the difference.
 */
export function explainRecorded(
  packet: Uint8Array,
  tunnels: Tunnels,
  reason: Reason | null,
  options: ExplainOptions & { readonly record: number },
): Explanation {
  const table = toTable(tunnels);
  const found = explain(packet, table, options);
  const entry = table.entries[options.record - 1];
  const name = entry?.tunnel.name ?? null;
  const recorded = { ...found, verdict: reason === null ? 'ok' : 'drop', reason } as const;
  if (found.reason === reason) {
    const verdict = found.verdict === 'local' ? 'local' : recorded.verdict;
    return { ...recorded, verdict, tunnel: name };
  }
  const passed = found.stages.filter((stage) => stage.passed);
  if (reason === null) return { ...recorded, tunnel: name, stages: passed, nearest: null };
  const index = passed.findIndex((stage) => stage.name === ENDS_AT[reason]);
  const before = index < 0 ? passed : passed.slice(0, index);
  const stages = [...before, lateEnding(reason, entry)];
  return { ...recorded, tunnel: name, stages, nearest: null };
}
