// iproute2 as the hand on addresses, routes and links (docs/decisions): it is on every machine that has
// tunnels, takes thousands of lines in one batch, and explains itself.
import { spawn } from 'node:child_process';
import { EXIT, Failure } from './failure.js';

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `ip` with `input` on its standard input. */
function runIp(options: readonly string[], input: string): Promise<Output> {
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
  if (lines.length === 0) return;
  const result = await runIp(['-batch', '-'], lines.map(({ line }) => `${line}\n`).join(''));
  if (result.code === 0) return;
  const number = /Command failed -:(\d+)/.exec(result.stderr)?.[1];
  const failed = number === undefined ? undefined : lines[Number(number) - 1];
  const cause = result.stderr
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('Command failed'))
    .join('; ');
  throw new Failure(
    EXIT.kernelRefused,
    `${failed?.owner ?? 'network setup'}: ip ${failed?.line ?? ''}: ${cause}`,
    'see what is there: ip address; ip route; ip -6 route',
  );
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

/**
 * The MTU on the way to each destination: of its route, else of the route's device. Destinations without
 * a route are left out.
 */
export async function pathMtus(destinations: readonly string[]): Promise<Map<string, number>> {
  const unique = [...new Set(destinations)];
  const mtus = new Map<string, number>();
  if (unique.length === 0) return mtus;
  const links = await runIp(['-j', 'link', 'show'], '');
  const deviceMtus = new Map<string, number>();
  for (const { ifname, mtu } of parseJsonLines<Link>(links.stdout)) {
    if (ifname !== undefined && mtu !== undefined) deviceMtus.set(ifname, mtu);
  }
  const lines = unique.map((address) => `route get ${address}\n`).join('');
  const routes = await runIp(['-j', '-force', '-batch', '-'], lines);
  for (const { dst, dev, metrics } of parseJsonLines<Route>(routes.stdout)) {
    if (dst === undefined || dev === undefined) continue;
    const mtu = metrics?.[0]?.mtu ?? deviceMtus.get(dev);
    if (mtu !== undefined) mtus.set(dst, mtu);
  }
  return mtus;
}

/** The objects of the JSON arrays that `ip -j` prints, one array a line. */
function parseJsonLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line.trim().startsWith('['))
    .flatMap((line) => JSON.parse(line) as T[]);
}
