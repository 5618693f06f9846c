import type { Mode } from '../packet/tunnel.js';
import { Failure } from '../sys/failure.js';
import type { BulkResult } from './bulk.js';

export interface EchoResult {
  readonly sent: number;
  readonly received: number;
  /** Round trips; 0 when nothing came back. */
  readonly minMs: number;
  readonly avgMs: number;
  readonly maxMs: number;
}

/** Echo requests of one size. */
export interface PingResult extends EchoResult {
  /** Their data bytes. */
  readonly size: number;
}

/** What one tunnel mode did. */
/** Modes that the demo shows. */
export type ShownMode = Extract<Mode, 'gre' | 'ipip' | 'sit'>;

export interface ModeResult {
  readonly mode: ShownMode;
  readonly pings: readonly PingResult[];
  readonly bulk: BulkResult;
  /** Packets that either router dropped meanwhile, by reason. */
  readonly drops: DropTable;
}

/** An outer packet on its way, as the capture file keeps it. */
export interface OuterPacket {
  readonly timeMs: number;
  /** Its beginning, from the outer header on. */
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** What a level found out. */
export interface LevelResult {
  readonly codec: string;
  readonly underlay: string;
  readonly modes: readonly ModeResult[];
  readonly packets: readonly OuterPacket[];
}

/** The machine does not let the lab of a level be built: no fault of the tunnels. */
export class LabFailure extends Failure {}

export interface LevelOptions {
  /** Seconds of each bulk transfer. */
  readonly bulkSeconds: number;
  readonly echoCount: number;
  /** Told once the level is sure to be possible. */
  readonly onReady: () => void;
  /** Told of each mode as soon as it is done. */
  readonly onMode: (result: ModeResult) => void;
}

/** Data bytes of the usual echo requests: what ping sends. Some larger ones follow. */
export const ECHO_SIZE = 56;
export const LARGE_ECHO_COUNT = 3;

/** Outer packets of each mode that go into the capture file: the pings and the beginning of the transfer. */
export const CAPTURE_COUNT = 200;

/** Whether everything that was sent arrived, unharmed. */
export function hasPassed({ pings, bulk, drops }: ModeResult): boolean {
  const allAnswered = pings.every(({ sent, received }) => sent === received);
  return allAnswered && bulk.intact && bulk.bytes > 0 && Object.keys(drops).length === 0;
}

/** Smallest, mean and largest of the round trips that came back out of `sent`. */
export function summarize(sent: number, roundTrips: readonly number[]): EchoResult {
  const received = roundTrips.length;
  if (received === 0) return { sent, received, minMs: 0, avgMs: 0, maxMs: 0 };
  const total = roundTrips.reduce((sum, ms) => sum + ms, 0);
  return {
    sent,
    received,
    minMs: Math.min(...roundTrips),
    avgMs: total / received,
    maxMs: Math.max(...roundTrips),
  };
}

/** Packets by drop reason. */
export type DropTable = Readonly<Record<string, number>>;

/** Of any status of a router: drops of packets that no tunnel took, and of its tunnels. */
interface RouterDrops {
  readonly drops: DropTable;
  readonly tunnels: readonly { readonly drops: DropTable }[];
}

/** Packets that these routers dropped so far. */
export function sumDrops(statuses: readonly RouterDrops[]): DropTable {
  const sums: Record<string, number> = {};
  for (const { drops, tunnels } of statuses) {
    for (const table of [drops, ...tunnels.map((tunnel) => tunnel.drops)]) {
      for (const [reason, count] of Object.entries(table)) {
        sums[reason] = (sums[reason] ?? 0) + count;
      }
    }
  }
  return sums;
}

/** What came to `before` since. */
export function newDrops(before: DropTable, now: DropTable): DropTable {
  const grown = Object.entries(now).map(([reason, count]) => [
    reason,
    count - (before[reason] ?? 0),
  ]);
  return Object.fromEntries(grown.filter(([, count]) => count !== 0));
}
