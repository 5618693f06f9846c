// UDP datagrams and many TCP flows, sent and counted by load.c, or by node-load.ts where there is no gcc.
// Figures of the two are not to be compared.
import { fileURLToPath } from 'node:url';
import { hasProgram, type Lab, type Side } from '../path/lab.js';
import { compiled } from '../peers/compiled.js';
import type { Spread } from '../peers/contract.js';

/** What the server of a UDP run prints. */
export interface ReceiveReport {
  readonly received: number;
  readonly bytes: number;
  /** From the first datagram to the last. */
  readonly seconds: number;
  /** Datagrams that came after a later one of the same flow. */
  readonly reordered: number;
}

/** What its sender prints. */
export interface SendReport {
  readonly sent: number;
  readonly seconds: number;
}

/** What the server of a TCP run prints. */
export interface FlowReport {
  readonly bytes: number;
  readonly seconds: number;
  /** How many flows carried anything. */
  readonly flows: number;
}

export interface DatagramOptions {
  readonly length: number;
  readonly seconds: number;
  /** Datagrams a second; 0 for as fast as one thread can. */
  readonly rate: number;
}

export interface Load {
  readonly program: 'load.c' | 'node';

  /** Sends datagrams from left to one address or many on the right. */
  sendDatagrams(
    lab: Lab,
    to: string | Spread,
    options: DatagramOptions,
  ): Promise<ReceiveReport & { readonly sent: number; readonly sendSeconds: number }>;

  /** Fills `flows` TCP connections from one side to `address` on the other, all at once. */
  fillFlows(
    lab: Lab,
    from: Side,
    to: Side,
    options: { readonly address: string; readonly seconds: number; readonly flows: number },
  ): Promise<FlowReport>;
}

const PORT = '5202';
/** Time for many flows to open, or for queues to drain. */
const SLACK_MS = 15_000;
/** How much longer than its server counts a sender of flows sends. */
const SEND_SLACK_SECONDS = 5;
const NODE_LOAD = fileURLToPath(new URL('node-load.js', import.meta.url));

/** The best sender that this machine has. */
export function chooseLoad(): Load {
  return hasProgram('gcc')
    ? loadOf('load.c', [compiled('bench/traffic/load.c')])
    : loadOf('node', [process.execPath, NODE_LOAD]);
}

function loadOf(program: Load['program'], words: readonly string[]): Load {
  return {
    program,
    sendDatagrams: async (lab, to, { length, seconds, rate }) => {
      const limitMs = seconds * 1000 + SLACK_MS;
      const server = await lab.start(lab.right, [...words, 'udp-serve', PORT]);
      try {
        const first = typeof to === 'string' ? to : to.first;
        const spread = typeof to === 'string' ? [] : [`${to.count}`, `${to.stride}`];
        const rates = [`${seconds}`, `${length}`, `${Math.round(rate)}`];
        const client = [...words, 'udp-send', first, PORT, ...rates, ...spread];
        const sent: SendReport = JSON.parse(await lab.run(lab.left, client, limitMs));
        const received: ReceiveReport = JSON.parse(await server.finish(limitMs));
        return { ...received, sent: sent.sent, sendSeconds: sent.seconds };
      } finally {
        await server.stop();
      }
    },
    fillFlows: async (lab, from, to, { address, seconds, flows }) => {
      const limitMs = seconds * 1000 + SLACK_MS;
      const server = await lab.start(to, [...words, 'tcp-serve', PORT, `${seconds}`]);
      try {
        const client = [address, PORT, `${seconds + SEND_SLACK_SECONDS}`, `${flows}`];
        await lab.run(from, [...words, 'tcp-send', ...client], limitMs);
        const report: FlowReport = JSON.parse(await server.finish(limitMs));
        return report;
      } finally {
        await server.stop();
      }
    },
  };
}
