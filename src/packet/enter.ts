// May this inner packet enter its tunnel?
//
//   readCarried   a whole IP packet of a version the tunnel carries, or a whole Ethernet frame
//   isTooLong     not larger than the tunnel's MTU, or IPv6 and to be fragmented on the way (mustPass)
//   checkRoute    TTL left, there is a peer, and the packet would not come back again and again (RFC 2003, 3.2)
//   isBack        it does not come from the group that it would go to
//   limitOf       it may enter one tunnel more

import { u8, u16 } from './bytes.js';
import { encapLimitOf } from './encap-limit.js';
import { findIp } from './frame.js';
import { TYPE_ETHERNET, TYPE_IPV4, TYPE_IPV6 } from './gre.js';
import { type Inner, readInner } from './inner.js';
import { IPV4_HEADER, isTunnelProtocol, PROTOCOL_UDP, readIpv4 } from './ipv4.js';
import { IPV6_HEADER, IPV6_MTU_MIN, walkExtensions } from './ipv6.js';
import type { Observe } from './observe.js';
import { isFromGroup } from './policy.js';
import type { Reason } from './reason.js';
import type { TunnelState } from './state.js';
import { type Entry, type OwnAddresses, ownName } from './table.js';
import { ETHERNET_HEADER } from './tunnel.js';
import { isGreUdp, UDP_HEADER } from './udp.js';

/** What a tunnel is to carry. */
export interface Carried {
  readonly bytes: Uint8Array;
  /** The IP packet; in a frame, where there is one. */
  readonly ip: Inner | null;
  /** Where that begins. */
  readonly start: number;
  /** As a GRE header names it. */
  readonly type: number;
}

export function readCarried(bytes: Uint8Array, { carries }: Entry): Carried | Reason {
  if (carries === 'ethernet') {
    if (bytes.length < ETHERNET_HEADER) return 'inner-truncated';
    const framed = findIp(bytes);
    const { inner: ip = null, start = 0 } = framed ?? {};
    return { bytes, ip, start, type: TYPE_ETHERNET };
  }
  const malformed = checkPacket(bytes);
  if (malformed !== null) return malformed;
  const version = u8(bytes, 0) >>> 4 === 4 ? 4 : 6;
  if (carries !== 'ip' && carries !== version) return 'unknown-protocol';
  const type = version === 4 ? TYPE_IPV4 : TYPE_IPV6;
  return { bytes, ip: readInner(bytes, version), start: 0, type };
}

/** Why `bytes` are no packet to send, or null. The length must be exact: a device adds no padding. */
function checkPacket(bytes: Uint8Array): Reason | null {
  if (bytes.length === 0) return 'inner-truncated';
  const version = u8(bytes, 0) >>> 4;
  if (version === 4) {
    if (bytes.length < IPV4_HEADER) return 'inner-truncated';
    const { headerLength, totalLength } = readIpv4(bytes);
    const isExact =
      headerLength >= IPV4_HEADER && headerLength <= bytes.length && totalLength === bytes.length;
    return isExact ? null : 'inner-header';
  }
  if (version !== 6) return 'inner-version';
  if (bytes.length < IPV6_HEADER) return 'inner-truncated';
  return IPV6_HEADER + u16(bytes, 4) === bytes.length ? null : 'inner-header';
}

/** Whether `length` bytes are more than the tunnel takes: as it was told, or as its path was found to. */
export function isTooLong(
  { carries, mtu }: Entry,
  { pathMtu }: TunnelState,
  length: number,
): boolean {
  const most = pathMtu === 0 ? mtu : Math.min(mtu, pathMtu);
  const header = carries === 'ethernet' ? ETHERNET_HEADER : 0;
  return length - header > most;
}

/** Whether the packet is IPv6 that every link has to take: whole, or in fragments (RFC 2473, 7.1; RFC 4213, 3.2.2). */
export function mustPass({ ip, start }: Carried, length: number): boolean {
  return ip?.version === 6 && length - start <= IPV6_MTU_MIN;
}

export function checkRoute(
  { ip }: Carried,
  { tunnel, carries, version, local, remote }: Entry,
  own: OwnAddresses,
  observe?: Observe,
): Reason | null {
  const isRouted = carries !== 'ethernet';
  if (isRouted && ip?.ttl === 0) return 'inner-ttl'; // RFC 2003, 3.1
  observe?.({ at: 'ttl' });
  if (remote === null) return 'no-route';
  // No kernel fills in the source of an IPv6 header.
  if (version === 6 && local === null) return 'no-route';
  observe?.({ at: 'peer' });
  if (!isRouted || ip === null) return null;
  const isEnd = (address: Uint8Array, end: Uint8Array | null): boolean =>
    end !== null && ownName(address) === ownName(end);
  // RFC 2003, 3.2: to the peer's own outer address, or sent by a tunnel already: it would go in again and again. Linux
  // has no look at who sends it, but for IPv6 in IPv6 whether that is the far end.
  const isLinux = tunnel.profile === 'linux';
  if (isEnd(ip.destination, remote)) return 'nesting-limit';
  if (!isLinux && isOwnTunnels(ip, own)) return 'nesting-limit';
  observe?.({ at: 'to' });
  // From there it has come back, or is forged; but a keepalive of ours is one that the peer is to send back.
  const isLooked = !isLinux || (version === 6 && ip.version === 6);
  const isAsking = tunnel.keepalive === true && isEnd(ip.destination, local);
  if (isLooked && isEnd(ip.source, remote) && !isAsking) return 'inner-src-spoof';
  observe?.({ at: 'from' });
  return null;
}

/**
 * Whether a packet is one that a tunnel of ours has just sent: it came back to go in again, and would do so as often as
 * it fits. What else the router sends from such an address may take a tunnel, as what it sends from any other.
 */
export function isOwnTunnels(inner: Inner, { ownOuter }: OwnAddresses): boolean {
  return isTunnelPacket(inner) && ownOuter.has(ownName(inner.source));
}

function isTunnelPacket({ version, bytes, headerLength, protocol }: Inner): boolean {
  if (version === 4) {
    if (protocol !== PROTOCOL_UDP) return isTunnelProtocol(protocol);
    const isLater = (u16(bytes, 6) & 0x1fff) !== 0; // its port is in the first
    return !isLater && isToGreUdp(bytes.subarray(headerLength));
  }
  const upper = walkExtensions(bytes, bytes.length);
  if (upper.end !== 'reached') return false;
  if (upper.protocol !== PROTOCOL_UDP) return isTunnelProtocol(upper.protocol);
  return isToGreUdp(bytes.subarray(upper.offset));
}

function isToGreUdp(udp: Uint8Array): boolean {
  return udp.length >= UDP_HEADER && isGreUdp(udp);
}

/**
 * Whether a packet comes from a group of receivers and would go back to it: every router of the group that forwards
 * packets would do so, again and again. In doubt it may go; and a bridge sends no frame back to where it came from.
 */
export function isBack({ ip }: Carried, entry: Entry, own: OwnAddresses): boolean {
  if (ip === null || entry.carries === 'ethernet') return false;
  return isFromGroup(ip, entry, own) === 'yes';
}

/**
 * What the encapsulation limit option is to say, null where none is sent; below 0: the packet may enter no tunnel more
 * (RFC 2473, 4.1.1), of whatever kind. Linux looks for that only in tunnels over IPv6.
 */
export function limitOf({ ip }: Carried, { tunnel, version }: Entry): number | null {
  const isSent = version === 6 && tunnel.encapLimit !== undefined;
  const isRead = version === 6 || tunnel.profile !== 'linux';
  const inner = ip === null || !isRead ? null : encapLimitOf(ip);
  if (inner === 0) return -1;
  if (!isSent) return null;
  return inner === null ? (tunnel.encapLimit ?? null) : inner - 1;
}
