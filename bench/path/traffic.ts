// What the bench sends: one TCP flow, or UDP datagrams of one size as fast as one sender can. iperf3 does
// it where it is installed, stream.ts otherwise; figures of the two are not to be compared.
import { fileURLToPath } from 'node:url';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { hasProgram, type Lab } from './lab.js';
import type { StreamReport } from './stream.js';

export interface Traffic {
  readonly program: 'iperf3' | 'node';

  /** Gigabits a second of TCP payload that arrived, over one flow from left to `address` on the right. */
  measureTcp(lab: Lab, address: string, seconds: number): Promise<number>;

  /** Datagrams of `length` bytes a second, in thousands, that the receiving program got. */
  measureUdp(lab: Lab, address: string, seconds: number, length: number): Promise<number>;
}

/** Time for a client to connect, exchange results and end. */
const SLACK_MS = 5_000;
const STREAM = fileURLToPath(new URL('stream.js', import.meta.url));
const STREAM_PORT = 5201;

export function chooseTraffic(): Traffic {
  return hasProgram('iperf3') ? iperfTraffic() : nodeTraffic();
}

function iperfTraffic(): Traffic {
  return {
    program: 'iperf3',
    measureTcp: async (lab, address, seconds) => {
      const received = await iperf(lab, address, seconds, []);
      return numberAt(received, 'bits_per_second') / 1e9;
    },
    measureUdp: async (lab, address, seconds, length) => {
      const unlimited = ['--udp', '--bandwidth', '0', '--length', `${length}`];
      const received = await iperf(lab, address, seconds, unlimited);
      return numberAt(received, 'bytes') / length / numberAt(received, 'seconds') / 1e3;
    },
  };
}

async function iperf(lab: Lab, address: string, seconds: number, extra: readonly string[]) {
  const server = await lab.start(lab.right, ['sh', '-c', 'echo ready; exec iperf3 -s -1']);
  try {
    await listening(lab);
    const client = ['iperf3', '-J', '-c', address, '-t', `${seconds}`, ...extra];
    const report: unknown = JSON.parse(await lab.run(lab.left, client, seconds * 1000 + SLACK_MS));
    return at(at(report, 'end'), 'sum_received');
  } finally {
    await server.stop();
  }
}

/** iperf3 says nothing when it listens, so its socket is looked for. */
async function listening(lab: Lab): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const sockets = await lab.run(lab.right, ['cat', '/proc/net/tcp', '/proc/net/tcp6'], SLACK_MS);
    // Port 5201 in hexadecimal, in the state LISTEN.
    if (/:1451 \S+ 0A /.test(sockets)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Failure(EXIT.failed, 'iperf3 -s does not listen');
}

function nodeTraffic(): Traffic {
  return {
    program: 'node',
    measureTcp: async (lab, address, seconds) => {
      const report = await stream(lab, 'tcp', address, seconds, 0);
      return (report.bytes * 8) / report.seconds / 1e9;
    },
    measureUdp: async (lab, address, seconds, length) => {
      const report = await stream(lab, 'udp', address, seconds, length);
      return report.bytes / length / report.seconds / 1e3;
    },
  };
}

async function stream(
  lab: Lab,
  kind: 'tcp' | 'udp',
  address: string,
  seconds: number,
  length: number,
): Promise<StreamReport> {
  const program = [process.execPath, STREAM];
  const limitMs = seconds * 1000 + SLACK_MS;
  const server = await lab.start(lab.right, [...program, 'serve', kind, `${STREAM_PORT}`]);
  try {
    const ends = [address, `${STREAM_PORT}`, `${seconds}`, `${length}`];
    await lab.run(lab.left, [...program, 'send', kind, ...ends], limitMs);
    const report: StreamReport = JSON.parse(await server.finish(limitMs));
    return report;
  } finally {
    await server.stop();
  }
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
