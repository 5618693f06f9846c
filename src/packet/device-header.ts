// struct virtio_net_hdr: what a TUN device is told about the packet behind it.

import { u8, u16 } from './bytes.js';
import { fold, sumPseudoHeader } from './checksum.js';
import type { Inner } from './inner.js';
import { PROTOCOL_TCP, PROTOCOL_UDP } from './ipv4.js';

const DEVICE_HEADER = 10;
const FLAG_NEEDS_CHECKSUM = 1;
const SEGMENT_TCP4 = 1;
const SEGMENT_TCP6 = 4;
const TCP_HEADER = 20;
const TCP_CHECKSUM = 16;
const UDP_HEADER = 8;
const UDP_CHECKSUM = 6;

/**
 * The header for an inner packet that begins `start` bytes into what the device gets; null: no IP packet. All zero, except for TCP and UDP that a kernel left to the network card:
 * the checksum no more than the sum of the pseudo-header, TCP perhaps merged past the MTU. Then the
 * receiving kernel is asked to finish the checksum, and to cut the packet into segments again.
 */
export function deviceHeader(inner: Inner | null, mtu: number, start = 0): Uint8Array {
  const header = new Uint8Array(DEVICE_HEADER);
  if (inner === null) return header;
  const isTcp = isPartialTcp(inner);
  if (!isTcp && !isPartialUdp(inner)) return header;

  const view = new DataView(header.buffer);
  view.setUint8(0, FLAG_NEEDS_CHECKSUM);
  view.setUint16(6, start + inner.headerLength, true);
  view.setUint16(8, isTcp ? TCP_CHECKSUM : UDP_CHECKSUM, true);
  if (!isTcp) return header;

  const tcp = inner.bytes.subarray(inner.headerLength);
  const headers = inner.headerLength + dataOffset(tcp);
  if (inner.bytes.length > mtu && mtu > headers) {
    view.setUint8(1, inner.version === 4 ? SEGMENT_TCP4 : SEGMENT_TCP6);
    view.setUint16(2, start + headers, true);
    view.setUint16(4, mtu - headers, true);
  }
  return header;
}

/**
 * Whether this is TCP whose checksum field holds the folded sum of the pseudo-header and nothing else:
 * the mark of packets that a kernel merged, or has not cut yet.
 */
export function isPartialTcp(inner: Inner): boolean {
  if (inner.protocol !== PROTOCOL_TCP || inner.isFragment) return false;
  const tcp = inner.bytes.subarray(inner.headerLength);
  if (tcp.length < TCP_HEADER) return false;
  const length = dataOffset(tcp);
  if (length < TCP_HEADER || length > tcp.length) return false;
  return holdsPseudoSum(inner, tcp, TCP_CHECKSUM);
}

/** The same of UDP: a peer on this machine, whose packets never met a card. */
function isPartialUdp(inner: Inner): boolean {
  if (inner.protocol !== PROTOCOL_UDP || inner.isFragment) return false;
  const udp = inner.bytes.subarray(inner.headerLength);
  return udp.length >= UDP_HEADER && holdsPseudoSum(inner, udp, UDP_CHECKSUM);
}

function holdsPseudoSum(inner: Inner, upper: Uint8Array, field: number): boolean {
  const { source, destination, protocol } = inner;
  return u16(upper, field) === fold(sumPseudoHeader(source, destination, protocol, upper.length));
}

/** Length of the TCP header in bytes. */
function dataOffset(tcp: Uint8Array): number {
  return (u8(tcp, 12) >>> 4) * 4;
}
