// Packets that end at the router itself: those that ask whether it is there, and the answers to its own questions.
//
//   keepalive   the peer's, from our outer address to the peer's, inside the tunnel: it is to be sent to the peer as
//               it is, without a tunnel around it. Cisco's form over IPv4, MikroTik's over IPv6
//   answer      a GRE packet of protocol type 0, of a peer to which the tunnel sends keepalives
//   probe       an echo reply to the tunnel's own echo requests
//   reflect     an echo reply that has our own inner address for its source, as health checks have that ask for
//               their own answer: back into the tunnel with it
import { addressBytes, parseAddress } from './address.js';
import { u16, u32 } from './bytes.js';
import { checkGre, readGre } from './gre.js';
import { PROTOCOL_ICMP, PROTOCOL_ICMP6 } from './icmp.js';
import type { Inner } from './inner.js';
import { isMulticast4, PROTOCOL_GRE } from './ipv4.js';
import { isMulticast6 } from './ipv6.js';
import { type Entry, ownName, type Table } from './table.js';
import { type Tunnel, takesKeepalives } from './tunnel.js';

export type Local = 'keepalive' | 'answer' | 'probe' | 'reflect';

/** Protocol type of the GRE packets that only ask and answer. */
export const TYPE_KEEPALIVE = 0;

const ECHO_HEADER = 8;
/** Type and code (RFC 792; RFC 4443, 4.2). */
const ECHO_REPLY = { 4: 0x0000, 6: 0x8100 } as const;
const IDENTIFIER = 4;

/** Whether a GRE packet of this protocol type answers the keepalives of the tunnel. */
export function isAnswer({ mode, keepalive }: Tunnel, protocol: number): boolean {
  return keepalive === true && takesKeepalives(mode) && protocol === TYPE_KEEPALIVE;
}

/** What a packet is that claims one of our own addresses as its source, or null: it is forged. */
export function fromOwn(inner: Inner, entry: Entry, table: Table): 'keepalive' | 'reflect' | null {
  if (isKeepalive(inner, entry)) return 'keepalive';
  return isReflected(inner, entry, table) ? 'reflect' : null;
}

function isKeepalive(inner: Inner, { tunnel, version, local, remote }: Entry): boolean {
  if (!takesKeepalives(tunnel.mode)) return false;
  if (local === null || remote === null || inner.version !== version) return false;
  if (inner.protocol !== PROTOCOL_GRE || inner.isFragment) return false;
  if (ownName(inner.source) !== ownName(local)) return false;
  if (ownName(inner.destination) !== ownName(remote)) return false;
  const payload = inner.bytes.subarray(inner.headerLength);
  return checkGre(payload) === null && readGre(payload).protocol === TYPE_KEEPALIVE;
}

function isReflected(inner: Inner, { tunnel }: Entry, table: Table): boolean {
  if (tunnel.reflect !== true || echoReply(inner) === null) return false;
  const source = ownName(inner.source);
  if (!table.ownInner.has(source) || table.ownOuter.has(source)) return false;
  if (isMulticast(inner)) return false;
  const destination = ownName(inner.destination);
  return !table.ownInner.has(destination) && !table.ownOuter.has(destination);
}

function isMulticast({ version, destination }: Inner): boolean {
  return version === 4 ? isMulticast4(u32(destination, 0)) : isMulticast6(destination);
}

/** Whether a packet is the answer to the probe of its tunnel. */
export function isProbeAnswer(inner: Inner, { tunnel: { probe } }: Entry, table: Table): boolean {
  if (probe === undefined || !table.ownInner.has(ownName(inner.destination))) return false;
  const icmp = echoReply(inner);
  const target = parseAddress(probe.target);
  if (icmp === null || target === null) return false;
  if (ownName(inner.source) !== ownName(addressBytes(target))) return false;
  return u16(icmp, IDENTIFIER) === probe.identifier;
}

/** The ICMP message of an echo reply, or null. */
function echoReply(inner: Inner): Uint8Array | null {
  const protocol = inner.version === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6;
  if (inner.protocol !== protocol || inner.isFragment) return null;
  const icmp = inner.bytes.subarray(inner.headerLength);
  return icmp.length >= ECHO_HEADER && u16(icmp, 0) === ECHO_REPLY[inner.version] ? icmp : null;
}
