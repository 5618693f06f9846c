// The checks that a packet passed, as lines for an engineer: what was compared, with the values of both sides.
import { contains, formatPrefix } from './address.js';
import { u16, u32 } from './bytes.js';
import { decode } from './decode.js';
import { ecnOf } from './ecn.js';
import type { GreHeader } from './gre.js';
import type { Inner } from './inner.js';
import { IPV4_HEADER, PROTOCOL_UDP } from './ipv4.js';
import { isLinkLocal6, isUnspecified6, walkExtensions } from './ipv6.js';
import type { Known } from './known.js';
import type { Passed } from './observe.js';
import { protocolName, typeText } from './protocol-name.js';
import type { Received } from './received.js';
import { ownName } from './table.js';
import { isGre, type Tunnel } from './tunnel.js';

/** One check of the packet path. */
export interface Stage {
  readonly name: StageName;
  readonly passed: boolean;
  /** What was compared. */
  readonly detail: string;
}

export type StageName =
  | 'outer header'
  | 'protocol'
  | 'UDP header'
  | 'GRE header'
  | 'tunnel'
  | 'GRE flags'
  | 'checksum'
  | 'sequence'
  | 'payload'
  | 'inner header'
  | 'inner addresses'
  | 'destination'
  | 'source'
  | 'ttl'
  | 'ecn'
  | 'mtu'
  | 'peer'
  | 'encap limit'
  | 'icmp'
  | 'send'
  | 'device'
  | 'codec';

/** A line for each check passed, and for the headers of `sent`, the packet that encap made. */
export function passedStages(known: Known, sent?: Uint8Array): Stage[] {
  const stages = known.way.flatMap((passed) => stageOf(passed, known) ?? []);
  return sent === undefined ? stages : [...stages, ...sentStages(sent)];
}

function stageOf(passed: Passed, known: Known): Stage | null {
  switch (passed.at) {
    case 'outer':
      return pass('outer header', outerText(passed.outer));
    case 'udp':
      return pass('UDP header', udpText(passed.header));
    case 'gre':
      return pass('GRE header', greText(passed.gre));
    case 'tunnel':
      return pass('tunnel', tunnelText(passed.entry.tunnel));
    case 'reserved':
      return pass('GRE flags', 'no reserved bit is set');
    case 'checksum':
      return pass('checksum', known.gre?.hasChecksum ? 'right' : 'none, and none is asked for');
    case 'sequence':
      return pass('sequence', sequenceText(known));
    case 'payload':
      return pass('payload', payloadText(passed.payload.kind, known));
    case 'inner':
      return pass('inner header', innerText(passed.inner, passed.length));
    case 'addresses':
      return pass('inner addresses', 'both may be those of a host');
    case 'destination':
      return pass('destination', `${destinationOf(known)} is no end of a tunnel of ours`);
    case 'source':
      return pass('source', allowedText(known));
    case 'ttl':
      return pass('ttl', `${known.inner?.ttl ?? 'none'}`);
    case 'ecn':
      return pass('ecn', ecnText(known));
    case 'mtu':
      return pass('mtu', `${passed.length} bytes of at most ${known.entry?.mtu}`);
    case 'peer':
      return pass('peer', `${known.entry?.tunnel.remote}`);
    case 'to':
      return pass('destination', `${destinationOf(known)} is not the far end of the tunnel`);
    case 'from':
      return pass('source', `${sourceOf(known)} is not the far end of the tunnel`);
    case 'limit':
      if (passed.limit === null) return null;
      return pass('encap limit', `${passed.limit} more tunnels may be entered`);
  }
}

function pass(name: StageName, detail: string): Stage {
  return { name, passed: true, detail };
}

export function outerText({ version, source, destination, protocol }: Received): string {
  return `IPv${version}, ${ownName(source)} -> ${ownName(destination)}, protocol ${protocol}, whole`;
}

function udpText(header: Uint8Array): string {
  const sum = u16(header, 6) === 0 ? 'no checksum' : 'checksum right';
  return `port ${u16(header, 0)} -> ${u16(header, 2)}, ${sum}`;
}

export function greText({ key, sequence, hasChecksum, protocol }: GreHeader): string {
  const words = [
    key === null ? 'no key' : `key ${key}`,
    ...(sequence === null ? [] : [`sequence ${sequence}`]),
    hasChecksum ? 'checksum' : 'no checksum',
    `type ${typeText(protocol)}`,
  ];
  return words.join(', ');
}

/** `gre1: gre, local 192.0.2.1, remote 198.51.100.2, key 7`. */
export function tunnelText(tunnel: Tunnel): string {
  const keyIn = isGre(tunnel) ? tunnel.keyIn : undefined;
  const key = keyIn === undefined ? '' : `, key ${keyIn}`;
  return `${tunnel.name}: ${tunnel.mode}, local ${tunnel.local}, remote ${tunnel.remote}${key}`;
}

function sequenceText({ gre, entry }: Known): string {
  const { sequence = null } = gre ?? {};
  const isAsked = entry !== undefined && isGre(entry.tunnel) && entry.tunnel.sequenceIn;
  if (sequence === null) return isAsked ? 'none, which may pass' : 'none';
  return isAsked ? `${sequence}, in order` : `${sequence}, not looked at`;
}

function payloadText(kind: 4 | 6 | 'ethernet', { gre, entry }: Known): string {
  const what = kind === 'ethernet' ? 'an Ethernet frame' : `IPv${kind}`;
  return `type ${typeText(gre?.protocol ?? 0)}, ${what}, as ${entry?.tunnel.mode} carries it`;
}

export function innerText(inner: Inner | null, length: number): string {
  if (inner === null) return `an Ethernet frame without IP, ${length} bytes`;
  const { version, source, destination, protocol } = inner;
  const ends = `${ownName(source)} -> ${ownName(destination)}`;
  return `IPv${version}, ${ends}, ${protocolName(protocol)}, ${length} bytes`;
}

export function sourceOf({ inner }: Known): string {
  return inner ? ownName(inner.source) : 'its source';
}

export function destinationOf({ inner }: Known): string {
  return inner ? ownName(inner.destination) : 'its destination';
}

function allowedText(known: Known): string {
  const { entry, inner } = known;
  const source = sourceOf(known);
  if (!entry || !inner) return 'no IP source';
  const { allow } = entry.tunnel;
  if (entry.allow === 'any' || allow === 'any') return `${source} allowed, as every source is`;
  const index = entry.allow.findIndex((block) => contains(block, inner.source));
  const prefix = allow[index];
  if (prefix !== undefined) return `${source} allowed by ${formatPrefix(prefix)}`;
  const isLocal =
    inner.version === 6 && (isLinkLocal6(inner.source) || isUnspecified6(inner.source));
  return isLocal ? `${source} allowed, as it is of the link itself` : `${source} allowed`;
}

const ECN_NAMES = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'] as const;

function ecnText({ outer, inner }: Known): string {
  if (!outer || !inner) return 'nothing to hand on';
  return `outer ${ecnName(outer.tos)}, inner ${ecnName(inner.tos)}`;
}

export function ecnName(tos: number): string {
  return ECN_NAMES[ecnOf(tos)] ?? '';
}

/** The UDP header of a packet that encap made. */
function udpOf(packet: Uint8Array, version: 4 | 6): Uint8Array {
  const start = version === 4 ? IPV4_HEADER : walkExtensions(packet, packet.length).offset;
  return packet.subarray(start);
}

/** The headers that encap put in front. */
function sentStages(packet: Uint8Array): Stage[] {
  const decoded = decode(packet);
  if (decoded === null) return [];
  const { version, source, destination, protocol, ttl, tos } = decoded.outer;
  const fields = [
    `IPv${version}`,
    `${source} -> ${destination}`,
    `protocol ${protocol}`,
    `ttl ${ttl}`,
    `tos ${tos}`,
    ...(version === 4 ? [(u16(packet, 6) & 0x4000) === 0 ? 'may be fragmented' : 'DF'] : []),
    ...(version === 6 ? [`flow label ${typeText(u32(packet, 0) & 0xfffff)}`] : []),
    `${packet.length} bytes`,
  ];
  const stages = [pass('outer header', fields.join(', '))];
  if (protocol === PROTOCOL_UDP) stages.push(pass('UDP header', udpText(udpOf(packet, version))));
  if (decoded.gre === null) return stages;
  const { key, sequence, checksum, protocol: type } = decoded.gre;
  const gre = { key, sequence, hasChecksum: checksum, protocol: type, version: 0, length: 0 };
  return [...stages, pass('GRE header', greText(gre))];
}
