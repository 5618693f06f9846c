// The outer header of a received packet as the packet path sees it: checked before anything behind it is looked at.
//
// outer.ts reads the same headers for decode, which describes what is wrong with them; here such packets end.
import { u8 } from './bytes.js';
import {
  IPV4_HEADER,
  isIpv4,
  isMartianSource4,
  PROTOCOL_GRE,
  PROTOCOL_IPIP,
  PROTOCOL_SIT,
  PROTOCOL_UDP,
  readIpv4,
} from './ipv4.js';
import { IPV6_HEADER, isMartianSource6, readIpv6, walkExtensions } from './ipv6.js';
import type { Observe } from './observe.js';
import type { Reason } from './reason.js';
import { ownName, type Table } from './table.js';
import type { Mode } from './tunnel.js';
import { checkUdp, isGreUdp, UDP_HEADER, udpLength } from './udp.js';

export interface Received {
  readonly version: 4 | 6;
  /** Wire order. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly tos: number;
  readonly ttl: number;
  /** What the headers lead to: 47, 4, 41 or, with the right port, 17. */
  readonly protocol: number;
  /** Bytes in front of the payload, extension and UDP headers included. */
  readonly length: number;
  /** GRE header or inner packet. */
  readonly payload: Uint8Array;
}

/** The outer header with its payload, or why the packet is not looked at. */
export function checkOuter(packet: Uint8Array, table: Table, observe?: Observe): Received | Reason {
  const read = u8(packet, 0) >>> 4 === 6 ? readOuter6(packet) : readOuter4(packet);
  if (typeof read === 'string') return read;
  // A packet of our own that came back, or a forged one.
  if (table.ownOuter.has(ownName(read.source))) return 'outer-martian';
  observe?.({ at: 'outer', outer: read });
  switch (read.protocol) {
    case PROTOCOL_GRE:
    case PROTOCOL_IPIP:
    case PROTOCOL_SIT:
      return read;
    case PROTOCOL_UDP:
      return behindUdp(read, observe);
    default:
      return 'no-tunnel';
  }
}

function readOuter4(packet: Uint8Array): Received | Reason {
  if (packet.length < IPV4_HEADER || !isIpv4(packet)) return 'outer-header';
  const header = readIpv4(packet);
  if (header.isFragment) return 'outer-fragment';
  if (isMartianSource4(header.source)) return 'outer-martian';
  return {
    version: 4,
    source: packet.subarray(12, 16),
    destination: packet.subarray(16, 20),
    tos: header.tos,
    ttl: header.ttl,
    protocol: header.protocol,
    length: header.headerLength,
    payload: packet.subarray(header.headerLength, header.totalLength),
  };
}

function readOuter6(packet: Uint8Array): Received | Reason {
  if (packet.length < IPV6_HEADER) return 'outer-header';
  const { source, destination, trafficClass, hopLimit, payloadLength } = readIpv6(packet);
  const end = IPV6_HEADER + payloadLength;
  if (end > packet.length) return 'outer-header';
  const upper = walkExtensions(packet, end);
  if (upper.end === 'overrun') return 'outer-header';
  if (upper.end === 'fragment') return 'outer-fragment';
  if (isMartianSource6(source, destination)) return 'outer-martian';
  return {
    version: 6,
    source,
    destination,
    tos: trafficClass,
    ttl: hopLimit,
    protocol: upper.protocol,
    length: upper.offset,
    payload: packet.subarray(upper.offset, end),
  };
}

function behindUdp(outer: Received, observe?: Observe): Received | Reason {
  const { version, source, destination, payload, length } = outer;
  if (!isGreUdp(payload)) return 'no-tunnel';
  const malformed = checkUdp(payload, version, source, destination);
  if (malformed !== null) return malformed;
  observe?.({ at: 'udp', header: payload.subarray(0, UDP_HEADER) });
  const gre = payload.subarray(UDP_HEADER, udpLength(payload));
  return { ...outer, length: length + UDP_HEADER, payload: gre };
}

/** The mode of tunnels for a protocol over an outer version; `isFrame`: GRE announces an Ethernet frame. */
export function modeOf(version: 4 | 6, protocol: number, isFrame: boolean): Mode | null {
  switch (protocol) {
    case PROTOCOL_GRE:
      if (version === 4) return isFrame ? 'gretap' : 'gre';
      return isFrame ? 'ip6gretap' : 'ip6gre';
    case PROTOCOL_IPIP:
      return version === 4 ? 'ipip' : 'ip4ip6';
    case PROTOCOL_SIT:
      return version === 4 ? 'sit' : 'ip6ip6';
    case PROTOCOL_UDP:
      return 'gre-udp';
    default:
      return null;
  }
}
