// encap: an inner packet or frame -> the outer packet that carries it, or the reason why not
//
//   1. readCarried   a whole IP packet of a version the tunnel carries, or a whole Ethernet frame
//      recordFor     the peer it is for, in a tunnel with several (peers.ts)
//   2. isTooLong     not larger than the tunnel's MTU, or IPv6 and to be fragmented on the way
//   3. checkRoute    TTL left, there is a peer, the packet is not for the peer itself, nor one that a group has had
//      limitOf       already; it may enter one tunnel more
//   4. clampMss      what hosts tell each other of segment sizes
//   5. outer header  IPv4 or IPv6, with TOS, TTL and DF of the tunnel or of the inner packet
//   6. UDP header    a source port for each flow, for gre-udp
//   7. GRE header    key, sequence number, checksum
import { setU16, setU32, u8, u16 } from './bytes.js';
import { checksum } from './checksum.js';
import { encapLimitOf } from './encap-limit.js';
import { findIp } from './frame.js';
import {
  GRE_CHECKSUM,
  GRE_KEY,
  GRE_SEQUENCE,
  greLength,
  TYPE_ETHERNET,
  TYPE_IPV4,
  TYPE_IPV6,
} from './gre.js';
import { type Inner, readInner } from './inner.js';
import { IPV4_HEADER, readIpv4 } from './ipv4.js';
import { IPV6_HEADER, IPV6_MTU_MIN } from './ipv6.js';
import { clampMss } from './mss.js';
import type { Observe } from './observe.js';
import { outerHeader } from './outer-header.js';
import { recordFor } from './peers.js';
import { isWithin } from './policy.js';
import type { Reason } from './reason.js';
import { createTunnelState, type TunnelState } from './state.js';
import { createTable, type Entry, isGroup, ownName, type Table } from './table.js';
import { ETHERNET_HEADER, type GreTunnel, isGre, outerLength, type Tunnel } from './tunnel.js';
import { flowPort, ORDERED_PORT, putUdp, UDP_HEADER, udpChecksum } from './udp.js';

export type Encapped =
  | {
      readonly verdict: 'ok';
      readonly reason: null;
      /** The outer packet: a new array. */
      readonly packet: Uint8Array;
      /** Bytes of it in front of the inner packet. */
      readonly outerLength: number;
    }
  | { readonly verdict: 'drop'; readonly reason: Reason };

/**
 * Puts `inner`, a whole IPv4 or IPv6 packet or what else the mode carries, into `tunnel`. Undefined: a tunnel that is
 * not there. In a tunnel with peers `state` is that of the peer the packet is for.
 */
export function encap(
  inner: Uint8Array,
  tunnel: Tunnel | undefined,
  state: TunnelState = createTunnelState(),
): Encapped {
  const table = createTable([tunnel]);
  const entry = table.entries[recordOf(inner, table, 1) - 1];
  return encapInto(inner, entry, state, undefined, table.ownInner);
}

/** The record that takes `bytes` out of the device of `record`: in a tunnel with peers that of one of them. */
export function recordOf(bytes: Uint8Array, table: Table, record: number): number {
  const entry = table.entries[record - 1];
  if (entry?.routes === undefined || entry.carries === 'ethernet') return record;
  const carried = readCarried(bytes, entry);
  if (typeof carried === 'string' || carried.ip === null) return record;
  return recordFor(table, record, carried.ip.destination);
}

/** What a tunnel is to carry. */
interface Carried {
  readonly bytes: Uint8Array;
  /** The IP packet; in a frame, where there is one. */
  readonly ip: Inner | null;
  /** Where that begins. */
  readonly start: number;
  /** As a GRE header names it. */
  readonly type: number;
}

/**
 * `encap` for a tunnel that was made ready before. `whole`: of a superpacket that a kernel splits behind us, the
 * length of its longest segment and how many there are. `ownInner`: addresses of our devices. `observe` is told of every
 * check that the packet passes.
 */
export function encapInto(
  bytes: Uint8Array,
  entry: Entry | undefined,
  state: TunnelState,
  whole: { readonly length: number; readonly count: number } = { length: bytes.length, count: 1 },
  ownInner: ReadonlySet<string> = new Set(),
  observe?: Observe,
): Encapped {
  if (entry === undefined) return drop('tunnel-down');
  observe?.({ at: 'tunnel', entry });
  const carried = readCarried(bytes, entry);
  if (typeof carried === 'string') return drop(carried);
  observe?.({ at: 'inner', inner: carried.ip, length: bytes.length });
  const isLong = isTooLong(entry, state, whole.length);
  if (isLong && !mustPass(carried, whole.length)) return drop('too-big');
  observe?.({ at: 'mtu', length: whole.length });
  const refused = checkRoute(carried, entry, observe);
  if (refused !== null) return drop(refused);
  if (isBack(carried, entry, ownInner)) return drop('no-route');
  const limit = limitOf(carried, entry);
  if (limit !== null && limit < 0) return drop('encap-limit');
  observe?.({ at: 'limit', limit });

  const { tunnel } = entry;
  const { ip, start } = carried;
  const length = outerLength(tunnel);
  const packet = new Uint8Array(length + bytes.length);
  packet.set(bytes, length);
  if (ip !== null) {
    const inside = readInner(packet.subarray(length + start), ip.version);
    clampMss(inside, entry.mss[ip.version], false);
  }
  const { count } = whole;
  const outer = outerHeader({ entry, ip, length: packet.length, isLong, state, count, limit });
  packet.set(outer, 0);
  if (!isGre(tunnel)) return { verdict: 'ok', reason: null, packet, outerLength: length };

  const greStart = outer.length + (tunnel.mode === 'gre-udp' ? UDP_HEADER : 0);
  packet.set(greHeader(tunnel, carried.type, state), greStart);
  if (tunnel.checksumOut) setU16(packet, greStart + 4, checksum(packet.subarray(greStart)));
  if (tunnel.mode === 'gre-udp' && ip !== null) finishUdp(packet, outer.length, ip, entry, count);
  return { verdict: 'ok', reason: null, packet, outerLength: length };
}

/** Writes the UDP header between the outer header of `start` bytes and everything else, which is there. */
function finishUdp(
  packet: Uint8Array,
  start: number,
  inner: Inner,
  { local, remote, tunnel }: Entry,
  count: number,
): void {
  const udp = packet.subarray(start);
  const isOrdered = isGre(tunnel) && tunnel.sequenceOut;
  putUdp(udp, isOrdered ? ORDERED_PORT : flowPort(inner));
  // The checksum covers the source address: where the kernel is to choose that, none is sent. Nor by a kernel that
  // splits a superpacket: it would send this one in every segment.
  if (local === null || remote === null || count > 1) return;
  setU16(udp, 6, udpChecksum(udp, local, remote));
}

function drop(reason: Reason): Encapped {
  return { verdict: 'drop', reason };
}

function readCarried(bytes: Uint8Array, { carries }: Entry): Carried | Reason {
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
function isTooLong({ carries, mtu }: Entry, { pathMtu }: TunnelState, length: number): boolean {
  const most = pathMtu === 0 ? mtu : Math.min(mtu, pathMtu);
  const header = carries === 'ethernet' ? ETHERNET_HEADER : 0;
  return length - header > most;
}

/** Whether the packet is IPv6 that every link has to take: whole, or in fragments (RFC 2473, 7.1; RFC 4213, 3.2.2). */
function mustPass({ ip, start }: Carried, length: number): boolean {
  return ip?.version === 6 && length - start <= IPV6_MTU_MIN;
}

function checkRoute(
  { ip }: Carried,
  { carries, version, local, remote }: Entry,
  observe?: Observe,
): Reason | null {
  if (carries !== 'ethernet' && ip?.ttl === 0) return 'inner-ttl'; // RFC 2003, 3.1
  observe?.({ at: 'ttl' });
  if (remote === null) return 'no-route';
  // No kernel fills in the source of an IPv6 header.
  if (version === 6 && local === null) return 'no-route';
  // To the peer's own outer address: the tunnel would carry its own packets (RFC 2003, 3.2).
  const isForPeer = ip !== null && ownName(ip.destination) === ownName(remote);
  if (carries !== 'ethernet' && isForPeer) return 'nesting-limit';
  observe?.({ at: 'peer' });
  return null;
}

/**
 * Whether a packet comes from a group of receivers and would go back to it: every router of the group that forwards
 * packets would do so, again and again. It is told by its source, which the tunnel accepts from others.
 */
function isBack(
  { ip }: Carried,
  { carries, remote, allow }: Entry,
  ownInner: ReadonlySet<string>,
): boolean {
  if (ip === null || carries === 'ethernet' || allow === 'any') return false;
  if (remote === null || !isGroup(remote) || ownInner.has(ownName(ip.source))) return false;
  return isWithin(allow, ip);
}

/**
 * What the encapsulation limit option is to say, null where none is sent; below 0: the packet may enter no tunnel more
 * (RFC 2473, 4.1.1), of whatever kind. Linux looks for that only in tunnels over IPv6.
 */
function limitOf({ ip }: Carried, { tunnel, version }: Entry): number | null {
  const isSent = version === 6 && tunnel.encapLimit !== undefined;
  const isRead = version === 6 || tunnel.profile !== 'linux';
  const inner = ip === null || !isRead ? null : encapLimitOf(ip);
  if (inner === 0) return -1;
  if (!isSent) return null;
  return inner === null ? (tunnel.encapLimit ?? null) : inner - 1;
}

/** The GRE header with its checksum field still 0. */
function greHeader(tunnel: GreTunnel, type: number, state: TunnelState): Uint8Array {
  const flags =
    (tunnel.checksumOut ? GRE_CHECKSUM : 0) |
    (tunnel.keyOut === undefined ? 0 : GRE_KEY) |
    (tunnel.sequenceOut ? GRE_SEQUENCE : 0);
  const header = new Uint8Array(greLength(flags));
  setU16(header, 0, flags);
  setU16(header, 2, type);
  let offset = tunnel.checksumOut ? 8 : 4;
  if (tunnel.keyOut !== undefined) {
    setU32(header, offset, tunnel.keyOut);
    offset += 4;
  }
  if (tunnel.sequenceOut) setU32(header, offset, state.nextSequence());
  return header;
}
