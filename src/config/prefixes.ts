// The inner networks of a tunnel: address, routes, allow.

import { formatPrefix, network, parsePrefix } from '../packet/address.js';
import { carries, type Mode, type Prefix } from '../packet/tunnel.js';
import { CODE, type Fault, type Place, show } from './diagnostic.js';
import { prefixHint } from './hint.js';
import type { Path } from './parse.js';
import { keyPlace, type Subject, valuePlace } from './subject.js';

/** Which list is read. */
interface List {
  /** How messages name it. */
  readonly name: string;
  /** Its steps from the tunnel's table. */
  readonly steps: Path;
  /** Elements are addresses of a device, so they keep their host bits. */
  readonly isAddress: boolean;
}

/** A prefix and where the file has it. */
export interface PlacedPrefix {
  readonly prefix: Prefix;
  readonly place: Place;
}

/** Reads `address`, `routes` or `allow`. */
export function checkPrefixes(
  subject: Subject,
  key: 'address' | 'routes' | 'allow',
): PlacedPrefix[] {
  const list = { name: key, steps: [key], isAddress: key === 'address' };
  return readPrefixes(subject, list, subject.values[key] ?? []);
}

/** Reads a list of prefixes; what is wrong with one is reported, the right ones are returned. */
export function readPrefixes(
  subject: Subject,
  list: List,
  written: readonly unknown[],
): PlacedPrefix[] {
  const { report, mode } = subject;
  const found = new Map<string, PlacedPrefix>();
  for (const [index, text] of written.entries()) {
    const place = valuePlace(subject, ...list.steps, index);
    const judged = judgePrefix(list, index, text, mode);
    if ('code' in judged) {
      report.addFault(judged, place);
      continue;
    }
    const id = formatPrefix(judged);
    const earlier = found.get(id);
    if (earlier === undefined) found.set(id, { prefix: judged, place });
    else {
      const first = `first in line ${earlier.place.line}`;
      report.add(CODE.overlap, place, `${list.name} names ${id} twice, ${first}`);
    }
  }
  return [...found.values()];
}

/** One element of a list: a prefix, of what the mode carries; a network, except for an address. */
function judgePrefix(
  list: List,
  index: number,
  text: unknown,
  mode: Mode | undefined,
): Prefix | Fault {
  const name = `${list.name}[${index}]`;
  if (typeof text !== 'string') {
    const message = `${name} must be text in quotes, not ${show(text)}`;
    return { code: CODE.type, message, hint: `for instance ${list.name} = ["10.20.0.0/16"]` };
  }
  const prefix = parsePrefix(text);
  if (prefix === null) {
    const hint = prefixHint(text);
    const form = list.isAddress ? '"10.9.0.1/24"' : '"10.20.0.0/16"';
    return {
      code: CODE.prefix,
      message: `${name} must be an address and a prefix length such as ${form}, not ${show(text)}`,
      ...(hint === undefined ? {} : { hint }),
    };
  }
  const family = carriedFault(prefix, mode);
  if (family !== undefined) {
    const hint = carriesHint(prefix, mode);
    return { code: CODE.family, message: `${name} = ${show(text)}: ${family}`, hint };
  }
  if (list.isAddress) {
    const host = hostFault(prefix);
    return host === undefined
      ? prefix
      : {
          code: CODE.address,
          message: `${name} = ${show(text)}: ${host}`,
          hint: 'an address of the router inside the tunnel, such as "10.9.0.1/24"',
        };
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

/** Why a tunnel of this mode cannot carry packets of such an address. */
export function carriedFault(prefix: Prefix, mode: Mode | undefined): string | undefined {
  const carried = mode === undefined ? 'ip' : carries(mode);
  const only = (version: 4 | 6): string => `mode = "${mode}" carries IPv${version} only`;
  if (carried === 4 && isIpv6(prefix)) return only(4);
  if (carried === 6 && !isIpv6(prefix)) return only(6);
  return undefined;
}

/** Modes over the same underlay that carry it. */
function carriesHint(prefix: Prefix, mode: Mode | undefined): string {
  const isOver6 = mode === 'ip4ip6' || mode === 'ip6ip6';
  const [both, four, six] = isOver6 ? ['ip6gre', 'ip4ip6', 'ip6ip6'] : ['gre', 'ipip', 'sit'];
  const alone = isIpv6(prefix) ? `"${six}" IPv6 alone` : `"${four}" IPv4 alone`;
  return `mode = "${both}" carries both versions, ${alone}`;
}

/** Why a device cannot have this address. */
export function hostFault({ address }: Pick<Prefix, 'address'>): string | undefined {
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
  address: readonly PlacedPrefix[],
  routes: readonly PlacedPrefix[],
): readonly Prefix[] | 'any' {
  const { values, wrong, mode, report, title } = subject;
  const written = values.allow;
  if (written?.includes('any')) {
    if (written.length === 1) return 'any';
    report.add(
      CODE.contradiction,
      valuePlace(subject, 'allow', written.indexOf('any')),
      '"any" in allow makes the other prefixes meaningless',
      'allow = ["any"]',
    );
    return 'any';
  }
  if (written !== undefined || wrong.has('allow')) {
    return checkPrefixes(subject, 'allow').map((one) => one.prefix);
  }
  // An Ethernet segment has hosts that nobody lists, and frames that are no IP.
  if (mode !== undefined && carries(mode) === 'ethernet') return 'any';
  const allowed = new Map<string, Prefix>();
  for (const { prefix } of [...routes, ...address]) {
    const masked = network(prefix) ?? prefix;
    allowed.set(formatPrefix(masked), masked);
  }
  const sources = ['address', 'routes', 'peers'] as const;
  if (allowed.size === 0 && sources.every((key) => values[key] === undefined && !wrong.has(key))) {
    report.add(
      CODE.nothingAccepted,
      keyPlace(subject),
      `${title} has no address, routes or allow: every packet it receives is dropped (inner-src-spoof)`,
      'to accept every inner source: allow = ["any"]',
    );
  }
  return [...allowed.values()];
}
