// What the bench sends: one TCP flow, or UDP datagrams of one size as fast as one sender can.
import { EXIT, Failure } from '../../src/sys/failure.js';
import { command, commandIn, type Lab, startIn } from './lab.js';

/** Time for a client to connect, exchange results and end. */
const SLACK_MS = 5_000;

/** Gigabits a second of TCP payload that arrived, over one flow from left to right. */
export async function measureTcp(lab: Lab, address: string, seconds: number): Promise<number> {
  const end = await iperf(lab, address, seconds, []);
  return numberAt(end, 'sum_received', 'bits_per_second') / 1e9;
}

/** Datagrams a second, in thousands, that the receiving program got. */
export async function measureUdp(
  lab: Lab,
  address: string,
  seconds: number,
  length: number,
): Promise<number> {
  const unlimited = ['--udp', '--bandwidth', '0', '--length', `${length}`];
  const end = await iperf(lab, address, seconds, unlimited);
  const received = numberAt(end, 'sum_received', 'bytes') / length;
  return received / numberAt(end, 'sum_received', 'seconds') / 1e3;
}

/** Sends one echo and waits for the answer: the path works, neighbours are known. */
export function probe(lab: Lab, address: string): void {
  const words = ['netns', 'exec', lab.left.namespace, 'ping', '-c', '1', '-W', '3', address];
  command('ip', words);
}

async function iperf(lab: Lab, address: string, seconds: number, extra: readonly string[]) {
  const limitMs = seconds * 1000 + SLACK_MS;
  const server = await startIn(lab.right, ['sh', '-c', 'echo ready; exec iperf3 -s -1']);
  try {
    await listening(lab);
    const client = ['iperf3', '-J', '-c', address, '-t', `${seconds}`, ...extra];
    const report: unknown = JSON.parse(await commandIn(lab.left, client, limitMs));
    return at(report, 'end');
  } finally {
    await server.stop();
  }
}

/** iperf3 says nothing when it listens, so its socket is looked for. */
async function listening(lab: Lab): Promise<void> {
  const look = ['netns', 'exec', lab.right.namespace, 'cat', '/proc/net/tcp', '/proc/net/tcp6'];
  for (let attempt = 0; attempt < 100; attempt++) {
    // Port 5201 in hexadecimal, in the state LISTEN.
    if (/:1451 \S+ 0A /.test(command('ip', look))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Failure(EXIT.failed, 'iperf3 -s does not listen');
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value;
  for (const key of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = Object.entries(here).find(([name]) => name === key)?.[1];
  }
  return here;
}

function numberAt(value: unknown, ...path: readonly string[]): number {
  const found = at(value, ...path);
  if (typeof found === 'number') return found;
  throw new Failure(EXIT.failed, `iperf3 -J has no number at ${path.join('.')}`);
}
