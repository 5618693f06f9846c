// A tunnel as the lines of ip(8) describe it, before it becomes a table of a config.

import type { Mode } from '../packet/tunnel.js';

/** A kind of tunnel device; `ip6tnl` carries IP of both versions, which no mode of grebe does. */
export type Kind = Exclude<Mode, 'gre-udp'> | 'ip6tnl';

/** Something that did not become part of the config, or that became it in another form. */
export interface Note {
  /** Line of the input, 0 where there is none. */
  readonly line: number;
  /** The words it is about. */
  readonly words: string;
  readonly why: string;
  /** Tunnel that it is about. */
  readonly tunnel?: string | undefined;
}

/** What `ip` itself would refuse: nothing is made of it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** A command that nothing in a config stands for. */
export class Skip extends Error {
  override readonly name = 'Skip';
}

/** With the kernel's defaults, which are not those of a config. */
export interface Draft {
  readonly name: string;
  readonly line: number;
  kind: Kind;
  local: string;
  remote: string;
  keyIn: number | undefined;
  keyOut: number | undefined;
  csumIn: boolean;
  csumOut: boolean;
  seqIn: boolean;
  seqOut: boolean;
  ttl: number | 'inherit';
  tos: number | 'inherit';
  /** The outer DSCP replaces the inner one on arrival. */
  dscpIn: boolean;
  pmtudisc: boolean;
  ignoreDf: boolean;
  encapLimit: number | 'none';
  /** `flow` comes of a config, or of words.ts: ip(8) has no such label. */
  flowLabel: number | 'inherit' | 'flow';
  dev: string | undefined;
  encap: 'none' | 'fou' | 'gue';
  encapPort: number | undefined;
  mtu: number | undefined;
  readonly address: string[];
  readonly routes: string[];
  /** Routes by the outer address of the peer behind which they are. */
  readonly peers: Map<string, string[]>;
  /** Inner address -> outer address, as `ip neigh` has it. */
  readonly neighbours: Map<string, string>;
  /** Lines of prefixes, and of the MTU under `mtu`. */
  readonly origins: Map<string, number>;
  /** Why there can be no such tunnel. */
  lost: { readonly words: string; readonly why: string } | undefined;
}

export function createDraft(name: string, line: number, kind: Kind): Draft {
  const isIpv6 = kind.startsWith('ip6') || kind === 'ip4ip6';
  return {
    name,
    line,
    kind,
    local: 'any',
    remote: 'any',
    keyIn: undefined,
    keyOut: undefined,
    csumIn: false,
    csumOut: false,
    seqIn: false,
    seqOut: false,
    ttl: isIpv6 ? 64 : 'inherit',
    tos: 0,
    dscpIn: false,
    pmtudisc: true,
    ignoreDf: false,
    encapLimit: isIpv6 ? 4 : 'none', // IPV6_DEFAULT_TNL_ENCAP_LIMIT of ip6_tunnel.h
    flowLabel: 0,
    dev: undefined,
    encap: 'none',
    encapPort: undefined,
    mtu: undefined,
    address: [],
    routes: [],
    peers: new Map(),
    neighbours: new Map(),
    origins: new Map(),
    lost: undefined,
  };
}

/** IP version of the outer header. */
export function familyOf(kind: Kind): 4 | 6 {
  switch (kind) {
    case 'gre':
    case 'gretap':
    case 'ipip':
    case 'sit':
      return 4;
    case 'ip6gre':
    case 'ip6gretap':
    case 'ip4ip6':
    case 'ip6ip6':
    case 'ip6tnl':
      return 6;
  }
}

export function hasGre(kind: Kind): boolean {
  return kind.endsWith('gre') || kind.endsWith('gretap');
}
