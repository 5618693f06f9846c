// iproute2 as the hand on addresses, routes and links (docs/decisions): it is on every machine that has
// tunnels, takes thousands of lines in one batch, and explains itself.
import { spawn } from 'node:child_process';
import { EXIT, Failure } from './failure.js';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `ip` with `input` on its standard input. */
export function runIp(options: readonly string[], input: string): Promise<Output> {
  return new Promise((resolve, reject) => {
    // PATH may lack sbin for ordinary users; ip usually lives there.
    const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
    const child = spawn('ip', options, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (error) => {
      reject(
        new Failure(
          EXIT.failed,
          `cannot run ip: ${error.message}`,
          'install iproute2: sudo apt-get install iproute2',
        ),
      );
    });
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
    child.stdin.on('error', () => {}); // ip ended early: its exit code tells
    child.stdin.end(input);
  });
}

/** One line of a batch, and whose it is: shown when it fails. */
export interface IpLine {
  readonly line: string;
  readonly owner: string;
}

/** Runs the lines in order, stops at the first that fails and throws a Failure naming it. */
export async function ipBatch(lines: readonly IpLine[]): Promise<void> {
  const { failure } = await tryBatch(lines);
  if (failure !== undefined) throw failure;
}

/** The same; returns how many lines were done, and the Failure of the one behind them. */
export async function tryBatch(
  lines: readonly IpLine[],
): Promise<{ readonly done: number; readonly failure?: Failure }> {
  if (lines.length === 0) return { done: 0 };
  const result = await runIp(['-batch', '-'], lines.map(({ line }) => `${line}\n`).join(''));
  if (result.code === 0) return { done: lines.length };
  const number = /Command failed -:(\d+)/.exec(result.stderr)?.[1];
  const failed = number === undefined ? undefined : lines[Number(number) - 1];
  const cause = result.stderr
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('Command failed'))
    .join('; ');
  const failure = new Failure(
    EXIT.kernelRefused,
    `${failed?.owner ?? 'network setup'}: ip ${failed?.line ?? ''}: ${cause}`,
    'see what is there: ip address; ip route; ip -6 route',
  );
  return { done: number === undefined ? 0 : Number(number) - 1, failure };
}

/** Runs all lines in order, whatever becomes of each. */
export async function forceBatch(lines: readonly IpLine[]): Promise<void> {
  if (lines.length === 0) return;
  await runIp(['-force', '-batch', '-'], lines.map(({ line }) => `${line}\n`).join(''));
}

/** Whether the kernel has IPsec policies, which only what goes through the IP stack is subject to. */
export async function hasIpsecPolicies(): Promise<boolean> {
  const { stdout } = await runIp(['xfrm', 'policy'], '');
  return stdout.trim() !== '';
}

/** Names of all TUN devices. */
export async function tunNames(): Promise<Set<string>> {
  const { stdout } = await runIp(['-j', 'link', 'show', 'type', 'tun'], '');
  const names = parseJsonLines<Link>(stdout).map(({ ifname }) => ifname);
  return new Set(names.filter((name) => name !== undefined));
}

interface Route {
  readonly dst?: string;
  readonly dev?: string;
  readonly metrics?: readonly { readonly mtu?: number }[];
}

interface Link {
  readonly ifname?: string;
  readonly mtu?: number;
}

/** The way to an address (or to "any"), through one device where `dev` names it. */
export interface Path {
  readonly remote: string;
  readonly dev?: string | undefined;
}

/**
 * Finds the MTU of each path: of its route, else of the route's device. Paths without a route have none,
 * but for those through a named device: they have that device's.
 */
export async function pathMtus(
  paths: readonly Path[],
): Promise<(path: Path) => number | undefined> {
  if (paths.length === 0) return () => undefined;
  const links = await runIp(['-j', 'link', 'show'], '');
  const devices = new Map<string, number>();
  for (const { ifname, mtu } of parseJsonLines<Link>(links.stdout)) {
    if (ifname !== undefined && mtu !== undefined) devices.set(ifname, mtu);
  }
  const remotesOf = (dev: string | undefined): ReadonlySet<string> =>
    new Set(paths.filter((path) => path.dev === dev).map(({ remote }) => remote));
  const routes = new Map<string | undefined, ReadonlyMap<string, number>>();
  for (const dev of new Set(paths.map((path) => path.dev))) {
    routes.set(dev, await routeMtus(remotesOf(dev), devices, dev));
  }
  return ({ remote, dev }) =>
    routes.get(dev)?.get(remote) ?? (dev === undefined ? undefined : devices.get(dev));
}

/** MTUs of the routes to `remotes`, through `dev` alone where it is given. */
async function routeMtus(
  remotes: ReadonlySet<string>,
  devices: ReadonlyMap<string, number>,
  dev?: string,
): Promise<Map<string, number>> {
  const through = dev === undefined ? '' : ` oif ${dev}`;
  const addresses = [...remotes].filter((remote) => remote !== 'any');
  const lines = addresses.map((address) => `route get ${address}${through}\n`).join('');
  const routes = await runIp(['-j', '-force', '-batch', '-'], lines);
  const mtus = new Map<string, number>();
  for (const { dst, dev: found, metrics } of parseJsonLines<Route>(routes.stdout)) {
    if (dst === undefined || found === undefined) continue;
    const mtu = metrics?.[0]?.mtu ?? devices.get(found);
    if (mtu !== undefined) mtus.set(dst, mtu);
  }
  return mtus;
}

/** What a device has, as the kernel says. */
export interface DeviceNetwork {
  readonly isUp: boolean;
  /** With the length of the prefix. */
  readonly addresses: ReadonlySet<string>;
}

interface Addressed extends Link {
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

/** All devices by name, and the networks that routes of any table lead to. */
export async function deviceNetworks(): Promise<{
  readonly devices: ReadonlyMap<string, DeviceNetwork>;
  readonly routed: ReadonlySet<string>;
}> {
  const routes = ['route', 'show', 'table', 'all', 'type', 'unicast'];
  const [links, routes4, routes6] = await Promise.all(
    [
      ['address', 'show'],
      ['-4', ...routes],
      ['-6', ...routes],
    ].map(async (words) => {
      const { stdout } = await runIp(['-j', ...words], '');
      return parseJsonLines<Addressed & Route>(stdout);
    }),
  );
  const devices = (links ?? []).map(
    ({ ifname = '', flags = [], addr_info = [] }): [string, DeviceNetwork] => {
      const addresses = addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`);
      return [ifname, { isUp: flags.includes('UP'), addresses: new Set(addresses) }];
    },
  );
  const whole = (dst: string, bits: number, all: string): string =>
    dst === 'default' ? all : dst.includes('/') ? dst : `${dst}/${bits}`;
  const routed = new Set([
    ...(routes4 ?? []).map(({ dst = '' }) => whole(dst, 32, '0.0.0.0/0')),
    ...(routes6 ?? []).map(({ dst = '' }) => whole(dst, 128, '::/0')),
  ]);
  return { devices: new Map(devices), routed };
}

/** The objects of the JSON arrays that `ip -j` prints, one array a line. */
export function parseJsonLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line.trim().startsWith('['))
    .flatMap((line) => JSON.parse(line) as T[]);
}
