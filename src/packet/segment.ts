// A packet as a TUN device hands it over -> the packets it stands for, each with its checksum.
import { setU8, setU16, setU32, u8, u16, u32 } from './bytes.js';
import { checksum, finish, sum } from './checksum.js';
import { IPV4_HEADER } from './ipv4.js';
import { IPV6_HEADER } from './ipv6.js';

const FLAG_NEEDS_CHECKSUM = 1;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const TCP_HEADER = 20;
const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const TCP_FIN = 0x01;
const TCP_PSH = 0x08;
const TCP_CWR = 0x80;
const UDP_CHECKSUM = 6;

/**
 * Does what `header`, a struct virtio_net_hdr, asks for: nothing, a checksum to be completed, or TCP to be
 * split into segments of gso_size bytes of payload. Null when it makes no sense or there would be more than
 * `limit` segments.
 */
export function segment(
  packet: Uint8Array,
  header: Uint8Array,
  limit: number,
): Uint8Array[] | null {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const needsChecksum = (view.getUint8(0) & FLAG_NEEDS_CHECKSUM) !== 0;
  const type = view.getUint8(1);
  if (type === GSO_NONE && !needsChecksum) return [packet];
  const start = view.getUint16(6, true);
  const field = start + view.getUint16(8, true);
  if (!needsChecksum || field + 2 > packet.length) return null;
  if (type === GSO_NONE) return [withChecksum(packet, start, field)];

  const headers = tcpHeaders(packet, type, start, field);
  const size = view.getUint16(4, true);
  if (headers === null || size === 0) return null;
  if (packet.length <= headers + size) return [withChecksum(packet, start, field)];
  const count = Math.ceil((packet.length - headers) / size);
  if (count > limit) return null;
  return Array.from({ length: count }, (_, index) => cut(packet, start, headers, size, index));
}

/** Length of the IP and TCP headers of a superpacket, null when it is none. */
function tcpHeaders(packet: Uint8Array, type: number, start: number, field: number): number | null {
  if (type !== GSO_TCPV4 && type !== GSO_TCPV6) return null;
  const version = u8(packet, 0) >>> 4;
  if (version !== (type === GSO_TCPV4 ? 4 : 6) || field !== start + TCP_CHECKSUM) return null;
  if (version === 4 && (start < IPV4_HEADER || start !== (u8(packet, 0) & 15) * 4)) return null;
  if (version === 6 && start < IPV6_HEADER) return null;
  if (packet.length < start + TCP_HEADER) return null;
  const own = (u8(packet, start + 12) >>> 4) * 4;
  return own < TCP_HEADER || start + own > packet.length ? null : start + own;
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
  const tcp = copy.subarray(start);
  setU32(tcp, TCP_SEQUENCE, (u32(tcp, TCP_SEQUENCE) + index * size) >>> 0);
  const atEnd = end === packet.length ? 0 : TCP_FIN | TCP_PSH;
  const later = index === 0 ? 0 : TCP_CWR;
  setU8(tcp, TCP_FLAGS, u8(tcp, TCP_FLAGS) & ~(atEnd | later));
  // The field held the sum of the pseudo-header with the length of the whole: exchange that length.
  const pseudo = u16(tcp, TCP_CHECKSUM) + (~(packet.length - start) & 0xffff) + tcp.length;
  setU16(tcp, TCP_CHECKSUM, 0);
  setU16(tcp, TCP_CHECKSUM, finish(sum(tcp, pseudo)));
  return copy;
}
