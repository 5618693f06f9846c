// A packet of a running router, explained: its verdict is the router's, its checks are those of the same code.
import { setU16, u8, u16 } from '../packet/bytes.js';
import { checksum } from '../packet/checksum.js';
import { type Direction, type Explanation, explainRecorded } from '../packet/explain.js';
import type { Reason } from '../packet/reason.js';
import type { Table } from '../packet/table.js';

export interface Traced {
  readonly direction: Direction;
  readonly record: number;
  readonly reason: Reason | null;
  readonly link: number;
  /** Bytes of the whole packet. */
  readonly length: number;
  /** The first of them. */
  readonly bytes: Uint8Array;
}

/** Explains a packet of which only the first bytes are known: the others count as zeros. */
export function explainTraced(
  { bytes, length, reason, ...how }: Traced,
  table: Table,
  links: ReadonlyMap<number, string>,
): Explanation {
  const packet = new Uint8Array(length);
  packet.set(bytes.subarray(0, length));
  if (how.direction === 'decap' && bytes.length < length && reason !== 'gre-checksum') {
    mendChecksum(packet);
  }
  return explainRecorded(packet, table, reason, { ...how, links });
}

/** Puts the GRE checksum right that missing bytes made wrong: the router found it so. */
function mendChecksum(packet: Uint8Array): void {
  const PROTOCOL_GRE = 47;
  const isFour = u8(packet, 0) >>> 4 === 4;
  if (u8(packet, isFour ? 9 : 6) !== PROTOCOL_GRE) return;
  const gre = packet.subarray(isFour ? (u8(packet, 0) & 0x0f) * 4 : 40);
  if (gre.length < 8 || (u16(gre, 0) & 0x8000) === 0) return;
  setU16(gre, 4, 0);
  setU16(gre, 4, checksum(gre));
}
