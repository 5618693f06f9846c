// A packet as a TUN device hands it over -> the packets it stands for, each with its checksum.
import { setU8, setU16, setU32, u8, u16, u32 } from './bytes.js';
import { checksum, finish, sum } from './checksum.js';
import { linkLength } from './frame.js';
import { IPV4_HEADER } from './ipv4.js';
import { IPV6_HEADER } from './ipv6.js';

const FLAG_NEEDS_CHECKSUM = 1;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_UDP = 5;
const TCP_HEADER = 20;
const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const TCP_FIN = 0x01;
const TCP_PSH = 0x08;
const TCP_CWR = 0x80;
const UDP_HEADER = 8;
const UDP_LENGTH = 4;
const UDP_CHECKSUM = 6;

/** What a device header says of a superpacket. */
export interface Superpacket {
  readonly kind: 'tcp' | 'udp';
  /** Bytes of IP and transport header. */
  readonly headers: number;
  /** Payload of each segment but the last, which may be shorter. */
  readonly size: number;
  readonly count: number;
}

/**
 * Does what `header`, a struct virtio_net_hdr, asks for: nothing, a checksum to be completed, or TCP or UDP to
 * be split into segments of gso_size bytes of payload. `isFrame`: the packet is an Ethernet frame, whose header every
 * segment gets. Null when it makes no sense or there would be more than
 * `limit` segments.
 */
export function segment(
  packet: Uint8Array,
  header: Uint8Array,
  limit: number,
  isFrame = false,
): Uint8Array[] | null {
  const asked = readHeader(packet, header);
  if (asked === null) return null;
  const { start, field, type, size } = asked;
  if (asked.isDone) return [packet];
  if (type === GSO_NONE) return [withChecksum(packet, start, field)];
  const link = isFrame ? linkLength(packet) : 0;
  if (start < link || (isFrame && link === 0)) return null;
  const own = headersOf(packet.subarray(link), type, start - link, field - link);
  if (own === null || size === 0) return null;
  const headers = link + own;
  if (packet.length <= headers + size) return [withChecksum(packet, start, field)];
  const count = Math.ceil((packet.length - headers) / size);
  if (count > limit) return null;
  const ip = packet.subarray(link);
  return Array.from({ length: count }, (_, index) => {
    const piece = cut(ip, start - link, own, size, index);
    if (link === 0) return piece;
    const segmentFrame = new Uint8Array(link + piece.length);
    segmentFrame.set(packet.subarray(0, link));
    segmentFrame.set(piece, link);
    return segmentFrame;
  });
}

/** What the device header says of a packet that stands for more than one, or null: it does not, or is unsound. */
export function superpacket(packet: Uint8Array, header: Uint8Array): Superpacket | null {
  const asked = readHeader(packet, header);
  if (asked === null || asked.isDone || asked.type === GSO_NONE || asked.size === 0) return null;
  const { start, field, type, size } = asked;
  const headers = headersOf(packet, type, start, field);
  if (headers === null || packet.length <= headers + size) return null;
  const count = Math.ceil((packet.length - headers) / size);
  return { kind: type === GSO_UDP ? 'udp' : 'tcp', headers, size, count };
}

/** The fields that matter; `isDone`: nothing is left to do. Null: they contradict one another. */
function readHeader(
  packet: Uint8Array,
  header: Uint8Array,
): { isDone: boolean; start: number; field: number; type: number; size: number } | null {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const needsChecksum = (view.getUint8(0) & FLAG_NEEDS_CHECKSUM) !== 0;
  const type = view.getUint8(1);
  const size = view.getUint16(4, true);
  if (type === GSO_NONE && !needsChecksum) return { isDone: true, start: 0, field: 0, type, size };
  const start = view.getUint16(6, true);
  const field = start + view.getUint16(8, true);
  if (!needsChecksum || field + 2 > packet.length) return null;
  return { isDone: false, start, field, type, size };
}

/** Length of the IP and transport headers of a superpacket, null when it is none. */
function headersOf(packet: Uint8Array, type: number, start: number, field: number): number | null {
  const isUdp = type === GSO_UDP;
  if (!isUdp && type !== GSO_TCPV4 && type !== GSO_TCPV6) return null;
  const version = u8(packet, 0) >>> 4;
  if (version !== 4 && version !== 6) return null;
  if (!isUdp && version !== (type === GSO_TCPV4 ? 4 : 6)) return null;
  if (field !== start + (isUdp ? UDP_CHECKSUM : TCP_CHECKSUM)) return null;
  if (version === 4 && (start < IPV4_HEADER || start !== (u8(packet, 0) & 15) * 4)) return null;
  // Extension headers are whole multiples of 8 bytes (RFC 8200, 4).
  if (version === 6 && (start < IPV6_HEADER || start % 8 !== 0)) return null;
  if (packet.length < start + (isUdp ? UDP_HEADER : TCP_HEADER)) return null;
  const own = isUdp ? UDP_HEADER : (u8(packet, start + 12) >>> 4) * 4;
  return (!isUdp && own < TCP_HEADER) || start + own > packet.length ? null : start + own;
}

/** A copy whose checksum, at `field`, covers all from `start` on; the field held the pseudo-header sum. */
function withChecksum(packet: Uint8Array, start: number, field: number): Uint8Array {
  const copy = packet.slice();
  const value = checksum(copy.subarray(start));
  // A UDP checksum of 0 would mean none (RFC 768).
  setU16(copy, field, value === 0 && field - start === UDP_CHECKSUM ? 0xffff : value);
  return copy;
}

/** Segment `index` of a superpacket. */
function cut(
  packet: Uint8Array,
  start: number,
  headers: number,
  size: number,
  index: number,
): Uint8Array {
  const from = headers + index * size;
  const end = Math.min(from + size, packet.length);
  const copy = new Uint8Array(headers + end - from);
  copy.set(packet.subarray(0, headers));
  copy.set(packet.subarray(from, end), headers);

  if (u8(packet, 0) >>> 4 === 4) {
    setU16(copy, 2, copy.length);
    setU16(copy, 4, (u16(packet, 4) + index) & 0xffff);
    setU16(copy, 10, 0);
    setU16(copy, 10, checksum(copy.subarray(0, start)));
  } else {
    setU16(copy, 4, copy.length - IPV6_HEADER);
  }
  const upper = copy.subarray(start);
  const isUdp = headers === start + UDP_HEADER;
  const field = isUdp ? UDP_CHECKSUM : TCP_CHECKSUM;
  // The field held the sum of the pseudo-header with the length of the whole: exchange that length.
  const pseudo = u16(upper, field) + (~(packet.length - start) & 0xffff) + upper.length;
  if (isUdp) {
    setU16(upper, UDP_LENGTH, upper.length);
  } else {
    setU32(upper, TCP_SEQUENCE, (u32(upper, TCP_SEQUENCE) + index * size) >>> 0);
    const atEnd = end === packet.length ? 0 : TCP_FIN | TCP_PSH;
    const later = index === 0 ? 0 : TCP_CWR;
    setU8(upper, TCP_FLAGS, u8(upper, TCP_FLAGS) & ~(atEnd | later));
  }
  setU16(upper, field, 0);
  const value = finish(sum(upper, pseudo));
  setU16(upper, field, value === 0 && isUdp ? 0xffff : value);
  return copy;
}
