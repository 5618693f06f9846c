// encap: an inner packet or frame -> the outer packet that carries it, or the reason why not
//
//   1. readCarried   enter.ts: what it is, whole and sound
//      recordFor     peers.ts: the peer it is for, in a tunnel with several
//   2. isTooLong     enter.ts: whether it may enter the tunnel
//      checkRoute, isBack, limitOf
//   3. clampMss      what hosts tell each other of segment sizes
//   4. outer header  IPv4 or IPv6, with TOS, TTL and DF of the tunnel or of the inner packet
//   5. UDP header    a source port for each flow, for gre-udp
//   6. GRE header    key, sequence number, checksum
import { setU16, setU32 } from './bytes.js';
import { checksum } from './checksum.js';
import { checkRoute, isBack, isTooLong, limitOf, mustPass, readCarried } from './enter.js';
import { GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE, greLength } from './gre.js';
import { type Inner, readInner } from './inner.js';
import { clampMss } from './mss.js';
import type { Observe } from './observe.js';
import { outerHeader } from './outer-header.js';
import { recordFor } from './peers.js';
import type { Reason } from './reason.js';
import { createTunnelState, type TunnelState } from './state.js';
import { createTable, type Entry, NO_ADDRESSES, type OwnAddresses, type Table } from './table.js';
import { type GreTunnel, isGre, outerLength, type Tunnel } from './tunnel.js';
import { flowPort, putUdp, sourcePortOf, UDP_HEADER, udpChecksum } from './udp.js';

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
  return encapInto(inner, entry, state, undefined, table);
}

/** The record that takes `bytes` out of the device of `record`: in a tunnel with peers that of one of them. */
export function recordOf(bytes: Uint8Array, table: Table, record: number): number {
  const entry = table.entries[record - 1];
  if (entry?.routes === undefined || entry.carries === 'ethernet') return record;
  const carried = readCarried(bytes, entry);
  if (typeof carried === 'string' || carried.ip === null) return record;
  return recordFor(table, record, carried.ip.destination);
}

/**
 * `encap` for a tunnel that was made ready before. `whole`: of a superpacket that a kernel splits behind us, the
 * length of its longest segment and how many there are. `own`: our addresses. `observe` is told of every check that the
 * packet passes.
 */
export function encapInto(
  bytes: Uint8Array,
  entry: Entry | undefined,
  state: TunnelState,
  whole: { readonly length: number; readonly count: number } = { length: bytes.length, count: 1 },
  own: OwnAddresses = NO_ADDRESSES,
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
  const refused = checkRoute(carried, entry, own, observe);
  if (refused !== null) return drop(refused);
  if (isBack(carried, entry, own)) return drop('no-route');
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
  putUdp(udp, sourcePortOf(tunnel) || flowPort(inner));
  // The checksum covers the source address: where the kernel is to choose that, none is sent. Nor by a kernel that
  // splits a superpacket: it would send this one in every segment.
  if (local === null || remote === null || count > 1) return;
  setU16(udp, 6, udpChecksum(udp, local, remote));
}

function drop(reason: Reason): Encapped {
  return { verdict: 'drop', reason };
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
