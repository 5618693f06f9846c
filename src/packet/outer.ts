// The outer header of a packet of any tunnel that decode knows: IPv4 or IPv6 with GRE, IPv4, IPv6 or
// GRE-in-UDP (RFC 8086) behind it.
import { u8 } from './bytes.js';
import { isValid } from './checksum.js';
import {
  IPV4_HEADER,
  lengthsFit,
  PROTOCOL_GRE,
  PROTOCOL_IPIP,
  PROTOCOL_SIT,
  PROTOCOL_UDP,
  readIpv4,
} from './ipv4.js';
import { IPV6_HEADER, readIpv6, walkExtensions } from './ipv6.js';
import type { Reason } from './reason.js';
import { checkUdp, isGreUdp, UDP_HEADER, udpLength } from './udp.js';

export interface Outer {
  readonly version: 4 | 6;
  /** What the IP header leads to: 47, 4, 41, 17, or an extension header where the walk ended. */
  readonly protocol: number;
  readonly isGre: boolean;
  /** GRE header or inner packet, as far as it is there. */
  readonly payload: Uint8Array;
  /** Bytes are missing at the end. */
  readonly isCut: boolean;
  /** The payload is a later piece of a packet, or lies behind headers that cannot be read. */
  readonly isOpaque: boolean;
  readonly malformed: Reason | null;
}

/** Reads the outer header of a tunnel packet; null for anything else. */
export function readOuter(bytes: Uint8Array): Outer | null {
  const version = u8(bytes, 0) >>> 4;
  if (version === 4 && bytes.length >= IPV4_HEADER) return readOuter4(bytes);
  if (version === 6 && bytes.length >= IPV6_HEADER) return readOuter6(bytes);
  return null;
}

function readOuter4(bytes: Uint8Array): Outer | null {
  const header = readIpv4(bytes);
  // A header length that is wrong leaves the payload where a plain header would end.
  const start = Math.min(Math.max(header.headerLength, IPV4_HEADER), bytes.length);
  const end = Math.min(Math.max(header.totalLength, start), bytes.length);
  let malformed: Reason | null = null;
  if (
    !lengthsFit(header, bytes.length) ||
    !isValid(bytes.subarray(0, Math.max(header.headerLength, IPV4_HEADER)))
  ) {
    malformed = 'outer-header';
  } else if (header.isFragment) {
    malformed = 'outer-fragment';
  }
  return readUpper({
    version: 4,
    protocol: header.protocol,
    payload: bytes.subarray(start, end),
    isCut: header.totalLength > bytes.length,
    isOpaque: header.fragmentOffset !== 0,
    malformed,
    addresses: [bytes.subarray(12, 16), bytes.subarray(16, 20)],
  });
}

function readOuter6(bytes: Uint8Array): Outer | null {
  const header = readIpv6(bytes);
  const length = IPV6_HEADER + header.payloadLength;
  const end = Math.min(length, bytes.length);
  const upper = walkExtensions(bytes, end);
  let malformed: Reason | null = null;
  if (length > bytes.length || upper.end === 'overrun') malformed = 'outer-header';
  else if (upper.end === 'fragment') malformed = 'outer-fragment';
  const found = {
    version: 6,
    protocol: upper.protocol,
    payload: bytes.subarray(Math.min(upper.offset, end), end),
    isCut: length > bytes.length,
    isOpaque: upper.end !== 'reached',
    malformed,
    addresses: [header.source, header.destination],
  } as const;
  // The walk did not come to a protocol: it may have been a tunnel, and it is no good packet.
  return upper.end === 'overrun' ? { ...found, isGre: false } : readUpper(found);
}

interface Found extends Omit<Outer, 'isGre'> {
  readonly addresses: readonly [Uint8Array, Uint8Array];
}

/** What the IP header leads to, if that is a tunnel. */
function readUpper(found: Found): Outer | null {
  const { addresses, ...outer } = found;
  switch (outer.protocol) {
    case PROTOCOL_GRE:
      return { ...outer, isGre: !outer.isOpaque };
    case PROTOCOL_IPIP:
    case PROTOCOL_SIT:
      return { ...outer, isGre: false };
    case PROTOCOL_UDP:
      return readUdp(found);
    default:
      return null;
  }
}

/** GRE-in-UDP; null for any other UDP, or when the port cannot be seen. */
function readUdp(found: Found): Outer | null {
  const { addresses, ...outer } = found;
  const udp = outer.payload;
  if (outer.isOpaque || !isGreUdp(udp)) return null;
  const length = udpLength(udp);
  const gre = udp.subarray(UDP_HEADER, Math.max(UDP_HEADER, Math.min(length, udp.length)));
  const isCut = outer.isCut || length > udp.length;
  const malformed = outer.malformed ?? checkUdp(udp, outer.version, ...addresses);
  return { ...outer, isGre: true, payload: gre, isCut, malformed };
}
