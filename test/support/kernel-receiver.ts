// What a kernel makes of what it is given through a TUN device: superpackets are split, checksums completed.
// Written from the kernel's own words (tcp_gso_segment, __udp_gso_segment, inet_gso_segment), independent of
// src/packet and asm/.
import { internetChecksum } from './packets.js';

const NEEDS_CHECKSUM = 1;

/** Splits a written packet by its device header, and completes what was left open. */
export function splitWritten(written: Uint8Array, deviceHeader: Uint8Array): Buffer[] {
  const header = Buffer.from(deviceHeader);
  const packet = Buffer.from(written);
  const [flags = 0, type = 0] = header;
  const size = header.readUInt16LE(4);
  const start = header.readUInt16LE(6);
  const field = start + header.readUInt16LE(8);
  if (type === 0)
    return [(flags & NEEDS_CHECKSUM) === 0 ? packet : completed(packet, start, field)];

  const isUdp = type === 5;
  const own = isUdp ? 8 : ((packet[start + 12] ?? 0) >>> 4) * 4;
  const headers = packet.subarray(0, start + own);
  const payload = packet.subarray(start + own);
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, index) => {
    const part = payload.subarray(index * size, (index + 1) * size);
    const segment = Buffer.concat([headers, part]);
    if (segment.readUInt8(0) >>> 4 === 4) {
      segment.writeUInt16BE(segment.length, 2);
      segment.writeUInt16BE((headers.readUInt16BE(4) + index) & 0xffff, 4);
      segment.writeUInt16BE(0, 10);
      segment.writeUInt16BE(internetChecksum(segment.subarray(0, start)), 10);
    } else {
      segment.writeUInt16BE(segment.length - 40, 4);
    }
    if (isUdp) {
      segment.writeUInt16BE(segment.length - start, start + 4);
    } else {
      segment.writeUInt32BE((headers.readUInt32BE(start + 4) + index * size) >>> 0, start + 4);
      let bits = headers.readUInt8(start + 13);
      if (index !== count - 1) bits &= ~0x09; // FIN and PSH
      if (index !== 0) bits &= ~0x80; // CWR
      segment.writeUInt8(bits, start + 13);
    }
    segment.writeUInt16BE(0, field);
    const value = internetChecksum(
      Buffer.concat([pseudoHeader(segment, start, isUdp), segment.subarray(start)]),
    );
    segment.writeUInt16BE(value === 0 && isUdp ? 0xffff : value, field);
    return segment;
  });
}

/** skb_checksum_help: the field holds the sum of the pseudo-header. */
function completed(packet: Buffer, start: number, field: number): Buffer {
  const copy = Buffer.from(packet);
  const value = internetChecksum(copy.subarray(start));
  copy.writeUInt16BE(value === 0 && field - start === 6 ? 0xffff : value, field);
  return copy;
}

export function pseudoHeader(packet: Buffer, start: number, isUdp: boolean): Buffer {
  const addresses =
    packet.readUInt8(0) >>> 4 === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const length = packet.length - start;
  return Buffer.concat([addresses, Buffer.from([0, isUdp ? 17 : 6, length >>> 8, length & 0xff])]);
}

/** Sequence numbers of one page of a stream. */
const PAGE = 4096;

/**
 * The stream of a TCP flow as a receiver has it that keeps what comes first for each sequence number: by page of
 * the sequence numbers two bytes each, whether it is there and what it is.
 */
export function reassemble(packets: readonly Uint8Array[]): ReadonlyMap<number, Uint8Array> {
  const pages = new Map<number, Uint8Array>();
  for (const packet of packets) {
    const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
    const start = bytes.readUInt8(0) >>> 4 === 4 ? 20 : 40;
    const own = ((bytes[start + 12] ?? 0) >>> 4) * 4;
    const sequence = bytes.readUInt32BE(start + 4) - start - own;
    let number = -1;
    let page: Uint8Array = new Uint8Array(0);
    for (let at = start + own; at < bytes.length; at++) {
      const place = (sequence + at) >>> 0;
      if (place >>> 12 !== number) {
        number = place >>> 12;
        page = pages.get(number) ?? new Uint8Array(2 * PAGE);
        pages.set(number, page);
      }
      const offset = 2 * (place % PAGE);
      if (page[offset] === 1) continue;
      page[offset] = 1;
      page[offset + 1] = bytes[at] ?? 0;
    }
  }
  return pages;
}
