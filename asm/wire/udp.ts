import { load16, swap16 } from './bytes';
import { fold, sum } from './checksum';
import { PROTOCOL_UDP, sumPseudo4 } from './ipv4';
import { sumPseudo6 } from './ipv6';

// |          Source Port          |       Destination Port        |
// |            Length             |           Checksum            |   RFC 768
/** Bytes of a UDP header (RFC 768). */
export const UDP_LENGTH: u32 = 8;
export const UDP_DESTINATION_PORT = 2;
export const UDP_TOTAL_LENGTH = 4;
export const UDP_CHECKSUM = 6;

/** Destination port of GRE-in-UDP (RFC 8086, 3.2.2). */
export const GRE_UDP_PORT: u32 = 4754;

/**
 * Whether the checksum of a datagram behind the IP header at `outer` is right, or over IPv4 absent (RFC 8086, 6.1;
 * over IPv6 it may be so by arrangement only, 6.2). Its payload of `length` bytes may lie elsewhere.
 */
export function isUdpChecksumRight(
  outer: usize,
  udp: usize,
  payload: usize,
  length: u32,
  family: u32,
): bool {
  if (load<u16>(udp, UDP_CHECKSUM) === 0) return family === 4;
  const total = UDP_LENGTH + length;
  const pseudo =
    family === 4 ? sumPseudo4(outer, PROTOCOL_UDP, total) : sumPseudo6(outer, PROTOCOL_UDP, total);
  const header = <u64>load<u32>(udp) + <u64>load<u32>(udp, 4);
  return fold(sum(payload, length, pseudo + header)) === 0xffff;
}

/** First word of a header: ports in host order, as it is to be stored. */
export function udpPorts(source: u32, destination: u32): u32 {
  return swap16(source) | (swap16(destination) << 16);
}

/** What a datagram says its length is. */
export function udpLength(udp: usize): u32 {
  return load16(udp + UDP_TOTAL_LENGTH);
}
