// The outer header of a received packet: checked before anything behind it is looked at.
import { OWN_OUTER } from './layout';
import {
  REASON_NO_TUNNEL,
  REASON_NONE,
  REASON_OUTER_FRAGMENT,
  REASON_OUTER_HEADER,
  REASON_OUTER_MARTIAN,
  REASON_UDP_CHECKSUM,
  REASON_UDP_HEADER,
} from './reason';
import { ownFlags } from './table';
import { load16 } from './wire/bytes';
import { IPV4_SOURCE, isFragment4, isMartianSource4, isSound4, version } from './wire/ipv4';
import { IPV6_DESTINATION, IPV6_SOURCE, isMartianSource6 } from './wire/ipv6';
import {
  GRE_UDP_PORT,
  isUdpChecksumRight,
  UDP_CHECKSUM,
  UDP_DESTINATION_PORT,
  UDP_LENGTH,
  udpLength,
} from './wire/udp';

/** Whether the outer IPv4 header is sound, whole, and from a possible sender. */
export function checkOuter4(outer: usize, length: u32, image: usize): u32 {
  if (version(outer) !== 4 || !isSound4(outer, length)) return REASON_OUTER_HEADER;
  if (isFragment4(outer)) return REASON_OUTER_FRAGMENT;
  if (isMartianSource4(outer + IPV4_SOURCE)) return REASON_OUTER_MARTIAN;
  // A packet of our own that came back, or a forged one.
  if (ownFlags(image, outer + IPV4_SOURCE, 4) & OWN_OUTER) return REASON_OUTER_MARTIAN;
  return REASON_NONE;
}

/** Whether the sender of a sound IPv6 packet is possible. */
export function checkSource6(outer: usize, image: usize): u32 {
  const source = outer + IPV6_SOURCE;
  const destinationHigh = load<u64>(outer, IPV6_DESTINATION);
  if (isMartianSource6(load<u64>(source), load<u64>(source, 8), destinationHigh)) {
    return REASON_OUTER_MARTIAN;
  }
  return ownFlags(image, source, 6) & OWN_OUTER ? REASON_OUTER_MARTIAN : REASON_NONE;
}

/**
 * Whether a datagram is GRE-in-UDP and sound; its payload, as far as it is there, lies at `gre`. `isVerified`: a
 * socket took the headers off, and verified the checksum where the header has none.
 */
export function checkUdp(
  outer: usize,
  family: u32,
  udp: usize,
  available: u32,
  gre: usize,
  isVerified: bool,
): u32 {
  if (available < 4) return REASON_NO_TUNNEL;
  if (load16(udp + UDP_DESTINATION_PORT) !== GRE_UDP_PORT) return REASON_NO_TUNNEL;
  if (available < UDP_LENGTH) return REASON_UDP_HEADER;
  const length = udpLength(udp);
  if (length < UDP_LENGTH || length > available) return REASON_UDP_HEADER;
  if (isVerified && load<u16>(udp, UDP_CHECKSUM) === 0) return REASON_NONE;
  const isRight = isUdpChecksumRight(outer, udp, gre, length - UDP_LENGTH, family);
  return isRight ? REASON_NONE : REASON_UDP_CHECKSUM;
}
