// A draft -> the table of a config, as text with places.

import { parseIpv4 } from '../packet/address.js';
import type { Mode } from '../packet/tunnel.js';
import { type Draft, familyOf, hasGre, type Note } from './draft.js';

/** One `[tunnel.NAME]`. Values are TOML; those of lists are kept apart. */
export interface TunnelTable {
  readonly name: string;
  readonly line: number;
  readonly values: Map<string, string | string[]>;
  /** Lines of single values, as in a draft. */
  readonly origins: ReadonlyMap<string, number>;
}

/** Why there is no table for a draft. */
export interface Lost {
  readonly words: string;
  readonly why: string;
}

/** UDP port of GRE (RFC 8086, 5): the one that grebe sends to and listens on. */
export const GRE_UDP_PORT = 4754;

export function toTable(draft: Draft, notes: Note[]): TunnelTable | Lost {
  const mode = modeOf(draft, notes);
  if (typeof mode !== 'string') return mode;
  const values: TunnelTable['values'] = new Map();
  const set = (key: string, value: string | undefined): void => {
    if (value !== undefined) values.set(key, value);
  };
  const isPresent = (isOn: boolean): string | undefined => (isOn ? 'true' : undefined);
  set('mode', text(mode));
  if (draft.local !== 'any') set('local', text(draft.local));
  set('remote', text(draft.remote));
  const group = multicastKey(draft);
  const key = (own: number | undefined): string | undefined =>
    number(group === undefined || own ? own : group);
  set('key', pair(key(draft.keyIn), key(draft.keyOut)));
  set('csum', pair(isPresent(draft.csumIn), isPresent(draft.csumOut)));
  set('seq', pair(isPresent(draft.seqIn), isPresent(draft.seqOut)));
  set('ttl', typeof draft.ttl === 'number' ? String(draft.ttl) : text(draft.ttl));
  const tos = typeof draft.tos === 'number' ? `0x${hex(draft.tos, 2)}` : text(draft.tos);
  set('tos', draft.dscpIn ? `{ out = ${tos}, in = "inherit" }` : tos);
  if (!draft.pmtudisc) set('pmtudisc', 'false');
  if (draft.ignoreDf) set('ignore-df', 'true');
  if (draft.encapLimit !== 'none') set('encaplimit', String(draft.encapLimit));
  if (typeof draft.flowLabel === 'string') set('flowlabel', text(draft.flowLabel));
  else if (draft.flowLabel !== 0) set('flowlabel', `0x${hex(draft.flowLabel, 5)}`);
  set('mtu', number(draft.mtu));
  if (draft.dev !== undefined) set('dev', text(draft.dev));
  if (draft.address.length > 0) values.set('address', draft.address.map(text));
  if (draft.routes.length > 0) values.set('routes', draft.routes.map(text));
  if (!mode.endsWith('gretap')) values.set('allow', [text('any')]);
  if (draft.peers.size > 0) values.set('peers', [...draft.peers].map(peer));
  return { name: draft.name, line: draft.line, values, origins: draft.origins };
}

/** The mode that does what the kernel's device does, as far as there is one. */
function modeOf(draft: Draft, notes: Note[]): Mode | Lost {
  const { kind, encap, encapPort, lost } = draft;
  if (lost !== undefined) return lost;
  if (encap !== 'none') {
    const words = `encap ${encap}`;
    if (encap === 'gue') return { words, why: 'grebe has no GUE' };
    if (kind !== 'gre' && kind !== 'ip6gre') {
      return { words, why: `grebe puts UDP in front of GRE alone, not of ${kind}` };
    }
    if (encapPort !== GRE_UDP_PORT) {
      const port = encapPort === undefined ? 'no encap-dport' : `encap-dport ${encapPort}`;
      return { words: `${words} ${port}`, why: `grebe sends to UDP port ${GRE_UDP_PORT}` };
    }
    if (draft.local === 'any' && draft.remote === 'any') {
      return { words, why: 'neither local nor remote says which family it has' };
    }
    return 'gre-udp';
  }
  if (kind !== 'ip6tnl') return kind;
  const inner = [...draft.address, ...draft.routes];
  const mode = inner.length > 0 && !inner.some((one) => one.includes(':')) ? 'ip4ip6' : 'ip6ip6';
  const [carried, other] = mode === 'ip4ip6' ? [4, 6] : [6, 4];
  const why = `it carries IPv4 and IPv6, and mode = "${mode}" IPv${carried} alone: for IPv${other} add a tunnel of the other mode`;
  notes.push({ line: draft.line, words: 'mode any', why, tunnel: draft.name });
  return mode;
}

/** GRE to a group has the group as its key, unless it has another. */
function multicastKey({ kind, remote }: Draft): number | undefined {
  const value = hasGre(kind) && familyOf(kind) === 4 ? parseIpv4(remote) : null;
  return value !== null && value >>> 28 === 0xe ? value : undefined;
}

function pair(into: string | undefined, out: string | undefined): string | undefined {
  if (into === out) return into;
  const parts = [into === undefined ? '' : `in = ${into}`, out === undefined ? '' : `out = ${out}`];
  return `{ ${parts.filter((part) => part !== '').join(', ')} }`;
}

function peer([remote, routes]: readonly [string, readonly string[]]): string {
  return `{ remote = ${text(remote)}, routes = [${routes.map(text).join(', ')}] }`;
}

function number(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** A basic string of TOML; JSON escapes the same way. */
export function text(value: string): string {
  return JSON.stringify(value);
}
