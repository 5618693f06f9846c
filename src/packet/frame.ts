// Ethernet frames inside a tunnel (protocol type 0x6558): where the IP packet in them begins.
import { u8, u16 } from './bytes.js';
import { checkInner, type Inner, readInner } from './inner.js';
import { ETHERNET_HEADER } from './tunnel.js';

const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
/** VLAN tags of IEEE 802.1Q, and 802.1ad in front of them. */
const TAG_TYPES = [0x8100, 0x88a8];
const TAG_LENGTH = 4;
/** Tags that are looked behind: a customer's and a provider's. */
const TAG_LIMIT = 2;
const SOURCE = 6;

export interface Framed {
  /** The IP packet of the frame, sound by itself. */
  readonly inner: Inner;
  /** Where it begins. */
  readonly start: number;
}

/** The sound IP packet that a frame carries, behind up to two VLAN tags, or null: there is none to look into. */
export function findIp(frame: Uint8Array): Framed | null {
  const start = linkLength(frame);
  if (start === 0) return null;
  const version = u16(frame, start - 2) === TYPE_IPV4 ? 4 : 6;
  const bytes = frame.subarray(start);
  return checkInner(bytes, version) === null ? { inner: readInner(bytes, version), start } : null;
}

/** Bytes of the Ethernet header in front of IP, up to two VLAN tags included; 0: the frame carries something else. */
export function linkLength(frame: Uint8Array): number {
  let start = ETHERNET_HEADER;
  for (let tags = 0; TAG_TYPES.includes(u16(frame, start - 2)); tags++) {
    start += TAG_LENGTH;
    if (tags === TAG_LIMIT || start > frame.length) return 0;
  }
  const type = u16(frame, start - 2);
  return frame.length >= start && (type === TYPE_IPV4 || type === TYPE_IPV6) ? start : 0;
}

/** Whether the source of a frame is a group, which no sender is (IEEE 802.3, 3.2.3). */
export function isGroupSource(frame: Uint8Array): boolean {
  return (u8(frame, SOURCE) & 1) !== 0;
}
