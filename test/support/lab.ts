// Two routers and, where a test wants them, a host behind each, in namespaces of this test's own:
//
//   hA 10.1.0.2 -- 10.1.0.1 rA 192.0.2.1 -- u0 -- 192.0.2.2 rB 10.2.0.1 -- 10.2.0.2 hB
//      fd00:1::2               2001:db8::1    2001:db8::2                      fd00:2::2
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pingFrom } from '../../src/demo/host-process.js';
import { findWay } from '../../src/demo/level.js';
import { ip, Namespaces } from '../../src/demo/namespaces.js';
import { type DropTable, sumDrops } from '../../src/demo/result.js';
import {
  type RouterProcess,
  readStatus,
  type Status,
  startRouter,
} from '../../src/demo/router-process.js';

/** The command line of grebe, as it is built. */
export const GREBE = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export type Side = 'A' | 'B';

export const OUTER: Readonly<Record<Side, string>> = { A: '192.0.2.1', B: '192.0.2.2' };
export const OUTER6: Readonly<Record<Side, string>> = { A: '2001:db8::1', B: '2001:db8::2' };
export const HOST4: Readonly<Record<Side, string>> = { A: '10.1.0.2', B: '10.2.0.2' };
export const HOST6: Readonly<Record<Side, string>> = { A: 'fd00:1::2', B: 'fd00:2::2' };
/** The cable between the routers. */
export const UNDERLAY = 'u0';
/** Line of the `[router]` table for AF_XDP. */
export const XDP = 'underlay = "xdp"';

/** Debian packages of the programs that tests call. */
const PACKAGES: Readonly<Record<string, string>> = {
  ping: 'iputils-ping',
  tshark: 'tshark',
  ethtool: 'ethtool',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  setcap: 'libcap2-bin',
  nft: 'nftables',
};

/**
 * Why tests with namespaces and these programs cannot run here, or false: what the `skip` option of a test
 * takes.
 */
export function lacking(...programs: string[]): string | false {
  const way = findWay();
  if (way.kind === 'user-namespace') return 'needs root: network namespaces with TUN devices';
  if (way.kind === 'none') return way.obstacles.join('; ');
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error);
  if (missing.length === 0) return false;
  return `needs ${missing.map((name) => `${name} (apt-get install ${PACKAGES[name]})`).join(', ')}`;
}

export function other(side: Side): Side {
  return side === 'A' ? 'B' : 'A';
}

/** A `[tunnel.NAME]` table between the two routers, over IPv4; `lines` are further lines of it. */
export function tunnelTable(name: string, side: Side, ...lines: string[]): string {
  return tableBetween(OUTER, name, side, lines);
}

/** The same over IPv6: of a lab with `outer` 6. */
export function tunnelTable6(name: string, side: Side, ...lines: string[]): string {
  return tableBetween(OUTER6, name, side, lines);
}

function tableBetween(
  ends: Readonly<Record<Side, string>>,
  name: string,
  side: Side,
  lines: readonly string[],
): string {
  const [local, remote] = [ends[side], ends[other(side)]];
  const table = [`[tunnel.${name}]`, `local = "${local}"`, `remote = "${remote}"`, ...lines, ''];
  return table.join('\n');
}

export interface LabOptions {
  /** The config's tunnels, of each side. */
  readonly tunnels: (side: Side) => string;
  /** Further lines of the `[router]` table, of each side where they differ. */
  readonly router?: string | ((side: Side) => string);
  /** false: no IPv6 anywhere but for `outer`, so that packets can be counted exactly. */
  readonly ipv6?: boolean;
  /** 6: the routers have IPv6 addresses on the cable between them, too. */
  readonly outer?: 4 | 6;
  /** Adds a host behind each router. */
  readonly hosts?: boolean;
  /** Lets the underlay merge packets; off by default, so that a packet on the wire is a packet. */
  readonly offloads?: boolean;
}

export interface Lab {
  readonly namespaces: Namespaces;
  /** Namespaces of the routers. */
  readonly rA: string;
  readonly rB: string;
  /** Namespaces of the hosts, with `hosts`. */
  readonly hA: string;
  readonly hB: string;
  readonly a: RouterProcess;
  readonly b: RouterProcess;
}

/** Builds the lab, starts both routers, and takes everything away after `use`, whatever happens. */
export async function withLab(
  label: string,
  options: LabOptions,
  use: (lab: Lab) => Promise<void>,
): Promise<void> {
  await withWire(label, options, async (wire) => use(await startRouters(wire, options)));
}

/** Starts both routers of a lab that `withWire` built. */
export async function startRouters(
  wire: Wire,
  { tunnels, router }: Pick<LabOptions, 'tunnels' | 'router'>,
): Promise<Lab> {
  const start = (namespace: string, side: Side): Promise<RouterProcess> => {
    const lines = typeof router === 'function' ? router(side) : router;
    return startRouter(wire.namespaces, namespace, tunnels(side), lines);
  };
  const [a, b] = await Promise.all([start(wire.rA, 'A'), start(wire.rB, 'B')]);
  return { ...wire, a, b };
}

/** Ends a router by SIGKILL and waits until it is gone. */
export async function killRouter({ child }: RouterProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

/** The lab before its routers are started. */
export type Wire = Omit<Lab, 'a' | 'b'>;

export async function withWire(
  label: string,
  options: Omit<LabOptions, 'tunnels' | 'router'>,
  use: (wire: Wire) => Promise<void>,
): Promise<void> {
  const namespaces = new Namespaces(label);
  try {
    const ipv6 = options.ipv6 ?? true;
    const forward = options.hosts ?? false;
    const rA = namespaces.add('rA', { ipv6, forward });
    const rB = namespaces.add('rB', { ipv6, forward });
    namespaces.link(
      { namespace: rA, device: UNDERLAY, addresses: [`${OUTER.A}/24`] },
      { namespace: rB, device: UNDERLAY, addresses: [`${OUTER.B}/24`] },
    );
    if (options.outer === 6) {
      addOuter6(namespaces, rA, OUTER6.A);
      addOuter6(namespaces, rB, OUTER6.B);
    }
    if (!options.offloads) for (const router of [rA, rB]) offloadsOff(namespaces, router, UNDERLAY);
    const hA = options.hosts ? addHost(namespaces, 'A', rA, ipv6) : '';
    const hB = options.hosts ? addHost(namespaces, 'B', rB, ipv6) : '';
    await use({ namespaces, rA, rB, hA, hB });
  } finally {
    await namespaces.close();
  }
}

function addOuter6(namespaces: Namespaces, router: string, address: string): void {
  const set = (path: string, value: number): string =>
    `echo ${value} > /proc/sys/net/ipv6/conf/${path}`;
  const settings = [
    ...[set(`${UNDERLAY}/accept_dad`, 0), set(`${UNDERLAY}/router_solicitations`, 0)],
    ...[set('lo/disable_ipv6', 0), set(`${UNDERLAY}/disable_ipv6`, 0)],
  ];
  namespaces.run(router, 'sh', ['-ec', settings.join('\n')]);
  ip('-n', router, 'address', 'add', `${address}/64`, 'dev', UNDERLAY, 'nodad');
}

function addHost(namespaces: Namespaces, side: Side, router: string, ipv6: boolean): string {
  const host = namespaces.add(`h${side}`, { ipv6 });
  const addresses = (ours: number): string[] => {
    const net = side === 'A' ? 1 : 2;
    return [`10.${net}.0.${ours}/24`, ...(ipv6 ? [`fd00:${net}::${ours}/64`] : [])];
  };
  namespaces.link(
    { namespace: host, device: 'eth0', addresses: addresses(2) },
    { namespace: router, device: 'lan0', addresses: addresses(1) },
  );
  const net = side === 'A' ? 1 : 2;
  ip('-n', host, 'route', 'add', 'default', 'via', `10.${net}.0.1`);
  if (ipv6) ip('-n', host, '-6', 'route', 'add', 'default', 'via', `fd00:${net}::1`);
  return host;
}

/** Switches segmentation and merging off where ethtool is there; without it they stay as they are. */
function offloadsOff(namespaces: Namespaces, namespace: string, device: string): void {
  if (spawnSync('ethtool', ['--version']).error) return;
  namespaces.run(namespace, 'ethtool', [
    ...['-K', device, 'tso', 'off', 'gso', 'off', 'gro', 'off'],
  ]);
}

/** Pings that `assertAnswered` sends. */
export const ANSWERED = 3;

/** Pings `address` from inside `namespace`, and fails unless every ping is answered. */
export async function assertAnswered(
  namespaces: Namespaces,
  namespace: string,
  address: string,
  size = 56,
): Promise<void> {
  const { sent, received } = await pingFrom(namespaces, namespace, address, ANSWERED, size);
  assert.equal(received, sent, `${address} answered ${received} of ${sent} pings`);
}

/** What one run of ping(8) told. */
export interface PingCount {
  readonly sent: number;
  readonly received: number;
  readonly output: string;
}

/** Runs ping(8) inside `namespace`; lost packets are no error. */
export async function ping(namespace: string, ...words: string[]): Promise<PingCount> {
  const output = await command(namespace, 'ping', ...words).catch(outputOf);
  const [, sent = '0', received = '0'] =
    /(\d+) packets transmitted, (\d+)(?: packets)? received/.exec(output) ?? [];
  return { sent: Number(sent), received: Number(received), output };
}

/** Runs a command inside without blocking this process, and returns its stdout. */
export async function command(
  namespace: string,
  program: string,
  ...words: string[]
): Promise<string> {
  const run = promisify(execFile);
  const { stdout } = await run('ip', ['netns', 'exec', namespace, program, ...words]);
  return stdout;
}

function outputOf(error: unknown): string {
  if (!(error instanceof Error)) throw error;
  const read = (name: string): string => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === 'string' ? value : '';
  };
  return read('stdout') + read('stderr') || error.message;
}

/** Runs the command line of grebe and returns its stdout; rejects when it fails. */
export async function grebe(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [GREBE, ...words]);
  return stdout;
}

type TunnelStatus = Status['tunnels'][number];

/** One tunnel out of a router's status. */
export async function tunnelStatus(router: RouterProcess, name: string): Promise<TunnelStatus> {
  const { tunnels } = await readStatus(router);
  const found = tunnels.find((tunnel) => tunnel.name === name);
  if (found === undefined) throw new Error(`the status knows no tunnel ${name}`);
  return found;
}

/** All drops of a router, by reason: of its tunnels and of packets that no tunnel took. */
export async function dropsOf(router: RouterProcess): Promise<DropTable> {
  return sumDrops([await readStatus(router)]);
}

/** Waits until `isTrue` is, for at most `limitMs`; returns whether it became true. */
export async function eventually(
  isTrue: () => boolean | Promise<boolean>,
  limitMs = 3000,
): Promise<boolean> {
  const end = Date.now() + limitMs;
  while (Date.now() < end) {
    if (await isTrue()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return isTrue();
}
