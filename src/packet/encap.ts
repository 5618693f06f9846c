// encap: an inner packet -> the outer packet that carries it, or the reason why not
//
//   1. checkPacket   whole, of a version the tunnel carries, not larger than its MTU, TTL left
//   2. checkRoute    there is a peer, and the packet is not for the peer itself
//   3. outer header  IPv4, with TOS, TTL and DF of the tunnel or of the inner packet
//   4. UDP header    a source port for each flow, for gre-udp
//   5. GRE header    key, sequence number, checksum
import { setU8, setU16, setU32, u8, u16, u32 } from './bytes.js';
import { checksum } from './checksum.js';
import { ecnOf, encapEcn } from './ecn.js';
import { GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE, greLength, TYPE_IPV4, TYPE_IPV6 } from './gre.js';
import { type Inner, readInner } from './inner.js';
import {
  IPV4_HEADER,
  PROTOCOL_GRE,
  PROTOCOL_IPIP,
  PROTOCOL_SIT,
  PROTOCOL_UDP,
  readIpv4,
} from './ipv4.js';
import { IPV6_HEADER } from './ipv6.js';
import type { Reason } from './reason.js';
import { createTunnelState, type TunnelState } from './state.js';
import { createEntry, type Entry } from './table.js';
import { type GreTunnel, isGre, type Mode, type Tunnel } from './tunnel.js';
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

/** Puts `inner`, a whole IPv4 or IPv6 packet, into `tunnel`. Undefined: a tunnel that is not there. */
export function encap(
  inner: Uint8Array,
  tunnel: Tunnel | undefined,
  state: TunnelState = createTunnelState(),
): Encapped {
  return encapInto(inner, tunnel === undefined ? undefined : createEntry(tunnel), state);
}

/**
 * `encap` for a tunnel that was made ready before. `whole`: of a superpacket that a kernel splits behind us, the
 * length of its longest segment and how many there are.
 */
export function encapInto(
  bytes: Uint8Array,
  entry: Entry | undefined,
  state: TunnelState,
  whole: { readonly length: number; readonly count: number } = { length: bytes.length, count: 1 },
): Encapped {
  if (entry === undefined) return drop('tunnel-down');
  const malformed = checkPacket(bytes);
  if (malformed !== null) return drop(malformed);
  const inner = readInner(bytes, u8(bytes, 0) >>> 4 === 4 ? 4 : 6);
  const refused = checkCarried(inner, entry, whole.length) ?? checkRoute(inner, entry);
  if (refused !== null) return drop(refused);

  const { tunnel } = entry;
  const greStart = IPV4_HEADER + (tunnel.mode === 'gre-udp' ? UDP_HEADER : 0);
  const gre = isGre(tunnel) ? greHeader(tunnel, inner, state) : new Uint8Array(0);
  const outerLength = greStart + gre.length;
  const packet = new Uint8Array(outerLength + inner.bytes.length);
  packet.set(outerHeader(entry, inner, packet.length, state, whole.count), 0);
  packet.set(gre, greStart);
  packet.set(inner.bytes, outerLength);
  if (isGre(tunnel) && tunnel.checksumOut) {
    setU16(packet, greStart + 4, checksum(packet.subarray(greStart)));
  }
  if (tunnel.mode === 'gre-udp') finishUdp(packet, inner, entry, whole.count);
  return { verdict: 'ok', reason: null, packet, outerLength };
}

/** Writes the UDP header between the outer header and everything else, which is there. */
function finishUdp(
  packet: Uint8Array,
  inner: Inner,
  { local, tunnel }: Entry,
  count: number,
): void {
  const udp = packet.subarray(IPV4_HEADER);
  const isOrdered = isGre(tunnel) && tunnel.sequenceOut;
  putUdp(udp, isOrdered ? ORDERED_PORT : flowPort(inner));
  // The checksum covers the source address: where the kernel is to choose that, none is sent. Nor by a kernel that
  // splits a superpacket: it would send this one in every segment.
  if (local === 0 || count > 1) return;
  setU16(udp, 6, udpChecksum(udp, packet.subarray(12, 16), packet.subarray(16, 20)));
}

const PROTOCOL: Readonly<Record<Mode, number>> = {
  gre: PROTOCOL_GRE,
  'gre-udp': PROTOCOL_UDP,
  ipip: PROTOCOL_IPIP,
  sit: PROTOCOL_SIT,
};

function drop(reason: Reason): Encapped {
  return { verdict: 'drop', reason };
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

function checkCarried(inner: Inner, { tunnel, mtu }: Entry, length: number): Reason | null {
  if (tunnel.mode === 'ipip' && inner.version === 6) return 'unknown-protocol';
  if (tunnel.mode === 'sit' && inner.version === 4) return 'unknown-protocol';
  if (length > mtu) return 'too-big';
  if (inner.ttl === 0) return 'inner-ttl'; // RFC 2003, 3.1
  return null;
}

function checkRoute(inner: Inner, { remote }: Entry): Reason | null {
  if (remote === 0) return 'no-route';
  // To the peer's own outer address: the tunnel would carry its own packets (RFC 2003, 3.2).
  if (inner.version === 4 && u32(inner.destination, 0) === remote) return 'nesting-limit';
  return null;
}

function outerHeader(
  { tunnel, local, remote }: Entry,
  inner: Inner,
  length: number,
  state: TunnelState,
  count: number,
): Uint8Array {
  const header = new Uint8Array(IPV4_HEADER);
  const dontFragment = tunnel.pmtudisc || inner.dontFragment;
  const dscp = (tunnel.tos === 'inherit' ? inner.tos : tunnel.tos) & 0xfc;
  setU8(header, 0, 0x45);
  setU8(header, 1, dscp | encapEcn(ecnOf(inner.tos)));
  setU16(header, 2, length);
  setU16(header, 4, dontFragment ? 0 : state.nextIdentification(count) & 0xffff);
  setU16(header, 6, dontFragment ? 0x4000 : 0);
  setU8(header, 8, tunnel.ttl === 'inherit' ? inner.ttl : tunnel.ttl);
  setU8(header, 9, PROTOCOL[tunnel.mode]);
  setU32(header, 12, local);
  setU32(header, 16, remote);
  setU16(header, 10, checksum(header));
  return header;
}

/** The GRE header with its checksum field still 0. */
function greHeader(tunnel: GreTunnel, inner: Inner, state: TunnelState): Uint8Array {
  const flags =
    (tunnel.checksumOut ? GRE_CHECKSUM : 0) |
    (tunnel.keyOut === undefined ? 0 : GRE_KEY) |
    (tunnel.sequenceOut ? GRE_SEQUENCE : 0);
  const header = new Uint8Array(greLength(flags));
  setU16(header, 0, flags);
  setU16(header, 2, inner.version === 4 ? TYPE_IPV4 : TYPE_IPV6);
  let offset = tunnel.checksumOut ? 8 : 4;
  if (tunnel.keyOut !== undefined) {
    setU32(header, offset, tunnel.keyOut);
    offset += 4;
  }
  if (tunnel.sequenceOut) setU32(header, offset, state.nextSequence());
  return header;
}
