// iperf3: TCP flows from one side to the other.
import { EXIT, Failure } from '../../src/sys/failure.js';
import type { Lab, Side } from '../path/lab.js';

export interface IperfResult {
  /** Of TCP payload that arrived. */
  readonly gbits: number;
  readonly bytes: number;
  /** Segments that were sent again, over all flows. */
  readonly retransmits: number;
}

export interface IperfOptions {
  /** Address of the right side over the path. */
  readonly address: string;
  readonly seconds: number;
  readonly flows: number;
  /** The right side sends. */
  readonly reverse: boolean;
}

/** Time for a client to connect, exchange results and end. */
const SLACK_MS = 10_000;
const LISTEN_LIMIT_MS = 2_000;
const LISTEN_INTERVAL_MS = 10;
/** Port 5201 in hexadecimal, in the state LISTEN, as /proc/net/tcp has it. */
const LISTENING = /:1451 \S+ 0A /;

/** One run of iperf3, its server on the right side. */
export async function runIperf(lab: Lab, options: IperfOptions): Promise<IperfResult> {
  const { address, seconds, flows, reverse } = options;
  const server = await lab.start(lab.right, ['sh', '-c', 'echo ready; exec iperf3 -s -1']);
  try {
    await listening(lab, lab.right);
    const client = ['iperf3', '-J', '-c', address, '-t', `${seconds}`, '-P', `${flows}`];
    const words = reverse ? [...client, '-R'] : client;
    return parseIperf(await lab.run(lab.left, words, seconds * 1000 + SLACK_MS));
  } finally {
    await server.stop();
  }
}

/** The figures of `iperf3 -J`, client side. */
export function parseIperf(text: string): IperfResult {
  const end = at(JSON.parse(text), 'end');
  const received = at(end, 'sum_received');
  return {
    gbits: numberAt(received, 'bits_per_second') / 1e9,
    bytes: numberAt(received, 'bytes'),
    retransmits: numberAt(at(end, 'sum_sent'), 'retransmits'),
  };
}

/** iperf3 says nothing useful when it listens, so its socket is looked for. */
async function listening(lab: Lab, side: Side): Promise<void> {
  const until = performance.now() + LISTEN_LIMIT_MS;
  while (performance.now() < until) {
    const words = ['cat', '/proc/net/tcp', '/proc/net/tcp6'];
    if (LISTENING.test(await lab.run(side, words, SLACK_MS))) return;
    await new Promise((resolve) => setTimeout(resolve, LISTEN_INTERVAL_MS));
  }
  throw new Failure(EXIT.failed, 'iperf3 -s does not listen');
}

function at(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([name]) => name === key)?.[1];
}

function numberAt(value: unknown, key: string): number {
  const found = at(value, key);
  if (typeof found === 'number') return found;
  throw new Failure(EXIT.failed, `iperf3 -J has no number ${key}`);
}
