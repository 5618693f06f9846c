// struct virtio_net_hdr: what a TUN device is told about the packet behind it.

import { u8, u16 } from './bytes.js';
import { fold, sumPseudoHeader } from './checksum.js';
import type { Inner } from './inner.js';
import { PROTOCOL_TCP } from './ipv4.js';

const DEVICE_HEADER = 10;
const FLAG_NEEDS_CHECKSUM = 1;
const SEGMENT_TCP4 = 1;
const SEGMENT_TCP6 = 4;
const TCP_HEADER = 20;
const TCP_CHECKSUM = 16;

/**
 * The header for an inner packet. All zero, except for TCP that the sender's kernel left to the network
 * card: merged past the MTU, its checksum no more than the sum of the pseudo-header. Then the receiving
 * kernel is asked to finish the checksum, and to cut the packet into segments again.
 */
export function deviceHeader(inner: Inner, mtu: number): Uint8Array {
  const header = new Uint8Array(DEVICE_HEADER);
  if (!isPartialTcp(inner)) return header;

  const tcp = inner.bytes.subarray(inner.headerLength);
  const view = new DataView(header.buffer);
  view.setUint8(0, FLAG_NEEDS_CHECKSUM);
  view.setUint16(6, inner.headerLength, true);
  view.setUint16(8, TCP_CHECKSUM, true);
  const headers = inner.headerLength + dataOffset(tcp);
  if (inner.bytes.length > mtu && mtu > headers) {
    view.setUint8(1, inner.version === 4 ? SEGMENT_TCP4 : SEGMENT_TCP6);
    view.setUint16(2, headers, true);
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
  const pseudo = sumPseudoHeader(inner.source, inner.destination, PROTOCOL_TCP, tcp.length);
  return u16(tcp, TCP_CHECKSUM) === fold(pseudo);
}

/** Length of the TCP header in bytes. */
function dataOffset(tcp: Uint8Array): number {
  return (u8(tcp, 12) >>> 4) * 4;
}
