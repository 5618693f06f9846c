// The maximum segment size that hosts tell each other when a TCP connection opens (RFC 9293, 3.7.1): kept to what
// the tunnel carries whole, so that connections live where ICMP does not get through.
import { setU16, u8, u16 } from './bytes.js';
import { update } from './checksum.js';
import { isPartialTcp } from './device-header.js';
import type { Inner } from './inner.js';
import { PROTOCOL_TCP } from './ipv4.js';

const TCP_HEADER = 20;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const SYN = 0x02;
const OPTION_END = 0;
const OPTION_NOTHING = 1;
const OPTION_MSS = 2;
const MSS_LENGTH = 4;

/**
 * Lowers the MSS option of `inner`, whose bytes may be written, to `most`; 0 = leave it. `mayBePartial`: its checksum
 * may be the pseudo-header's alone, as a kernel leaves it to the network card.
 */
export function clampMss(inner: Inner, most: number, mayBePartial: boolean): void {
  if (most === 0 || inner.protocol !== PROTOCOL_TCP || inner.isFragment) return;
  const tcp = inner.bytes.subarray(inner.headerLength);
  if (tcp.length < TCP_HEADER || (u8(tcp, TCP_FLAGS) & SYN) === 0) return;
  const end = (u8(tcp, 12) >>> 4) * 4;
  if (end > tcp.length) return;
  const at = findMss(tcp, end);
  if (at === 0 || u16(tcp, at) <= most) return;

  const isPartial = mayBePartial && isPartialTcp(inner); // then the sum does not cover the segment yet
  const before = u16(tcp, at);
  setU16(tcp, at, most);
  if (isPartial) return;
  // At an odd offset its bytes are halves of two words, which the sum sees the other way round.
  const isOdd = at % 2 === 1;
  const [old, now] = isOdd ? [swap(before), swap(most)] : [before, most];
  setU16(tcp, TCP_CHECKSUM, update(u16(tcp, TCP_CHECKSUM), old, now));
}

/** Offset of the value of the MSS option, or 0. */
function findMss(tcp: Uint8Array, end: number): number {
  let at = TCP_HEADER;
  while (at < end) {
    const kind = u8(tcp, at);
    if (kind === OPTION_END) return 0;
    if (kind === OPTION_NOTHING) {
      at++;
      continue;
    }
    const length = at + 1 < end ? u8(tcp, at + 1) : 0;
    if (length < 2 || at + length > end) return 0;
    if (kind === OPTION_MSS) return length === MSS_LENGTH ? at + 2 : 0;
    at += length;
  }
  return 0;
}

function swap(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}
