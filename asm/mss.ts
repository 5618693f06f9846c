// The maximum segment size that hosts tell each other when a TCP connection opens (RFC 9293, 3.7.1): kept to what
// the tunnel carries whole, so that connections live where ICMP does not get through.
import { partialTcpHeaders } from './device-header';
import { RECORD_MSS4, RECORD_MSS6 } from './layout';
import { load16, store16, swap16 } from './wire/bytes';
import { update } from './wire/checksum';
import { headerLength4, IPV4_PROTOCOL, isFragment4, PROTOCOL_TCP } from './wire/ipv4';
import { IPV6_LENGTH, IPV6_NEXT_HEADER } from './wire/ipv6';
import { TCP_CHECKSUM, TCP_FLAGS, TCP_LENGTH, TCP_SYN, tcpHeaderLength } from './wire/tcp';

const OPTION_END: u32 = 0;
const OPTION_NOTHING: u32 = 1;
const OPTION_MSS: u32 = 2;
const MSS_LENGTH: u32 = 4;

/**
 * Lowers the MSS option of the sound IP packet of `length` bytes, its headers in one piece, to what the tunnel takes.
 * `mayBePartial`: its checksum may be the pseudo-header's alone.
 */
export function clampMss(
  record: usize,
  packet: usize,
  length: u32,
  family: u32,
  mayBePartial: bool,
): void {
  const is4 = family === 4;
  const protocol = <u32>load<u8>(packet + (is4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER));
  if (protocol !== PROTOCOL_TCP) return;
  const start = is4 ? headerLength4(packet) : IPV6_LENGTH;
  if (start + TCP_LENGTH > length || !(<u32>load<u8>(packet + start, TCP_FLAGS) & TCP_SYN)) return;
  if (is4 && isFragment4(packet)) return;
  const most = <u32>(is4 ? load<u16>(record, RECORD_MSS4) : load<u16>(record, RECORD_MSS6));
  if (most !== 0) lowerMss(packet, start, length, family, most, mayBePartial);
}

/** The same for a segment that opens a connection. */
function lowerMss(
  packet: usize,
  start: u32,
  length: u32,
  family: u32,
  most: u32,
  mayBePartial: bool,
): void {
  const tcp = packet + start;
  const at = findMss(tcp, tcpHeaderLength(tcp, length - start));
  if (at === 0 || load16(tcp + at) <= most) return;
  const isPartial = mayBePartial && partialTcpHeaders(packet, length, family) !== 0;
  const before = <u32>load<u16>(tcp + at);
  store16(tcp + at, most);
  if (isPartial) return; // its sum does not cover the segment yet
  const after = <u32>load<u16>(tcp + at);
  // At an odd offset its bytes are halves of two words, which the sum sees the other way round.
  const isOdd = (at & 1) !== 0;
  const checksum = <u32>load<u16>(tcp, TCP_CHECKSUM);
  const changed = isOdd
    ? update(checksum, swap16(before), swap16(after))
    : update(checksum, before, after);
  store<u16>(tcp, <u16>changed, TCP_CHECKSUM);
}

/** Offset of the value of the MSS option in a TCP header of `end` bytes, or 0. */
function findMss(tcp: usize, end: u32): u32 {
  let at = TCP_LENGTH;
  while (at < end) {
    const kind = <u32>load<u8>(tcp + at);
    if (kind === OPTION_END) return 0;
    if (kind === OPTION_NOTHING) {
      at++;
      continue;
    }
    const length = at + 1 < end ? <u32>load<u8>(tcp + at, 1) : 0;
    if (length < 2 || at + length > end) return 0;
    if (kind === OPTION_MSS) return length === MSS_LENGTH ? at + 2 : 0;
    at += length;
  }
  return 0;
}
