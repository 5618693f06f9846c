// decap: an outer packet -> the inner packet or frame, or the reason why not
//
//   1. checkOuter    received.ts: IP header, fragments, impossible sources, protocol, UDP header
//   2. GRE header    RFC 2784 and 2890, where the protocol is GRE
//   3. find          the tunnel, by local, remote and key; drops from here on belong to it
//   4. checkReceive  reserved bits, GRE checksum, sequence number, protocol type
//   5. openPacket    an IP packet: whole, consistent, of the version announced; addresses and TTL allowed; is it for
//                    the router itself?
//      openFrame     an Ethernet frame: whole, the IP packet in it from an accepted source
//   6. arrive        ECN (RFC 6040), DSCP, TTL, MSS
//
// The specification of the packet path in plain code: asm/ must agree with it on every byte.

import { isValid } from './checksum.js';
import { deviceHeader, isPartialTcp } from './device-header.js';
import { decapEcn, ecnOf, isOddEcn } from './ecn.js';
import { findIp, isGroupSource } from './frame.js';
import {
  checkGre,
  type GreHeader,
  hasReservedBits,
  readGre,
  TYPE_ETHERNET,
  TYPE_IPV4,
  TYPE_IPV6,
} from './gre.js';
import { checkInner, type Inner, readInner, setTos, setTtl } from './inner.js';
import { PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_UDP } from './ipv4.js';
import { isAnswer, type Local } from './local.js';
import { lookup } from './lookup.js';
import { clampMss } from './mss.js';
import type { Observe } from './observe.js';
import { type Payload, payloadOf } from './payload.js';
import { checkFramePolicy, checkPolicy } from './policy.js';
import type { Reason } from './reason.js';
import { checkOuter, modeOf, type Received } from './received.js';
import { acceptSequence, createState, isEarly, type State, type TunnelState } from './state.js';
import { type Entry, type Table, type Tunnels, toTable } from './table.js';
import { ETHERNET_HEADER, isGre, type Tunnel } from './tunnel.js';

export type Decapped =
  | {
      readonly verdict: 'ok';
      readonly reason: null;
      readonly tunnel: Tunnel;
      /** Place of the tunnel in the table, from 1. */
      readonly record: number;
      /** The inner packet or frame, a copy: a few of its fields may differ from those inside the outer packet. */
      readonly packet: Uint8Array;
      /** The IP packet: its version, and where in a frame it begins; null: the frame has none. */
      readonly ip: { readonly version: 4 | 6; readonly start: number } | null;
      /** Where it began in the outer packet. */
      readonly offset: number;
      /** What a TUN device with a virtio_net_hdr wants in front of it. */
      readonly deviceHeader: Uint8Array;
    }
  | {
      /** It came before another that is still missing: to be given again when its turn has come. */
      readonly verdict: 'early';
      readonly reason: null;
      readonly tunnel: Tunnel;
      readonly record: number;
      /** Its sequence number. */
      readonly sequence: number;
    }
  | {
      /** It ended at the router itself. */
      readonly verdict: 'local';
      readonly reason: null;
      readonly tunnel: Tunnel;
      readonly record: number;
      readonly local: Local;
      /** What of it counts, a copy: what is behind the GRE header of an answer, otherwise the inner packet. */
      readonly packet: Uint8Array;
      /** Where that began in the outer packet. */
      readonly offset: number;
    }
  | {
      readonly verdict: 'drop';
      readonly reason: Reason;
      /** The tunnel that refused it, or null. */
      readonly tunnel: Tunnel | null;
      /** Place of the tunnel in the table, from 1; 0 = none. */
      readonly record: number;
    };

/** What was inside, where it is for the router itself. */
interface Own {
  readonly local: Local;
  readonly bytes: Uint8Array;
  /** Bytes of the outer packet in front of it. */
  readonly offset: number;
}

/** What was inside. */
interface Opened {
  /** Bytes behind the packet's own length (padding) are cut off. */
  readonly bytes: Uint8Array;
  /** The IP packet; in a frame, where there is one. */
  readonly ip: Inner | null;
  /** Where that begins. */
  readonly start: number;
  /** Bytes of the outer packet in front of it all. */
  readonly offset: number;
}

/**
 * Takes a packet that begins at its outer IP header and looks for its tunnel among `tunnels`. `link` is
 * the index of the device it came from, 0 = not known. `observe` is told of every check that it passes.
 */
export function decap(
  packet: Uint8Array,
  tunnels: Tunnels,
  state: State = createState(),
  link = 0,
  observe?: Observe,
): Decapped {
  const table = toTable(tunnels);
  const outer = checkOuter(packet, table, observe);
  if (typeof outer === 'string') return drop(outer);
  const hasGre = outer.protocol === PROTOCOL_GRE || outer.protocol === PROTOCOL_UDP;
  const gre = hasGre ? (checkGre(outer.payload) ?? readGre(outer.payload)) : null;
  if (typeof gre === 'string') return drop(gre);
  if (gre !== null) observe?.({ at: 'gre', gre });

  const record = find(table, outer, gre, link);
  const entry = table.entries[record - 1];
  if (entry === undefined) return drop('no-tunnel');
  observe?.({ at: 'tunnel', entry });

  const memory = state.of(entry.tunnel, record);
  const opened = open(outer, gre, { entry, table, observe }, memory);
  if (typeof opened === 'string') return drop(opened, entry.tunnel, record);
  if ('early' in opened) {
    const { early: sequence } = opened;
    return { verdict: 'early', reason: null, tunnel: entry.tunnel, record, sequence };
  }
  if ('local' in opened) {
    const { local, bytes, offset } = opened;
    const { tunnel } = entry;
    return { verdict: 'local', reason: null, tunnel, record, local, packet: bytes.slice(), offset };
  }
  const arrived = arrive(opened, outer, entry, memory);
  if (arrived === null) return drop('ecn', entry.tunnel, record);
  observe?.({ at: 'ecn' });
  return {
    verdict: 'ok',
    reason: null,
    tunnel: entry.tunnel,
    record,
    packet: arrived,
    ip: opened.ip && { version: opened.ip.version, start: opened.start },
    offset: opened.offset,
    deviceHeader: deviceHeader(opened.ip, entry.mtu, opened.start),
  };
}

function drop(reason: Reason, tunnel: Tunnel | null = null, record = 0): Decapped {
  return { verdict: 'drop', reason, tunnel, record };
}

/** The record of the packet's tunnel, 0 for none. */
function find(table: Table, outer: Received, gre: GreHeader | null, link: number): number {
  const isFrame = gre?.protocol === TYPE_ETHERNET;
  const among = (mode: Tunnel['mode'] | null): number =>
    mode === null
      ? 0
      : lookup(table, {
          mode,
          local: outer.destination,
          remote: outer.source,
          key: gre?.key ?? null,
          link,
        });
  const record = among(modeOf(outer.version, outer.protocol, isFrame));
  if (record !== 0 || gre === null) return record;
  // A frame for a tunnel of packets, or the other way round: the tunnel is known, the protocol is not.
  return among(modeOf(outer.version, outer.protocol, !isFrame));
}

/** A packet before its turn: its sequence number. */
interface Early {
  readonly early: number;
}

/** By what a packet is judged whose tunnel is found. */
interface Judge {
  readonly entry: Entry;
  readonly table: Table;
  readonly observe: Observe | undefined;
}

/** What is inside, or why the tunnel refuses it. */
function open(
  outer: Received,
  gre: GreHeader | null,
  judge: Judge,
  state: TunnelState,
): Opened | Early | Own | Reason {
  if (gre === null) {
    return openPacket(outer.payload, outer.protocol === PROTOCOL_IPIP ? 4 : 6, judge, outer.length);
  }
  const payload = checkReceive(outer, gre, judge, state);
  if (typeof payload === 'string' || 'early' in payload) return payload;
  if (payload.kind === 'answer') {
    const answer = outer.payload.subarray(gre.length);
    return { local: 'answer', bytes: answer, offset: outer.length + gre.length };
  }
  const start = gre.length + payload.offset;
  if (start > outer.payload.length) return 'gre-truncated';
  const bytes = outer.payload.subarray(start);
  const offset = outer.length + start;
  return payload.kind === 'ethernet'
    ? openFrame(bytes, judge, offset)
    : openPacket(bytes, payload.kind, judge, offset);
}

/** What a tunnel asks of a GRE packet. */
function checkReceive(
  { payload, version }: Received,
  gre: GreHeader,
  { entry: { tunnel, carries }, observe }: Judge,
  state: TunnelState,
): Payload | Early | { readonly kind: 'answer' } | Reason {
  const { profile } = tunnel;
  if (hasReservedBits(payload, profile)) return 'gre-reserved-bits';
  observe?.({ at: 'reserved' });
  // RFC 2784, 2.2: a checksum is checked whether or not the tunnel sends one itself.
  if (gre.hasChecksum && !isValid(payload) && !isMerged(payload, gre)) return 'gre-checksum';
  if (profile === 'linux' && isGre(tunnel) && gre.hasChecksum !== (tunnel.checksumIn ?? false)) {
    return 'gre-checksum';
  }
  observe?.({ at: 'checksum' });
  const isOrdered = isGre(tunnel) && tunnel.sequenceIn;
  if (profile === 'linux' && isOrdered && gre.sequence === null) return 'gre-sequence';
  if (isOrdered && gre.sequence !== null) {
    if (tunnel.reorder !== undefined && isEarly(state, gre.sequence)) {
      return { early: gre.sequence };
    }
    if (!acceptSequence(state, gre.sequence)) return 'gre-sequence';
  }
  observe?.({ at: 'sequence' });
  const carried = payloadOf(payload, gre, version);
  if (carried === null) {
    return isAnswer(tunnel, gre.protocol) ? { kind: 'answer' } : 'unknown-protocol';
  }
  if ((carried.kind === 'ethernet') !== (carries === 'ethernet')) return 'unknown-protocol';
  observe?.({ at: 'payload', payload: carried });
  return carried;
}

/**
 * Whether the kernel made this packet of several on receipt (GRO). It verified the GRE checksum of each,
 * and left that of the first in the merged one, where it fits nothing.
 */
export function isMerged(payload: Uint8Array, gre: GreHeader): boolean {
  const bytes = payload.subarray(gre.length);
  if (gre.protocol === TYPE_ETHERNET) {
    const framed = findIp(bytes);
    return framed !== null && isPartialTcp(framed.inner);
  }
  const version = gre.protocol === TYPE_IPV4 ? 4 : 6;
  if (version === 6 && gre.protocol !== TYPE_IPV6) return false;
  return checkInner(bytes, version) === null && isPartialTcp(readInner(bytes, version));
}

function openPacket(
  bytes: Uint8Array,
  version: 4 | 6,
  { entry, table, observe }: Judge,
  offset: number,
): Opened | Own | Reason {
  const malformed = checkInner(bytes, version);
  if (malformed !== null) return malformed;
  const inner = readInner(bytes, version);
  const { bytes: whole } = inner;
  observe?.({ at: 'inner', inner, length: whole.length });
  const verdict = checkPolicy(inner, entry, table, observe);
  if (verdict === null) return { bytes: whole, ip: inner, start: 0, offset };
  return typeof verdict === 'string' ? verdict : { local: verdict.local, bytes: whole, offset };
}

function openFrame(
  bytes: Uint8Array,
  { entry, table, observe }: Judge,
  offset: number,
): Opened | Reason {
  if (bytes.length < ETHERNET_HEADER) return 'inner-truncated';
  if (isGroupSource(bytes)) return 'inner-martian';
  const framed = findIp(bytes);
  observe?.({ at: 'inner', inner: framed?.inner ?? null, length: bytes.length });
  if (framed === null) return { bytes, ip: null, start: 0, offset };
  const refused = checkFramePolicy(framed.inner, entry, table, observe);
  return refused ?? { bytes, ip: framed.inner, start: framed.start, offset };
}

/** A copy of the packet as it leaves the tunnel; null where congestion asks for its drop. */
function arrive(
  { bytes, ip, start }: Opened,
  outer: Received,
  entry: Entry,
  state: TunnelState,
): Uint8Array | null {
  const packet = bytes.slice();
  if (ip === null) return packet;
  const [outerEcn, innerEcn] = [ecnOf(outer.tos), ecnOf(ip.tos)];
  const ecn = decapEcn(outerEcn, innerEcn);
  if (ecn === null) return null;
  if (isOddEcn(outerEcn, innerEcn)) state.noteEcn(outerEcn, innerEcn);
  const { tosIn, ttlIn } = entry.tunnel;
  const inner = readInner(packet.subarray(start), ip.version);
  setTos(inner, ((tosIn === 'inherit' ? outer.tos : ip.tos) & 0xfc) | ecn);
  const isRouted = entry.carries !== 'ethernet';
  if (ttlIn === 'inherit' && isRouted) setTtl(inner, Math.min(ip.ttl, outer.ttl));
  clampMss(inner, entry.mss[ip.version], true);
  return packet;
}
