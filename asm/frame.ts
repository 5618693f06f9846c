// Ethernet frames inside a tunnel (protocol type 0x6558): where the IP packet in them begins.
import { isSound4, version } from './wire/ipv4';
import { isSound6 } from './wire/ipv6';

export const ETHERNET_LENGTH: u32 = 14;
const ETHERNET_SOURCE = 6;

// Ethertypes as loaded (little-endian): 0x0800, 0x86dd, and the VLAN tags of IEEE 802.1Q and 802.1ad.
const TYPE_IPV4: u32 = 0x0008;
const TYPE_IPV6: u32 = 0xdd86;
const TYPE_TAG: u32 = 0x0081;
const TYPE_PROVIDER_TAG: u32 = 0xa888;
const TAG_LENGTH: u32 = 4;
/** Tags that are looked behind: a customer's and a provider's. */
const TAG_LIMIT: u32 = 2;

/**
 * Where the sound IP packet begins in the frame of `length` bytes at `frame`, behind up to two VLAN tags; 0: there
 * is none to look into. Of the frame at least ETHERNET_LENGTH bytes are there.
 */
export function findIp(frame: usize, length: u32): u32 {
  const start = linkLength(frame, length);
  if (start === 0 || start === length) return 0;
  const packet = frame + start;
  const is4 = <u32>load<u16>(packet - 2) === TYPE_IPV4;
  if (version(packet) !== <u32>(is4 ? 4 : 6)) return 0;
  const isSound = is4 ? isSound4(packet, length - start) : isSound6(packet, length - start);
  return isSound ? start : 0;
}

/** Bytes of the Ethernet header in front of IP, up to two VLAN tags included; 0: the frame carries something else. */
export function linkLength(frame: usize, length: u32): u32 {
  let start = ETHERNET_LENGTH;
  if (length < start) return 0;
  let type = <u32>load<u16>(frame + start - 2);
  for (let tags: u32 = 0; type === TYPE_TAG || type === TYPE_PROVIDER_TAG; tags++) {
    start += TAG_LENGTH;
    if (tags === TAG_LIMIT || start > length) return 0;
    type = <u32>load<u16>(frame + start - 2);
  }
  return type === TYPE_IPV4 || type === TYPE_IPV6 ? start : 0;
}

/** Whether the source of a frame is a group, which no sender is (IEEE 802.3, 3.2.3). */
export function isGroupSource(frame: usize): bool {
  return (load<u8>(frame, ETHERNET_SOURCE) & 1) !== 0;
}
