// What the kernel says of this network namespace, read once for all checks.
import { readFileSync } from 'node:fs';
import { type Path, parseJsonLines, runIp } from '../sys/ip.js';

/** A network device, as `ip -j -d link` has it; only what checks look at. */
export interface Link {
  readonly ifname?: string;
  readonly flags?: readonly string[];
  readonly mtu?: number;
  readonly link_type?: string;
  /** The device that this one is made on top of. */
  readonly link?: string;
  /** The bridge, say, that this one is a port of. */
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: {
      readonly local?: string;
      readonly remote?: string;
      readonly ikey?: string;
    };
  };
  readonly xdp?: { readonly prog?: { readonly name?: string } };
}

/** An address of a device. */
export interface OwnAddress {
  readonly device: string;
  readonly address: string;
  readonly isTentative: boolean;
}

/** A way, as `ip -j route get` has it; `type` is absent for unicast. */
export interface Route {
  readonly dst?: string;
  readonly type?: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly metrics?: readonly { readonly mtu?: number }[];
}

export interface Machine {
  readonly links: ReadonlyMap<string, Link>;
  readonly addresses: readonly OwnAddress[];
  /** Prefixes that are routed to a device, as `DEVICE PREFIX`. */
  readonly installed: ReadonlySet<string>;
  /** The way to each remote that was asked for, by `pathKey`; absent: there is none. */
  readonly routes: ReadonlyMap<string, Route>;
}

interface AddressObject {
  readonly ifname?: string;
  readonly addr_info?: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly tentative?: boolean;
  }[];
}

/** Reads devices, addresses and routes, and the way along each of `paths`. Rejects with a Failure without ip(8). */
export async function readMachine(paths: readonly Path[]): Promise<Machine> {
  const links = await read<Link>(['-d', 'link', 'show']);
  const addresses = await read<AddressObject>(['address', 'show']);
  const routes = [
    ...(await read<Route>(['route', 'show', 'table', 'all'])),
    ...(await read<Route>(['-6', 'route', 'show', 'table', 'all'])),
  ];
  return {
    links: new Map(links.flatMap((link) => (link.ifname ? [[link.ifname, link]] : []))),
    addresses: addresses.flatMap(({ ifname = '', addr_info = [] }) =>
      addr_info.flatMap(({ local, tentative = false }) =>
        local === undefined ? [] : [{ device: ifname, address: local, isTentative: tentative }],
      ),
    ),
    installed: new Set(
      routes.flatMap(({ dst, dev }) => (dst && dev ? [`${dev} ${wholePrefix(dst)}`] : [])),
    ),
    routes: await readWays(paths),
  };
}

async function read<T>(words: readonly string[]): Promise<T[]> {
  const { stdout } = await runIp(['-j', ...words], '');
  return parseJsonLines<T>(stdout);
}

/** ip(8) leaves the length of a host's prefix out, and calls that of all `default`. */
function wholePrefix(dst: string): string {
  if (dst.includes('/')) return dst;
  return dst === 'default' ? dst : `${dst}/${dst.includes(':') ? 128 : 32}`;
}

export function pathKey({ remote, dev }: Path): string {
  return `${dev ?? ''} ${remote}`;
}

/** The kernel's answers, one process for each device that tunnels are bound to. */
async function readWays(paths: readonly Path[]): Promise<Map<string, Route>> {
  const ways = new Map<string, Route>();
  for (const dev of new Set(paths.map((path) => path.dev))) {
    const remotes = new Set(paths.filter((path) => path.dev === dev).map(({ remote }) => remote));
    const through = dev === undefined ? '' : ` oif ${dev}`;
    const lines = [...remotes].map((remote) => `route get ${remote}${through}\n`).join('');
    const { stdout } = await runIp(['-j', '-force', '-batch', '-'], lines);
    for (const route of parseJsonLines<Route>(stdout)) {
      if (route.dst !== undefined) ways.set(pathKey({ remote: route.dst, dev }), route);
    }
  }
  return ways;
}

/** The name of a setting of a device, for sysctl(8): a dot in the device's name is written as a slash. */
export function deviceSetting(family: 'ipv4' | 'ipv6', device: string, name: string): string {
  return `net.${family}.conf.${device.replaceAll('.', '/')}.${name}`;
}

/** A kernel setting below /proc/sys as a number; undefined where it is not there or not to be read. */
export function readSetting(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${name}`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A counter of /proc/net/netstat or /proc/net/snmp, such as `TcpExt IPReversePathFilter`. */
export function readCounter(group: string, name: string): number | undefined {
  for (const file of ['/proc/net/netstat', '/proc/net/snmp']) {
    const lines = readText(file).split('\n');
    const at = lines.findIndex((line) => line.startsWith(`${group}: `));
    const column = lines[at]?.split(' ').indexOf(name) ?? -1;
    if (column > 0) return Number(lines[at + 1]?.split(' ')[column]);
  }
  return undefined;
}

/** The text of a file of the kernel's, '' where it is not there. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
