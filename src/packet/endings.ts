// Where a dropped packet ended, by its reason: the check, and what it found.
import { u8, u16 } from './bytes.js';
import { isValid } from './checksum.js';
import { isOwnTunnels } from './enter.js';
import { GRE_RESERVED, GRE_RESERVED_LINUX, greLength } from './gre.js';
import { IPV4_HEADER, isIpv4, lengthsFit, PROTOCOL_UDP, readIpv4 } from './ipv4.js';
import { IPV6_HEADER, readIpv6, walkExtensions } from './ipv6.js';
import { type Known, reachedLookup } from './known.js';
import { protocolName, typeText } from './protocol-name.js';
import type { Reason } from './reason.js';
import { destinationOf, ecnName, type Stage, type StageName, sourceOf } from './stages.js';
import { type Entry, isGroup, ownName } from './table.js';
import { ETHERNET_HEADER } from './tunnel.js';
import { GRE_UDP_PORT, isGreUdp, UDP_HEADER, udpLength } from './udp.js';

/** The check that a reason names. */
export const ENDS_AT: Readonly<Record<Reason, StageName>> = {
  'no-tunnel': 'tunnel',
  'outer-header': 'outer header',
  'outer-martian': 'outer header',
  'outer-fragment': 'outer header',
  'gre-truncated': 'GRE header',
  'gre-version': 'GRE header',
  'gre-routing-present': 'GRE header',
  'gre-reserved-bits': 'GRE flags',
  'gre-checksum': 'checksum',
  'gre-sequence': 'sequence',
  'unknown-protocol': 'payload',
  'udp-header': 'UDP header',
  'udp-checksum': 'UDP header',
  'inner-truncated': 'inner header',
  'inner-version': 'inner header',
  'inner-header': 'inner header',
  'inner-martian': 'inner addresses',
  'inner-src-spoof': 'source',
  'inner-dst-policy': 'destination',
  'inner-ttl': 'ttl',
  'nesting-limit': 'destination',
  'encap-limit': 'encap limit',
  ecn: 'ecn',
  'no-route': 'peer',
  'too-big': 'mtu',
  'tx-enobufs': 'send',
  'tx-error': 'send',
  'queue-full': 'device',
  'icmp-malformed': 'icmp',
  'icmp-no-tunnel': 'icmp',
  'tunnel-down': 'device',
  'codec-fault': 'codec',
};

/** What is said of an end without the packet that met it. */
const IN_GENERAL: Readonly<Record<Reason, string>> = {
  'no-tunnel': 'none takes it',
  'outer-header': 'not a whole, sound header',
  'outer-martian': 'the source is none that a peer can have',
  'outer-fragment': 'a fragment; they are not put together here',
  'gre-truncated': 'shorter than its flags say',
  'gre-version': 'of another version than 0',
  'gre-routing-present': 'with a source route (RFC 1701)',
  'gre-reserved-bits': 'a reserved bit is set',
  'gre-checksum': 'wrong, or not as the tunnel asks for it',
  'gre-sequence': 'older than one that was accepted',
  'unknown-protocol': 'none that this tunnel carries',
  'udp-header': 'its length is wrong',
  'udp-checksum': 'the checksum is wrong',
  'inner-truncated': 'the packet ends inside it',
  'inner-version': 'not of the version announced',
  'inner-header': 'its lengths or its checksum are wrong',
  'inner-martian': 'none that may be in a tunnel',
  'inner-src-spoof': 'not allowed by this tunnel',
  'inner-dst-policy': 'an end of a tunnel of ours',
  'inner-ttl': 'it ran out',
  'nesting-limit': 'a tunnel inside the tunnel',
  'encap-limit': 'it may enter no tunnel more (RFC 2473, 4.1.1)',
  ecn: 'congestion that the inner packet cannot be told of (RFC 6040, 4.2)',
  'no-route': 'there is nobody to send it to',
  'too-big': 'larger than the tunnel takes',
  'tx-enobufs': 'the kernel had no room to send it (ENOBUFS)',
  'tx-error': 'the kernel refused to send it',
  'queue-full': 'its queue is full: the host reads too slowly',
  'icmp-malformed': 'an error message that cannot be read',
  'icmp-no-tunnel': 'an error about a packet that no tunnel sent',
  'tunnel-down': 'it is down, or was removed',
  'codec-fault': 'it failed on this packet: please report it',
};

/** The end of a packet in general words: where the packet that met it is not there to be looked at. */
function plainEnding(reason: Reason): Stage {
  return { name: ENDS_AT[reason], passed: false, detail: IN_GENERAL[reason] };
}

/** What is said of a peer that the kernel cannot send to: nothing is wrong with the tunnel. */
export const UNROUTED = 'the kernel has no route to it';

/** The end of a packet that all checks let pass, and whose router or kernel then refused it. */
export function lateEnding(reason: Reason, entry: Entry | undefined): Stage {
  const plain = plainEnding(reason);
  const isSent = entry !== undefined && entry.remote !== null && !isGroup(entry.remote);
  if (reason !== 'no-route' || !isSent) return plain;
  return { ...plain, detail: `${entry.tunnel.remote}: ${UNROUTED}` };
}

/** The end of a packet of which `known` is known. `expected`: the sequence number its tunnel waits for. */
export function endingOf(reason: Reason, known: Known, expected?: number): Stage {
  const plain = plainEnding(reason);
  if (reason === 'no-tunnel' && !reachedLookup(known)) {
    return { name: 'protocol', passed: false, detail: protocolText(known) };
  }
  return { ...plain, detail: textOf(reason, known, expected) ?? plain.detail };
}

/** What is said of a source that no peer may have, whatever is allowed. */
export const IS_OURS = 'is our own address';

function routeText(known: Known): string | null {
  const { entry } = known;
  if (entry?.routes !== undefined) return `none of its peers has ${destinationOf(known)} behind it`;
  return entry?.tunnel.remote === 'any' ? 'remote is "any": it sends to no one' : null;
}

/** What the packet shows of its end; null: no more than the reason says. */
function textOf(reason: Reason, known: Known, expected: number | undefined): string | null {
  switch (reason) {
    case 'no-tunnel':
      return lookupText(known);
    case 'outer-header':
      return headerText(known.packet);
    case 'outer-martian':
      return outerSourceText(known);
    case 'gre-truncated':
    case 'gre-version':
      return greText(reason, known);
    case 'gre-reserved-bits':
      return reservedText(known);
    case 'gre-checksum':
      return checksumText(known);
    case 'gre-sequence':
      return sequenceText(known, expected);
    case 'unknown-protocol':
      return typeMismatchText(known);
    case 'inner-martian':
      return `${sourceOf(known)} -> ${destinationOf(known)}: one of them may not be in a tunnel`;
    case 'inner-src-spoof':
      return sourceText(known);
    case 'inner-dst-policy':
      return `${destinationOf(known)} is the end of a tunnel of ours`;
    case 'inner-ttl':
      return `${known.inner?.ttl}: it ends here`;
    case 'nesting-limit':
      return nestingText(known);
    case 'ecn':
      return ecnText(known);
    case 'no-route':
      return routeText(known);
    case 'too-big':
      return sizeText(known);
    case 'udp-header':
      return udpLengthText(known);
    case 'outer-fragment':
    case 'gre-routing-present':
    case 'udp-checksum':
    case 'inner-truncated':
    case 'inner-version':
    case 'inner-header':
    case 'encap-limit':
    case 'tx-enobufs':
    case 'tx-error':
    case 'queue-full':
    case 'icmp-malformed':
    case 'icmp-no-tunnel':
    case 'tunnel-down':
    case 'codec-fault':
      return null;
  }
}

function protocolText({ outer }: Known): string {
  if (outer?.protocol === PROTOCOL_UDP && !isGreUdp(outer.payload)) {
    return `UDP port ${u16(outer.payload, 2)}; GRE-in-UDP is ${GRE_UDP_PORT}`;
  }
  const { protocol = 0 } = outer ?? {};
  const name = protocolName(protocol);
  const shown = name.startsWith('protocol') ? name : `protocol ${protocol} (${name})`;
  return `${shown} is no tunnel: those are 47 (GRE), 4 and 41 (IP), and UDP port ${GRE_UDP_PORT}`;
}

function lookupText({ outer, gre }: Known): string {
  if (outer === undefined) return 'none takes it';
  const ends = `${ownName(outer.source)} -> ${ownName(outer.destination)}`;
  if (gre === undefined) return `none for protocol ${outer.protocol}, ${ends}`;
  return `none for GRE, ${ends}, ${gre.key === null ? 'no key' : `key ${gre.key}`}`;
}

function headerText(packet: Uint8Array): string {
  const version = u8(packet, 0) >>> 4;
  const { length } = packet;
  if (length === 0) return 'no bytes at all';
  if (version === 6) {
    if (length < IPV6_HEADER) return `${length} bytes of an IPv6 header's ${IPV6_HEADER}`;
    const whole = IPV6_HEADER + readIpv6(packet).payloadLength;
    if (whole > length) return `IPv6, says it has ${whole} bytes, ${length} are there`;
    const { end } = walkExtensions(packet, whole);
    return end === 'overrun' ? 'IPv6, with extension headers that lead nowhere' : 'IPv6';
  }
  if (version !== 4) return `IP version ${version}`;
  if (length < IPV4_HEADER) return `${length} bytes of an IPv4 header's ${IPV4_HEADER}`;
  const header = readIpv4(packet);
  if (!lengthsFit(header, length)) {
    const { headerLength, totalLength } = header;
    return `IPv4, says it has ${totalLength} bytes, ${headerLength} of them header; ${length} are there`;
  }
  return isIpv4(packet) ? 'IPv4' : 'IPv4, with a wrong header checksum';
}

function outerSourceText({ packet, table }: Known): string {
  const isSix = u8(packet, 0) >>> 4 === 6;
  const source = ownName(isSix ? packet.subarray(8, 24) : packet.subarray(12, 16));
  return table.ownOuter.has(source)
    ? `the source ${source} ${IS_OURS}`
    : `the source ${source} is none that a peer can have`;
}

/** The GRE header of a packet that ended in it. */
function greText(reason: 'gre-truncated' | 'gre-version', { outer }: Known): string | null {
  if (outer === undefined) return null;
  const start = outer.protocol === PROTOCOL_UDP ? UDP_HEADER : 0;
  const gre = outer.payload.subarray(start);
  const flags = u16(gre, 0);
  if (reason === 'gre-version') return `version ${flags & 7}, only 0 is known`;
  const wanted = gre.length < 4 ? 4 : greLength(flags);
  return gre.length < wanted ? `${wanted} bytes by its flags, ${gre.length} are there` : null;
}

function reservedText(known: Known): string | null {
  const { outer, entry } = known;
  if (!outer || !entry) return null;
  const gre = outer.payload.subarray(outer.protocol === PROTOCOL_UDP ? UDP_HEADER : 0);
  const isLinux = entry.tunnel.profile === 'linux';
  const bits = u16(gre, 0) & (isLinux ? GRE_RESERVED_LINUX : GRE_RESERVED);
  const rule = isLinux ? 'profile linux takes none' : 'must be 0 (RFC 2784, 2.3)';
  return `${typeText(bits)} of the flags: ${rule}`;
}

function checksumText({ outer, gre, entry }: Known): string | null {
  if (!outer || !gre || !entry) return null;
  if (!gre.hasChecksum) return 'none, and the tunnel asks for one';
  const start = outer.protocol === PROTOCOL_UDP ? UDP_HEADER : 0;
  const end = start === 0 ? outer.payload.length : udpLength(outer.payload);
  return isValid(outer.payload.subarray(start, end))
    ? 'there is one, and the tunnel asks for none'
    : 'wrong';
}

function sequenceText({ gre }: Known, expected: number | undefined): string | null {
  if (!gre) return null;
  if (gre.sequence === null) return 'none, and the tunnel asks for one';
  return expected === undefined ? null : `${gre.sequence} is old: ${expected} or newer is expected`;
}

function typeMismatchText({ gre, entry, packet }: Known): string | null {
  if (!entry) return null;
  const { mode } = entry.tunnel;
  const carried = entry.carries === 'ethernet' ? 'Ethernet frames' : 'IP packets';
  if (gre) return `type ${typeText(gre.protocol)}, but ${mode} carries ${carried}`;
  return `IPv${u8(packet, 0) >>> 4}, but ${mode} carries IPv${entry.carries}`;
}

function nestingText(known: Known): string {
  const { outer, inner, table } = known;
  if (outer === undefined && inner && isOwnTunnels(inner, table)) {
    return `a tunnel of ours has sent it, from ${sourceOf(known)}: it would go in again and again`;
  }
  return `${destinationOf(known)} is an end of a tunnel: a tunnel in the tunnel`;
}

function sourceText(known: Known): string {
  const { outer, inner, table, entry } = known;
  const source = sourceOf(known);
  if (outer === undefined) return `${source} is the far end of the tunnel (RFC 2003, 3.2)`;
  // A frame may have any source that is allowed (policy.ts).
  const isJudged = inner && entry?.carries !== 'ethernet';
  if (isJudged && (table.ownOuter.has(source) || table.ownInner.has(source))) {
    return `${source} ${IS_OURS}`;
  }
  const allow = entry?.tunnel.allow;
  if (allow === undefined || allow === 'any') return `${source} is not allowed`;
  const list = allow.map(({ address, bits }) => `${address}/${bits}`).join(', ');
  return list === ''
    ? `${source} is not allowed: nothing is`
    : `${source} is not allowed: ${list} is`;
}

function ecnText({ outer, inner }: Known): string | null {
  if (!outer || !inner) return null;
  return `outer ${ecnName(outer.tos)}, inner ${ecnName(inner.tos)}: nothing could tell the sender (RFC 6040, 4.2)`;
}

function sizeText({ packet, entry }: Known): string | null {
  if (!entry) return null;
  const frame = entry.carries === 'ethernet' ? ETHERNET_HEADER : 0;
  return `${packet.length} bytes, at most ${entry.mtu + frame} fit`;
}

function udpLengthText({ outer }: Known): string | null {
  if (!outer) return null;
  return `says it has ${udpLength(outer.payload)} bytes, ${outer.payload.length} are there`;
}
