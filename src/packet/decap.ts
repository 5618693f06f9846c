// decap: an outer packet -> the inner packet, or the reason why not
//
//   1. checkOuter    IPv4 header, fragments, impossible sources, protocol, UDP header
//   2. GRE header    RFC 2784 and 2890, where the protocol is GRE
//   3. lookup        by local, remote and key; drops from here on belong to the tunnel
//   4. checkReceive  GRE checksum, sequence number, protocol type
//   5. checkInner    whole, consistent, of the version announced
//   6. checkPolicy   addresses and TTL
//   7. ECN           RFC 6040
//
// The specification of the packet path in plain code: asm/ must agree with it on every byte.

import { formatIpv4 } from './address.js';
import { setU16, u8, u16 } from './bytes.js';
import { isValid, update } from './checksum.js';
import { deviceHeader, isPartialTcp } from './device-header.js';
import { decapEcn, ecnOf } from './ecn.js';
import { checkGre, type GreHeader, readGre, TYPE_IPV4, TYPE_IPV6 } from './gre.js';
import { checkInner, type Inner, readInner } from './inner.js';
import {
  IPV4_HEADER,
  type Ipv4Header,
  isIpv4,
  isMartianSource4,
  PROTOCOL_UDP,
  readIpv4,
} from './ipv4.js';
import { IPV6_HEADER } from './ipv6.js';
import { lookup, modeOf } from './lookup.js';
import { checkPolicy } from './policy.js';
import type { Reason } from './reason.js';
import { acceptSequence, createState, type State, type TunnelState } from './state.js';
import { type Entry, type Table, type Tunnels, toTable } from './table.js';
import { isGre, type Mode, type Tunnel } from './tunnel.js';
import { checkUdp, isGreUdp, UDP_HEADER, udpLength } from './udp.js';

export type Decapped =
  | {
      readonly verdict: 'ok';
      readonly reason: null;
      readonly tunnel: Tunnel;
      /** Place of the tunnel in the table, from 1. */
      readonly record: number;
      /** The inner packet, a copy: its ECN bits may differ from those inside the outer packet. */
      readonly packet: Uint8Array;
      /** Where it began in the outer packet. */
      readonly offset: number;
      /** What a TUN device with a virtio_net_hdr wants in front of it. */
      readonly deviceHeader: Uint8Array;
    }
  | {
      readonly verdict: 'drop';
      readonly reason: Reason;
      /** The tunnel that refused it, or null. */
      readonly tunnel: Tunnel | null;
      /** Place of the tunnel in the table, from 1; 0 = none. */
      readonly record: number;
    };

interface Outer {
  readonly header: Ipv4Header;
  readonly mode: Mode;
  /** Bytes in front of the payload. */
  readonly length: number;
  readonly payload: Uint8Array;
}

/**
 * Takes a packet that begins at its outer IP header and looks for its tunnel among `tunnels`. `link` is
 * the index of the device it came from, 0 = not known.
 */
export function decap(
  packet: Uint8Array,
  tunnels: Tunnels,
  state: State = createState(),
  link = 0,
): Decapped {
  const table = toTable(tunnels);
  const outer = checkOuter(packet, table);
  if (typeof outer === 'string') return drop(outer);
  const isKeyed = outer.mode === 'gre' || outer.mode === 'gre-udp';
  const gre = isKeyed ? parseGre(outer.payload) : null;
  if (typeof gre === 'string') return drop(gre);

  const record = lookup(table, {
    mode: outer.mode,
    local: outer.header.destination,
    remote: outer.header.source,
    key: gre?.key ?? null,
    link,
  });
  const entry = table.entries[record - 1];
  if (entry === undefined) return drop('no-tunnel');

  const inner = receive(outer, gre, entry, table, state.of(entry.tunnel, record));
  if (typeof inner === 'string') return drop(inner, entry.tunnel, record);
  const ecn = decapEcn(ecnOf(outer.header.tos), ecnOf(inner.tos));
  if (ecn === null) return drop('ecn', entry.tunnel, record);

  return {
    verdict: 'ok',
    reason: null,
    tunnel: entry.tunnel,
    record,
    packet: withEcn(inner, ecn),
    offset: outer.length + (gre?.length ?? 0),
    deviceHeader: deviceHeader(inner, entry.mtu),
  };
}

function drop(reason: Reason, tunnel: Tunnel | null = null, record = 0): Decapped {
  return { verdict: 'drop', reason, tunnel, record };
}

/** The outer header with its payload, or why the packet is not looked at. */
function checkOuter(packet: Uint8Array, table: Table): Outer | Reason {
  const version = u8(packet, 0) >>> 4;
  if (version === 6) return packet.length < IPV6_HEADER ? 'outer-header' : 'no-tunnel';
  if (packet.length < IPV4_HEADER || !isIpv4(packet)) return 'outer-header';
  const header = readIpv4(packet);
  if (header.isFragment) return 'outer-fragment';
  if (isMartianSource4(header.source)) return 'outer-martian';
  if (table.ownOuter.has(formatIpv4(header.source))) return 'outer-martian';
  const mode = modeOf(header.protocol);
  if (mode === null) return 'no-tunnel';
  const length = header.headerLength;
  const payload = packet.subarray(length, header.totalLength);
  if (header.protocol !== PROTOCOL_UDP) return { header, mode, length, payload };
  if (!isGreUdp(payload)) return 'no-tunnel';
  const malformed = checkUdp(payload, 4, packet.subarray(12, 16), packet.subarray(16, 20));
  if (malformed !== null) return malformed;
  const gre = payload.subarray(UDP_HEADER, udpLength(payload));
  return { header, mode, length: length + UDP_HEADER, payload: gre };
}

function parseGre(payload: Uint8Array): GreHeader | Reason {
  return checkGre(payload) ?? readGre(payload);
}

/** The inner packet, or why the tunnel refuses it. */
function receive(
  outer: Outer,
  gre: GreHeader | null,
  entry: Entry,
  table: Table,
  state: TunnelState,
): Inner | Reason {
  let version: 4 | 6 = outer.mode === 'ipip' ? 4 : 6;
  if (gre !== null) {
    const refused = checkReceive(outer.payload, gre, entry.tunnel, state);
    if (refused !== null) return refused;
    version = gre.protocol === TYPE_IPV4 ? 4 : 6;
  }
  const bytes = outer.payload.subarray(gre?.length ?? 0);
  const malformed = checkInner(bytes, version);
  if (malformed !== null) return malformed;
  const inner = readInner(bytes, version);
  return checkPolicy(inner, entry, table) ?? inner;
}

function checkReceive(
  payload: Uint8Array,
  gre: GreHeader,
  tunnel: Tunnel,
  state: TunnelState,
): Reason | null {
  // RFC 2784, 2.2: a checksum is checked whether or not the tunnel sends one itself.
  if (gre.hasChecksum && !isValid(payload) && !isMerged(payload, gre)) return 'gre-checksum';
  const isOrdered = isGre(tunnel) && tunnel.sequenceIn;
  if (isOrdered && gre.sequence !== null && !acceptSequence(state, gre.sequence)) {
    return 'gre-sequence';
  }
  if (gre.protocol !== TYPE_IPV4 && gre.protocol !== TYPE_IPV6) return 'unknown-protocol';
  return null;
}

/**
 * Whether the kernel made this packet of several on receipt (GRO). It verified the GRE checksum of each,
 * and left that of the first in the merged one, where it fits nothing.
 */
export function isMerged(payload: Uint8Array, gre: GreHeader): boolean {
  const bytes = payload.subarray(gre.length);
  const version = gre.protocol === TYPE_IPV4 ? 4 : 6;
  if (version === 6 && gre.protocol !== TYPE_IPV6) return false;
  return checkInner(bytes, version) === null && isPartialTcp(readInner(bytes, version));
}

/** A copy of the inner packet with these ECN bits, its IPv4 header checksum following them. */
function withEcn(inner: Inner, ecn: number): Uint8Array {
  const packet = inner.bytes.slice();
  if (ecn === ecnOf(inner.tos)) return packet;
  const before = u16(packet, 0);
  const after = inner.version === 4 ? (before & ~3) | ecn : (before & ~0x30) | (ecn << 4);
  setU16(packet, 0, after);
  if (inner.version === 4) setU16(packet, 10, update(u16(packet, 10), before, after));
  return packet;
}
