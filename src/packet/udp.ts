// The UDP header of GRE-in-UDP (RFC 8086): where a flow's packets come from, and what is right on receipt.
//
// |          Source Port          |       Destination Port        |
// |            Length             |           Checksum            |   RFC 768
import { setU16, u16, u32 } from './bytes.js';
import { finish, fold, sum, sumPseudoHeader } from './checksum.js';
import type { Inner } from './inner.js';
import { PROTOCOL_TCP, PROTOCOL_UDP } from './ipv4.js';
import type { Reason } from './reason.js';
import type { Tunnel } from './tunnel.js';

export const UDP_HEADER = 8;

/** Destination port of GRE-in-UDP (RFC 8086, 3.2.2). */
export const GRE_UDP_PORT = 4754;

/** First port of the range that source ports come from: 14 bits of it are the flow's (RFC 8086, 2.1.1). */
const SOURCE_PORT_BASE = 0xc000;

/** Ports that one for all packets of a tunnel is chosen from. */
export const SOURCE_PORTS = { first: SOURCE_PORT_BASE, last: 0xffff } as const;

/** Whether a UDP datagram, as far as it is there, is addressed to GRE-in-UDP. */
export function isGreUdp(udp: Uint8Array): boolean {
  return udp.length >= 4 && u16(udp, 2) === GRE_UDP_PORT;
}

/** Bytes that a datagram says it has; 0 where its header is cut. */
export function udpLength(udp: Uint8Array): number {
  return udp.length < UDP_HEADER ? 0 : u16(udp, 4);
}

/**
 * What is wrong with a datagram, or null. A checksum is verified wherever there is one (RFC 8086, 6.1); none is
 * accepted over IPv4, over IPv6 only by arrangement (6.2).
 */
export function checkUdp(
  udp: Uint8Array,
  version: 4 | 6,
  source: Uint8Array,
  destination: Uint8Array,
): Reason | null {
  const length = udpLength(udp);
  if (length < UDP_HEADER || length > udp.length) return 'udp-header';
  if (u16(udp, 6) === 0) return version === 4 ? null : 'udp-checksum';
  const pseudo = sumPseudoHeader(source, destination, PROTOCOL_UDP, length);
  return fold(sum(udp.subarray(0, length), pseudo)) === 0xffff ? null : 'udp-checksum';
}

/** Writes the header of the datagram `udp`, whose payload is there; its checksum field stays 0. */
export function putUdp(udp: Uint8Array, sourcePort: number): void {
  setU16(udp, 0, sourcePort);
  setU16(udp, 2, GRE_UDP_PORT);
  setU16(udp, 4, udp.length);
}

/** The checksum field of a datagram; a sum that comes to 0 is sent as its other form (RFC 768). */
export function udpChecksum(udp: Uint8Array, source: Uint8Array, destination: Uint8Array): number {
  const pseudo = sumPseudoHeader(source, destination, PROTOCOL_UDP, udp.length);
  return finish(sum(udp, pseudo)) || 0xffff;
}

/** The source port of all packets of a tunnel; 0: each flow has its own. */
export function sourcePortOf(tunnel: Tunnel): number {
  if (tunnel.mode !== 'gre-udp') return 0;
  const { sourcePort = 0, orderedPort = SOURCE_PORTS.first, sequenceOut } = tunnel;
  return sourcePort === 0 && sequenceOut ? orderedPort : sourcePort;
}

/**
 * The source port of the flow that `inner` is of: the same for all of its packets (RFC 8086, 3.2.1). Fragments
 * beyond the first have no ports, so none of a datagram's fragments is told by them.
 */
export function flowPort(inner: Inner): number {
  return SOURCE_PORT_BASE | (hashFlow(inner) >>> 18);
}

/** The flow label of that flow: 20 bits of the same hash (RFC 6438, 2), and never 0, which would mean none. */
export function hashedLabel(inner: Inner): number {
  return hashFlow(inner) >>> 12 || 1;
}

function hashFlow(inner: Inner): number {
  const words =
    Math.imul(hashWord(inner.source), 0x9e3779b1) ^
    Math.imul(hashWord(inner.destination), 0x85ebca77) ^
    Math.imul(portsOf(inner), 0xc2b2ae3d) ^
    inner.protocol;
  return mix(words);
}

/** Both ports of TCP and UDP as one word, 0 where there are none. */
function portsOf({ protocol, isFragment, bytes, headerLength }: Inner): number {
  if ((protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) || isFragment) return 0;
  return headerLength + 4 <= bytes.length ? u32(bytes, headerLength) : 0;
}

/** An address as one word. */
function hashWord(address: Uint8Array): number {
  let word = u32(address, 0);
  for (let offset = 4; offset < address.length; offset += 4) {
    word = Math.imul(word, 0x27d4eb2f) ^ u32(address, offset);
  }
  return word;
}

/** Spreads every bit of a word over all bits of the result. */
function mix(word: number): number {
  let hash = word ^ (word >>> 15);
  hash = Math.imul(hash, 0x2c1b3c6d);
  hash ^= hash >>> 12;
  hash = Math.imul(hash, 0x297a2d39);
  return hash ^ (hash >>> 15);
}
