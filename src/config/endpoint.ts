// One outer endpoint as text: `local`, `remote`, or the remote of a peer.

import { formatIpv6, isMapped, parseIpv4, parseIpv6 } from '../packet/address.js';
import { type Mode, outerVersion } from '../packet/tunnel.js';
import { CODE, type Fault, show } from './diagnostic.js';
import { addressHint } from './hint.js';
import { isHostName } from './host-name.js';
import { didYouMean } from './nearest.js';

/** What may stand at a place. */
export interface EndpointRule {
  /** How messages name it. */
  readonly name: string;
  /** `local` is no group and no name, `peer` no group and not `any`. */
  readonly kind: 'local' | 'remote' | 'peer';
  /** Its outer header's IP version is asked for; absent = either. */
  readonly mode?: Mode | undefined;
}

export interface Endpoint {
  /** Canonical text; a host name in lower case. */
  readonly text: string;
  readonly kind: 'any' | 'unicast' | 'multicast' | 'name';
  /** Of an address. */
  readonly version?: 4 | 6;
  /** Means something on one link only, so that a device must be named with it. */
  readonly isLinkLocal: boolean;
}

/** Judges an address that is to stand in an outer header, or what `rule` allows instead of it. */
export function judgeEndpoint(rule: EndpointRule, text: string): Endpoint | Fault {
  if (text === 'any') return judgeAny(rule, text);
  const value = parseIpv4(text);
  if (value !== null) return judgeIpv4(rule, text, value);
  const bytes = parseIpv6(text);
  if (bytes !== null) return judgeIpv6(rule, bytes);
  return judgeName(rule, text);
}

/** 0.0.0.0 and :: stand for any too, as in `ip tunnel`. */
function judgeAny({ name, kind }: EndpointRule, text: string): Endpoint | Fault {
  if (kind !== 'peer') return { text: 'any', kind: 'any', isLinkLocal: false };
  return {
    code: CODE.endpoint,
    message: `${name} cannot be ${show(text)}: it is one peer`,
    hint: 'the address of that peer',
  };
}

function judgeIpv4(rule: EndpointRule, text: string, value: number): Endpoint | Fault {
  if (value === 0) return judgeAny(rule, text);
  const first = value >>> 24;
  const isMulticast = first >= 224 && first < 240;
  if (isMulticast && rule.kind !== 'remote') return multicastFault(rule, text);
  if (first === 127) return martian(rule, text, 'loopback');
  if (first === 0 || first >= 240) return martian(rule, text, 'reserved or broadcast');
  if (versionOf(rule) === 6) return familyFault(rule, text, 4);
  return { text, kind: isMulticast ? 'multicast' : 'unicast', version: 4, isLinkLocal: false };
}

function judgeIpv6(rule: EndpointRule, bytes: Uint8Array): Endpoint | Fault {
  const text = formatIpv6(bytes);
  if (text === '::') return judgeAny(rule, text);
  const [first = 0, second = 0] = bytes;
  const isMulticast = first === 0xff;
  if (isMulticast && rule.kind !== 'remote') return multicastFault(rule, text);
  if (text === '::1') return martian(rule, text, 'loopback');
  if (isMapped(bytes)) return martian(rule, text, 'mapped IPv4');
  if (versionOf(rule) === 4) return familyFault(rule, text, 6);
  // fe80::/10, and groups whose scope is an interface or a link (RFC 4291, 2.5.6 and 2.7).
  const isLinkLocal = isMulticast
    ? (second & 0x0f) <= 2
    : first === 0xfe && (second & 0xc0) === 0x80;
  return { text, kind: isMulticast ? 'multicast' : 'unicast', version: 6, isLinkLocal };
}

function multicastFault({ name }: EndpointRule, text: string): Fault {
  const message = `${name} cannot be the multicast address ${text}`;
  const hint =
    name === 'local' ? 'an address of this machine: ip address' : 'the address of one host';
  return { code: CODE.endpoint, message, hint };
}

function martian({ name }: EndpointRule, text: string, kind: string): Fault {
  return {
    code: CODE.endpoint,
    message: `${name} cannot be ${text}: packets with a ${kind} address are dropped (outer-martian)`,
    hint:
      name === 'local'
        ? 'an address of this machine: ip address'
        : 'the peer as this machine reaches it',
  };
}

/** Modes that differ in the family of the outer header alone. */
const OTHER_FAMILY: { readonly [mode in Mode]?: Mode } = {
  gre: 'ip6gre',
  gretap: 'ip6gretap',
  ipip: 'ip4ip6',
  sit: 'ip6ip6',
  ip6gre: 'gre',
  ip6gretap: 'gretap',
  ip4ip6: 'ipip',
  ip6ip6: 'sit',
};

function familyFault({ name, mode = 'gre' }: EndpointRule, text: string, found: 4 | 6): Fault {
  return {
    code: CODE.endpointFamily,
    message: `${name} = ${show(text)} is IPv${found}, and mode = "${mode}" goes over IPv${10 - found}`,
    hint: `mode = "${OTHER_FAMILY[mode]}" goes over IPv${found}`,
  };
}

/** IP version that is asked for, or null for either. */
function versionOf({ mode }: EndpointRule): 4 | 6 | null {
  return mode === undefined ? null : outerVersion(mode);
}

function judgeName(rule: EndpointRule, text: string): Endpoint | Fault {
  const { name, kind } = rule;
  const version = versionOf(rule);
  const address = version === null ? 'an address' : `an IPv${version} address`;
  const fault = (more: string, hint?: string): Fault => {
    const what = {
      local: `${address} or "any"`,
      remote: `${address}, a host name or "any"`,
      peer: `${address} or a host name`,
    };
    const message = `${name} must be ${what[kind]}, not ${show(text)}${more}`;
    return { code: CODE.address, message, ...(hint === undefined ? {} : { hint }) };
  };
  if (text.includes('/')) {
    return fault('', `without the prefix length: ${show(text.slice(0, text.indexOf('/')))}`);
  }
  if (text.includes('%')) {
    const [bare = '', zone = ''] = text.split('%', 2);
    return fault('', `the device has a key of its own: ${show(bare)} and dev = ${show(zone)}`);
  }
  const near = kind === 'peer' ? '' : didYouMean(text, ['any']);
  if (!isHostName(text)) return fault(near, addressHint(text));
  if (near !== '') return fault(near, `a host of this name: ${show(`${text}.`)}`);
  if (kind !== 'local') return { text: text.toLowerCase(), kind: 'name', isLinkLocal: false };
  return {
    code: CODE.unsupported,
    message: `local = ${show(text)}: a DNS name is not supported here`,
    hint: `write the ${address.replace(/^an? /, '')} it stands for`,
  };
}
