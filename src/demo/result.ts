import type { Mode } from '../packet/tunnel.js';
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
export interface ModeResult {
  readonly mode: Mode;
  readonly pings: readonly PingResult[];
  readonly bulk: BulkResult;
  /** Packets that either router dropped. */
  readonly drops: number;
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

export interface LevelOptions {
  /** Seconds of each bulk transfer. */
  readonly bulkSeconds: number;
  readonly echoCount: number;
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
  return allAnswered && bulk.intact && bulk.bytes > 0 && drops === 0;
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

/** Drops by reason, of a router and of its tunnels: what any status of a router holds. */
interface Drops {
  readonly drops: Readonly<Record<string, number>>;
  readonly tunnels: readonly { readonly drops: Readonly<Record<string, number>> }[];
}

/** Packets that these routers dropped so far. */
export function countDrops(statuses: readonly Drops[]): number {
  const tables = statuses.flatMap(({ drops, tunnels }) => [
    drops,
    ...tunnels.map((tunnel) => tunnel.drops),
  ]);
  return tables.flatMap((table) => Object.values(table)).reduce((sum, count) => sum + count, 0);
}
