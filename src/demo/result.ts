import type { Mode } from '../packet/tunnel.js';
import type { BulkResult } from './bulk.js';
import type { EchoResult } from './echo.js';

/** What one tunnel mode did. */
export interface ModeResult {
  readonly mode: Mode;
  /** Echo requests of a usual size, and of one that must be fragmented. */
  readonly echo: EchoResult;
  readonly largeEcho: EchoResult;
  readonly bulk: BulkResult;
  /** Packets that either router dropped. */
  readonly drops: number;
}

/** An outer packet on its way, as the capture file keeps it. */
export interface OuterPacket {
  readonly timeMs: number;
  /** Beginning of the packet, at its outer header (level B) or its Ethernet header (level A). */
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

/** Data bytes of the echo requests: what ping sends, and more than two packets hold. */
export const ECHO_SIZE = 56;
export const LARGE_ECHO_SIZE = 3000;
export const LARGE_ECHO_COUNT = 3;

/** Outer packets of each mode that go into the capture file: the pings and the beginning of the transfer. */
export const CAPTURE_COUNT = 200;

/** Whether everything that was sent arrived, unharmed. */
export function hasPassed({ echo, largeEcho, bulk, drops }: ModeResult): boolean {
  const isWhole = [echo, largeEcho].every(({ sent, received }) => sent === received);
  return isWhole && bulk.intact && bulk.bytes > 0 && drops === 0;
}
