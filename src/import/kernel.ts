// The tunnels of this machine's kernel -> the lines of ip(8) that would make them, so that one reader does for both.

import { EXIT, Failure } from '../sys/failure.js';
import { parseJsonLines, runIp } from '../sys/ip.js';

/** What is read of `ip -j -d link`. */
export interface KernelLink {
  readonly ifname?: string;
  readonly mtu?: number;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly [key: string]: unknown };
  };
}

/** What is read of `ip -j address`. */
export interface KernelAddress {
  readonly ifname?: string;
  readonly addr_info?: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly address?: string;
    readonly scope?: string;
  }[];
}

/** What is read of `ip -j route`. */
export interface KernelRoute {
  readonly dst?: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly protocol?: string;
  readonly type?: string;
}

/** What is read of `ip -j neigh`. */
export interface KernelNeighbour {
  readonly dst?: string;
  readonly dev?: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

export interface KernelTables {
  readonly links: readonly KernelLink[];
  readonly addresses: readonly KernelAddress[];
  readonly routes: readonly KernelRoute[];
  readonly routes6: readonly KernelRoute[];
  readonly neighbours: readonly KernelNeighbour[];
}

/** Asks the kernel of this machine, and changes nothing. */
export async function readKernel(): Promise<KernelTables> {
  const [links, addresses, routes, routes6, neighbours] = await Promise.all([
    ask<KernelLink>('-d', 'link', 'show'),
    ask<KernelAddress>('address', 'show'),
    ask<KernelRoute>('-4', 'route', 'show'),
    ask<KernelRoute>('-6', 'route', 'show'),
    ask<KernelNeighbour>('neigh', 'show'),
  ]);
  return { links, addresses, routes, routes6, neighbours };
}

async function ask<T>(...words: readonly string[]): Promise<T[]> {
  const { code, stdout, stderr } = await runIp(['-j', ...words], '');
  if (code === 0) return parseJsonLines<T>(stdout);
  throw new Failure(EXIT.kernelRefused, `ip -j ${words.join(' ')}: ${stderr.trim()}`);
}

const KINDS = ['gre', 'gretap', 'ipip', 'sit', 'ip6gre', 'ip6gretap', 'ip6tnl'];
/** Devices that a module makes of its own accord. */
const FALLBACK = ['gre0', 'gretap0', 'tunl0', 'sit0', 'ip6tnl0', 'ip6gre0', 'ip6gretap0'];

/** The lines, and the names of the tunnels in them. */
export function kernelLines(tables: KernelTables): { lines: string[]; names: string[] } {
  const tunnels = tables.links.filter(({ ifname = '', linkinfo }) => {
    const { info_kind: kind = '', info_data: data = {} } = linkinfo ?? {};
    const isOpen = isAny(data.remote) && isAny(data.local);
    return KINDS.includes(kind) && !(FALLBACK.includes(ifname) && isOpen);
  });
  const names = tunnels.map(({ ifname = '' }) => ifname);
  const isOurs = ({ dev = '' }: { readonly dev?: string }): boolean => names.includes(dev);
  const lines = [
    ...tunnels.map(linkLine),
    ...tables.addresses.flatMap(addressLines(names)),
    ...tables.neighbours.filter(isOurs).flatMap(neighbourLine),
    ...[...tables.routes, ...tables.routes6].filter(isOurs).flatMap(routeLine),
  ];
  return { lines, names };
}

function isAny(address: unknown): boolean {
  return address === undefined || address === 'any' || address === '0.0.0.0' || address === '::';
}

/** Words of info_data whose JSON is their value, or tells whether they are there. */
const VALUES: readonly (readonly [key: string, word: string])[] = [
  ['remote', 'remote'],
  ['local', 'local'],
  ['ikey', 'ikey'],
  ['okey', 'okey'],
  ['link', 'dev'],
  ['ttl', 'ttl'],
  ['tos', 'tos'],
  ['fwmark', 'fwmark'],
  ['encap_limit', 'encaplimit'],
  ['tclass', 'tclass'],
  ['flowlabel', 'flowlabel'],
  ['erspan_ver', 'erspan_ver'],
];
const FLAGS: readonly (readonly [key: string, words: string])[] = [
  ['iseq', 'iseq'],
  ['oseq', 'oseq'],
  ['icsum', 'icsum'],
  ['ocsum', 'ocsum'],
  ['ignore_df', 'ignore-df'],
  ['external', 'external'],
  ['isatap', 'isatap'],
  ['ip6_tnl_f_ign_encap_limit', 'encaplimit none'],
  ['ip6_tnl_f_use_orig_tclass', 'tclass inherit'],
  ['ip6_tnl_f_use_orig_flowlabel', 'flowlabel inherit'],
  ['ip6_tnl_f_rcv_dscp_copy', 'dscp inherit'],
  ['ip6_tnl_f_use_orig_fwmark', 'fwmark inherit'],
  ['ip6_tnl_f_allow_local_remote', 'allow-localremote'],
];

function linkLine({ ifname = '', mtu, linkinfo }: KernelLink): string {
  const { info_kind: kind = '', info_data: data = {} } = linkinfo ?? {};
  const words = [`ip link add name ${ifname}`];
  if (mtu !== undefined) words.push(`mtu ${mtu}`);
  words.push(`type ${kind}`);
  if (kind === 'ip6tnl' || kind === 'sit' || kind === 'ipip') {
    const { proto } = data;
    if (typeof proto === 'string') words.push(`mode ${proto}`);
  }
  for (const [key, word] of VALUES) {
    const value = data[key];
    if (typeof value === 'string' || typeof value === 'number') words.push(`${word} ${value}`);
  }
  for (const [key, word] of FLAGS) if (data[key] === true) words.push(word);
  if (data.pmtudisc === false) words.push('nopmtudisc');
  if (data.prefix !== undefined && data.prefixlen !== undefined && data.prefix !== '2002::') {
    words.push(`6rd-prefix ${data.prefix}/${data.prefixlen}`);
  }
  return [...words, ...encapWords(data.encap)].join(' ');
}

function encapWords(encap: unknown): string[] {
  if (typeof encap !== 'object' || encap === null) return [];
  const { type, sport, dport } = encap as { readonly [key: string]: unknown };
  if (type === undefined || type === 'none') return [];
  return [
    `encap ${type}`,
    ...(typeof sport === 'number' ? [`encap-sport ${sport}`] : []),
    ...(typeof dport === 'number' ? [`encap-dport ${dport}`] : []),
  ];
}

function addressLines(names: readonly string[]): (one: KernelAddress) => string[] {
  return ({ ifname = '', addr_info: infos = [] }) => {
    if (!names.includes(ifname)) return [];
    return infos.flatMap(({ local, prefixlen, address, scope }) => {
      // The kernel gives link-local addresses by itself.
      if (local === undefined || (scope === 'link' && local.startsWith('fe80:'))) return [];
      return address === undefined
        ? `ip address add ${local}/${prefixlen} dev ${ifname}`
        : `ip address add ${local} peer ${address}/${prefixlen} dev ${ifname}`;
    });
  };
}

/** Routes that follow from an address, or that the kernel learned, are not written down. */
function routeLine({ dst, dev, gateway, protocol, type }: KernelRoute): string[] {
  if (dst === undefined || protocol === 'kernel' || protocol === 'ra') return [];
  if (type !== undefined && type !== 'unicast') return [];
  const family = gateway?.includes(':') || dst.includes(':') ? '-6 ' : '';
  return [
    `ip ${family}route add ${dst}${gateway === undefined ? '' : ` via ${gateway}`} dev ${dev}`,
  ];
}

function neighbourLine({ dst, dev, lladdr, state = [] }: KernelNeighbour): string[] {
  if (dst === undefined || lladdr === undefined || !state.includes('PERMANENT')) return [];
  return [`ip neigh add ${dst} lladdr ${lladdr} dev ${dev}`];
}
