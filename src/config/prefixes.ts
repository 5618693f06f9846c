// The inner networks of a tunnel: address, routes, allow.

import { formatPrefix, network, parsePrefix } from '../packet/address.js';
import type { Mode, Prefix } from '../packet/tunnel.js';
import { CODE, type Fault, type Place, show } from './diagnostic.js';
import type { TablePlace } from './read.js';
import type { TunnelTable } from './schema.js';

/** The table of one tunnel under check. */
export interface Subject extends TablePlace {
  readonly values: TunnelTable;
  /** Keys that are present but wrong, already reported. */
  readonly wrong: ReadonlySet<string>;
}

type ListKey = 'address' | 'routes' | 'allow';

/** A prefix and where the file has it. */
export interface PlacedPrefix {
  readonly prefix: Prefix;
  readonly place: Place;
}

/** Reads a list of prefixes; what is wrong with one is reported, the right ones are returned. */
export function checkPrefixes(
  { values, report, places, path }: Subject,
  key: ListKey,
  mode: Mode | undefined,
): PlacedPrefix[] {
  const found = new Map<string, PlacedPrefix>();
  for (const [index, text] of (values[key] ?? []).entries()) {
    const place = places.value([...path, key, index]);
    const judged = judgePrefix(key, index, text, mode);
    if ('code' in judged) {
      report.add(judged.code, place, judged.message, judged.hint);
      continue;
    }
    const id = formatPrefix(judged);
    const earlier = found.get(id);
    if (earlier === undefined) found.set(id, { prefix: judged, place });
    else {
      const first = `first in line ${earlier.place.line}`;
      report.add(CODE.overlap, place, `${key} names ${id} twice, ${first}`);
    }
  }
  return [...found.values()];
}

/** One element of a list: a prefix, of what the mode carries; a network, except for an address. */
function judgePrefix(
  key: ListKey,
  index: number,
  text: unknown,
  mode: Mode | undefined,
): Prefix | Fault {
  const name = `${key}[${index}]`;
  if (typeof text !== 'string') {
    return { code: CODE.type, message: `${name} must be text in quotes, not ${show(text)}` };
  }
  const prefix = parsePrefix(text);
  if (prefix === null) {
    const form = key === 'address' ? '"10.9.0.1/24"' : '"10.20.0.0/16"';
    return {
      code: CODE.prefix,
      message: `${name} must be an address and a prefix length such as ${form}, not ${show(text)}`,
      ...(text === 'default' ? { hint: 'IPv4: "0.0.0.0/0", IPv6: "::/0"' } : {}),
    };
  }
  const family = familyFault(prefix, mode);
  if (family !== undefined) {
    return { code: CODE.family, message: `${name} = ${show(text)}: ${family}` };
  }
  if (key === 'address') {
    const host = hostFault(prefix);
    return host === undefined
      ? prefix
      : { code: CODE.address, message: `${name} = ${show(text)}: ${host}` };
  }
  const masked = network(prefix);
  if (masked === null || masked.address === prefix.address) return prefix;
  return {
    code: CODE.hostBits,
    message: `${name} has host bits set: ${show(text)}`,
    hint: `the network is "${formatPrefix(masked)}"`,
  };
}

export function isIpv6(prefix: Prefix): boolean {
  return prefix.address.includes(':');
}

function familyFault(prefix: Prefix, mode: Mode | undefined): string | undefined {
  if (mode === 'ipip' && isIpv6(prefix)) return 'mode = "ipip" carries IPv4 only';
  if (mode === 'sit' && !isIpv6(prefix)) return 'mode = "sit" carries IPv6 only';
  return undefined;
}

/** Why a device cannot have this address. */
function hostFault({ address }: Prefix): string | undefined {
  const first = Number.parseInt(address, 10);
  if (isIpv6({ address, bits: 0 })) {
    if (address === '::') return "the unspecified address is nobody's";
    if (address === '::1') return 'a loopback address cannot be used in a tunnel';
    return address.startsWith('ff') && address.indexOf(':') === 4
      ? "a multicast address is nobody's own"
      : undefined;
  }
  if (first === 0 || first >= 240) return "a reserved or broadcast address is nobody's";
  if (first === 127) return 'a loopback address cannot be used in a tunnel';
  return first >= 224 ? "a multicast address is nobody's own" : undefined;
}

/** Inner sources accepted; by default the routes and the subnets of the addresses. */
export function checkAllow(
  subject: Subject,
  mode: Mode | undefined,
  address: readonly PlacedPrefix[],
  routes: readonly PlacedPrefix[],
): readonly Prefix[] | 'any' {
  const { values, wrong, report, places, path, title } = subject;
  const written = values.allow;
  if (written?.includes('any')) {
    if (written.length === 1) return 'any';
    const place = places.value([...path, 'allow', written.indexOf('any')]);
    report.add(
      CODE.contradiction,
      place,
      '"any" in allow makes the other prefixes meaningless',
      'allow = ["any"]',
    );
    return 'any';
  }
  if (written !== undefined || wrong.has('allow')) {
    return checkPrefixes(subject, 'allow', mode).map((one) => one.prefix);
  }
  const allowed = new Map<string, Prefix>();
  for (const { prefix } of [...routes, ...address]) {
    const masked = network(prefix) ?? prefix;
    allowed.set(formatPrefix(masked), masked);
  }
  const nothingWritten = values.address === undefined && values.routes === undefined;
  if (allowed.size === 0 && nothingWritten && !wrong.has('address') && !wrong.has('routes')) {
    report.add(
      CODE.nothingAccepted,
      places.key(path),
      `${title} has no address, routes or allow: every packet it receives is dropped (inner-src-spoof)`,
      'to accept every inner source: allow = ["any"]',
    );
  }
  return [...allowed.values()];
}
