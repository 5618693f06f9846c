// What is inside an outer packet that the packet path has already found sound up to there: for those who look at it
// again.
import { u8, u16 } from './bytes.js';
import { greLength, readGre } from './gre.js';
import { checkInner, type Inner, readInner } from './inner.js';
import { PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_SIT, PROTOCOL_UDP, readIpv4 } from './ipv4.js';
import { walkExtensions } from './ipv6.js';
import { payloadOf } from './payload.js';
import { UDP_HEADER } from './udp.js';

/** The IP packet that an outer packet carries, null where it carries a frame or nothing whole. */
export function insideOf(packet: Uint8Array): Inner | null {
  const version = u8(packet, 0) >>> 4 === 6 ? 6 : 4;
  const { protocol, start } = upperOf(packet, version);
  switch (protocol) {
    case PROTOCOL_IPIP:
      return whole(packet.subarray(start), 4);
    case PROTOCOL_SIT:
      return whole(packet.subarray(start), 6);
    case PROTOCOL_GRE:
      return insideGre(packet.subarray(start), version);
    case PROTOCOL_UDP:
      return insideGre(packet.subarray(start + UDP_HEADER), version);
    default:
      return null;
  }
}

function upperOf(packet: Uint8Array, version: 4 | 6): { protocol: number; start: number } {
  if (version === 4) {
    const { protocol, headerLength } = readIpv4(packet);
    return { protocol, start: headerLength };
  }
  const { protocol, offset } = walkExtensions(packet, packet.length);
  return { protocol, start: offset };
}

function insideGre(bytes: Uint8Array, outer: 4 | 6): Inner | null {
  const start = greLength(u16(bytes, 0));
  const payload = payloadOf(bytes, readGre(bytes), outer);
  if (payload === null || payload.kind === 'ethernet') return null;
  return whole(bytes.subarray(start + payload.offset), payload.kind);
}

function whole(bytes: Uint8Array, version: 4 | 6): Inner | null {
  return checkInner(bytes, version) === null ? readInner(bytes, version) : null;
}
