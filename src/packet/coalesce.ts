// Neighbours of one flow -> one superpacket for a TUN device.
//
//   1. every packet in the order of arrival
//   2. it joins the open run of its flow, in front or behind, when the result can be split into just these packets
//   3. otherwise it closes that run and begins the next
//
// So a flow has one open run at most, and nothing overtakes anything within a flow.
import { setU8, setU16, u8, u16, u32 } from './bytes.js';
import { checksum, fold, sum, sumPseudoHeader } from './checksum.js';
import { type Inner, readInner } from './inner.js';
import { PROTOCOL_TCP, PROTOCOL_UDP } from './ipv4.js';

/** A packet that came out of a tunnel. */
export interface Arrived {
  /** Record of its tunnel: packets of different tunnels never meet. */
  readonly record: number;
  /** An IP packet, or a frame with one in it. */
  readonly packet: Uint8Array;
  /** Where the IP packet begins; default 0. */
  readonly start?: number;
  /** struct virtio_net_hdr. */
  readonly deviceHeader: Uint8Array;
}

/** What may be merged. */
export interface Kinds {
  readonly tcp: boolean;
  readonly udp: boolean;
}

/** What a device is given at once. */
export interface Run {
  /** Indexes of the packets in it, in the order of their payload. */
  readonly members: readonly number[];
  /** Bytes of all headers; those of the first member stand for all. */
  readonly headers: number;
  readonly packet: Uint8Array;
  readonly deviceHeader: Uint8Array;
}

const NEEDS_CHECKSUM = 1;
const GSO = { tcp4: 1, tcp6: 4, udp: 5 } as const;
const TCP = {
  header: 20,
  sequence: 4,
  acknowledgement: 8,
  offset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
};
const TCP_PSH = 0x08;
const TCP_ACK = 0x10;
const UDP = { header: 8, length: 4, checksum: 6 };
const LENGTH_LIMIT = 65535;
const DATAGRAM_LIMIT = 64;
/** IPv6 extension headers, and the two of IPsec: a packet of any flow may be behind them. */
const EXTENSIONS: readonly number[] = [0, 43, 44, 50, 51, 60, 135];

/** One packet, looked into. */
interface Part {
  readonly index: number;
  readonly inner: Inner;
  /** The Ethernet header of a frame. */
  readonly link: Uint8Array;
  readonly isTcp: boolean;
  readonly isPartial: boolean;
  /** From the transport header on. */
  readonly upper: Uint8Array;
  /** Bytes of IP and transport header. */
  readonly headers: number;
  readonly payload: number;
}

/** The open run of a flow. */
interface Open {
  /** Null once nothing may join. */
  parts: Part[] | null;
}

/**
 * Merges what may be merged. Packets are null where decap dropped one. Returns what is to be written, in the order
 * in which the first packet of each run arrived.
 */
export function coalesce(arrived: readonly (Arrived | null)[], kinds: Kinds): Run[] {
  const runs: { members: Part[] | number; arrival: Arrived }[] = [];
  const flows = new Map<string, Open>();
  for (const [index, arrival] of arrived.entries()) {
    if (arrival === null) continue;
    const { packet, start = 0 } = arrival;
    const inner = readInner(packet.subarray(start), u8(packet, start) >>> 4 === 4 ? 4 : 6);
    const flow = flowOf(inner, arrival, kinds);
    if (flow === 'any') flows.clear();
    const part = flow === null || flow === 'any' ? null : readPart(index, inner, arrival);
    const open = flow === null ? undefined : flows.get(flow);
    if (part !== null && open?.parts && joins(open.parts, part)) continue;
    if (open) open.parts = null;
    if (part === null) {
      runs.push({ members: index, arrival });
    } else {
      const parts = [part];
      flows.set(flow ?? '', { parts });
      runs.push({ members: parts, arrival });
    }
  }
  return runs.map(({ members, arrival }) =>
    typeof members === 'number' ? alone(members, arrival) : merge(members, arrival),
  );
}

/**
 * Tunnel, Ethernet header, addresses, ports and protocol; null for a packet of no flow that is merged, `any` for one whose flow
 * cannot be told.
 */
function flowOf(inner: Inner, { record, packet, start = 0 }: Arrived, kinds: Kinds): string | null {
  const { protocol, bytes, headerLength, version } = inner;
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) {
    return version === 6 && EXTENSIONS.includes(protocol) ? 'any' : null;
  }
  if (!(protocol === PROTOCOL_TCP ? kinds.tcp : kinds.udp)) return null;
  const least = protocol === PROTOCOL_TCP ? TCP.header : UDP.header;
  const isPlain = version === 6 || (u8(bytes, 0) === 0x45 && !inner.isFragment);
  if (!isPlain || bytes.length < headerLength + least) return 'any';
  const addresses = [...inner.source, ...inner.destination].join('.');
  const link = packet.subarray(0, start).join('.');
  return `${record} ${link} ${version} ${protocol} ${addresses} ${u32(bytes, headerLength)}`;
}

/** The packet as part of a run, or null when it must go alone. */
function readPart(index: number, inner: Inner, arrival: Arrived): Part | null {
  const { deviceHeader, packet, start = 0 } = arrival;
  const isTcp = inner.protocol === PROTOCOL_TCP;
  if (start + inner.bytes.length !== packet.length) return null; // a padded frame
  if (u8(deviceHeader, 1) !== 0) return null; // the kernel merged it before
  const upper = inner.bytes.subarray(inner.headerLength);
  const own = isTcp ? (u8(upper, TCP.offset) >>> 4) * 4 : UDP.header;
  if (own < (isTcp ? TCP.header : UDP.header) || own >= upper.length) return null;
  if (isTcp && (u8(upper, TCP.flags) & ~TCP_PSH) !== TCP_ACK) return null;
  // The kernel refuses datagram superpackets with a congestion mark.
  if (!isTcp && ((inner.tos & 3) !== 0 || u16(upper, UDP.length) !== upper.length)) return null;
  return {
    index,
    inner,
    link: packet.subarray(0, start),
    isTcp,
    isPartial: (u8(deviceHeader, 0) & NEEDS_CHECKSUM) !== 0,
    upper,
    headers: inner.headerLength + own,
    payload: upper.length - own,
  };
}

/** Puts `part` into the run where it belongs; false when it does not fit. */
function joins(run: Part[], part: Part): boolean {
  const [first] = run;
  const last = run.at(-1);
  if (first === undefined || last === undefined) return false;
  const length = run.reduce((total, { payload }) => total + payload, part.headers + part.payload);
  if (length > LENGTH_LIMIT || part.headers !== first.headers) return false;
  if (!part.isTcp && run.length === DATAGRAM_LIMIT) return false;
  const size = first.payload;
  if (!part.isTcp || sequence(part) === (sequence(last) + last.payload) >>> 0) {
    const isEnded = last.payload < size || isPushed(last);
    if (isEnded || part.payload > size || !isAlike(part, first, run.length)) return false;
    if (!isWhole(first) || !isWhole(part)) return false;
    run.push(part);
    return true;
  }
  if ((sequence(part) + part.payload) >>> 0 !== sequence(first)) return false;
  if (isPushed(part) || part.payload < size || (part.payload > size && run.length > 1))
    return false;
  if (!isAlike(part, first, -1) || !isWhole(first) || !isWhole(part)) return false;
  run.unshift(part);
  return true;
}

function sequence({ upper }: Part): number {
  return u32(upper, TCP.sequence);
}

function isPushed({ isTcp, upper }: Part): boolean {
  return isTcp && (u8(upper, TCP.flags) & TCP_PSH) !== 0;
}

/** Whether two packets differ in nothing that a superpacket has once; `part` comes `distance` behind `first`. */
function isAlike(part: Part, first: Part, distance: number): boolean {
  const [a, b] = [part.inner.bytes, first.inner.bytes];
  if (part.inner.version === 4) {
    if (u8(a, 1) !== u8(b, 1) || u8(a, 8) !== u8(b, 8) || u16(a, 6) !== u16(b, 6)) return false;
    // What may be fragmented needs its identification (RFC 6864, 4.2).
    const apart = (u16(a, 4) - u16(b, 4) - distance) & 0xffff;
    if (!part.inner.dontFragment && apart !== 0) return false;
  } else if (u32(a, 0) !== u32(b, 0) || u8(a, 7) !== u8(b, 7)) {
    return false;
  }
  if (!part.isTcp) return true;
  if (u32(part.upper, TCP.acknowledgement) !== u32(first.upper, TCP.acknowledgement)) return false;
  if (u8(part.upper, TCP.offset) !== u8(first.upper, TCP.offset)) return false;
  if (u16(part.upper, TCP.window) !== u16(first.upper, TCP.window)) return false;
  for (let at = part.inner.headerLength + TCP.header; at < part.headers; at++) {
    if (u8(a, at) !== u8(b, at)) return false;
  }
  return true;
}

/** Whether the transport checksum is right, or left to the device: merged, nobody could tell any more. */
function isWhole({ isPartial, isTcp, inner, upper }: Part): boolean {
  if (isPartial) return true;
  if (!isTcp && u16(upper, UDP.checksum) === 0) return inner.version === 4; // none: RFC 768; RFC 8200, 8.1
  const { source, destination, protocol } = inner;
  const pseudo = sumPseudoHeader(source, destination, protocol, upper.length);
  return fold(sum(upper, pseudo)) === 0xffff;
}

function alone(index: number, { packet, deviceHeader }: Arrived): Run {
  return { members: [index], headers: 0, packet, deviceHeader };
}

function merge(parts: readonly Part[], arrival: Arrived): Run {
  const [first] = parts;
  if (first === undefined || parts.length === 1) return alone(first?.index ?? 0, arrival);
  const { headers, inner, isTcp, link } = first;
  const length = parts.reduce((total, { payload }) => total + payload, headers);
  const whole = new Uint8Array(link.length + length);
  whole.set(link);
  const packet = whole.subarray(link.length);
  packet.set(inner.bytes.subarray(0, headers));
  let end = headers;
  for (const part of parts) {
    packet.set(part.inner.bytes.subarray(headers), end);
    end += part.payload;
  }
  const upper = packet.subarray(inner.headerLength);
  if (inner.version === 4) {
    setU16(packet, 2, packet.length);
    setU16(packet, 10, 0);
    setU16(packet, 10, checksum(packet.subarray(0, inner.headerLength)));
  } else {
    setU16(packet, 4, packet.length - inner.headerLength);
  }
  if (isTcp) setU8(upper, TCP.flags, u8(upper, TCP.flags) | (parts.some(isPushed) ? TCP_PSH : 0));
  else setU16(upper, UDP.length, upper.length);
  const pseudo = sumPseudoHeader(inner.source, inner.destination, inner.protocol, upper.length);
  setU16(upper, isTcp ? TCP.checksum : UDP.checksum, fold(pseudo));
  return {
    members: parts.map(({ index }) => index),
    headers: link.length + headers,
    packet: whole,
    deviceHeader: superpacketHeader(first),
  };
}

function superpacketHeader({ inner, link, isTcp, headers, payload }: Part): Uint8Array {
  const header = new Uint8Array(10);
  const view = new DataView(header.buffer);
  const tcp = inner.version === 4 ? GSO.tcp4 : GSO.tcp6;
  view.setUint8(0, NEEDS_CHECKSUM);
  view.setUint8(1, isTcp ? tcp : GSO.udp);
  view.setUint16(2, link.length + headers, true);
  view.setUint16(4, payload, true);
  view.setUint16(6, link.length + inner.headerLength, true);
  view.setUint16(8, isTcp ? TCP.checksum : UDP.checksum, true);
  return header;
}
