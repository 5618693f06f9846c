// A packet of a running router, explained: its verdict is the router's, its checks are those of the same code.
import { setU16, u8, u16 } from '../packet/bytes.js';
import { checksum } from '../packet/checksum.js';
import { type Direction, type Explanation, explainRecorded } from '../packet/explain.js';
import { GRE_CHECKSUM } from '../packet/gre.js';
import { PROTOCOL_GRE, PROTOCOL_UDP } from '../packet/ipv4.js';
import { IPV6_HEADER } from '../packet/ipv6.js';
import type { Reason } from '../packet/reason.js';
import type { Table } from '../packet/table.js';
import { isGreUdp, UDP_HEADER, udpChecksum, udpLength } from '../packet/udp.js';

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
  const isWrong = reason === 'gre-checksum' || reason === 'udp-checksum';
  if (how.direction === 'decap' && !isWrong) mendChecksums(packet);
  return explainRecorded(packet, table, reason, { ...how, links });
}

/**
 * Puts right the checksums that the router found right: bytes under them may be missing here, and a socket that took
 * an outer header off had verified that of UDP.
 */
function mendChecksums(packet: Uint8Array): void {
  const isFour = u8(packet, 0) >>> 4 === 4;
  const protocol = u8(packet, isFour ? 9 : 6);
  const upper = packet.subarray(isFour ? (u8(packet, 0) & 0x0f) * 4 : IPV6_HEADER);
  if (protocol === PROTOCOL_GRE) mendGre(upper);
  if (protocol !== PROTOCOL_UDP || !isGreUdp(upper) || udpLength(upper) > upper.length) return;
  const datagram = upper.subarray(0, udpLength(upper));
  mendGre(datagram.subarray(UDP_HEADER));
  const [from, to, end] = isFour ? [12, 16, 20] : [8, 24, IPV6_HEADER];
  const [source, destination] = [packet.subarray(from, to), packet.subarray(to, end)];
  setU16(datagram, 6, 0);
  setU16(datagram, 6, udpChecksum(datagram, source, destination));
}

function mendGre(gre: Uint8Array): void {
  if (gre.length < 8 || (u16(gre, 0) & GRE_CHECKSUM) === 0) return;
  setU16(gre, 4, 0);
  setU16(gre, 4, checksum(gre));
}
