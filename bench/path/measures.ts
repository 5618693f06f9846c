// The measures: each takes one open path, puts traffic on it for a bounded time and returns some figures.
import { setTimeout } from 'node:timers/promises';
import { EXIT, Failure } from '../../src/sys/failure.js';
import type { OpenPath } from '../peers/contract.js';
import { type IperfResult, runIperf } from '../traffic/iperf.js';
import type { Load } from '../traffic/load.js';
import { percentile, runPing } from '../traffic/ping.js';
import { findHighestRate } from '../traffic/search.js';
import { readSegments, retransmitPercent } from '../traffic/segments.js';
import { busySeconds, QUIET_LOAD, watchBusy } from './cpu.js';
import type { Sample } from './figures.js';
import { hasProgram, type Lab } from './lab.js';
import type { Running } from './processes.js';

/** What a measure works with. */
export interface Bench {
  readonly lab: Lab;
  readonly path: OpenPath;
  readonly load: Load;
  /** How long each stream of traffic runs. */
  readonly seconds: Seconds;
}

export interface Seconds {
  /** A whole number: iperf3 takes no other. */
  readonly tcp: number;
  readonly udp: number;
  readonly idle: number;
  /** Of each try of the search for the highest rate without loss. */
  readonly search: number;
}

/** How a measure is called on the command line, and what it does; in the order in which they run. */
export const MEASURES = {
  idle: measureIdle,
  tcp: measureTcp,
  'tcp-reverse': measureTcpReverse,
  tcp8: (bench: Bench) => measureTcp8(bench, false),
  'tcp8-reverse': (bench: Bench) => measureTcp8(bench, true),
  udp64: measureSmall,
  udp1400: measureLarge,
  lossless64: async (bench: Bench) => ({ udp64LosslessKpps: await searchRate(bench, 64) }),
  lossless1400: async (bench: Bench) => ({ udp1400LosslessKpps: await searchRate(bench, 1400) }),
  spread: measureSpread,
  latency: measureLatency,
  // Behind the others: a thousand flows take a while to die down.
  flows: measureFlows,
  status: measureStatus,
} satisfies { readonly [name: string]: (bench: Bench) => Promise<Sample> };

export type Measure = keyof typeof MEASURES;

/** Most that may be lost of a rate without loss. */
const LOSS_ALLOWED = 0.001;
const SEARCH_TRIES = 6;
/** The search begins this much above what arrives under flood. */
const SEARCH_CEILING = 1.3;
const FLOOD_COUNT = 3000;
const PING_COUNT = 600;
const PING_INTERVAL = 1 / 300;
const MANY_FLOWS = 1000;

export function isMeasure(name: string): name is Measure {
  return Object.hasOwn(MEASURES, name);
}

async function measureIdle({ path: { routers }, seconds }: Bench): Promise<Sample> {
  if (routers.length === 0) return {};
  const before = cpuOf(routers);
  await setTimeout(seconds.idle * 1000);
  return {
    readyMs: Math.max(...routers.map((router) => router.readyMs)),
    idlePercent: ((cpuOf(routers) - before) / seconds.idle) * 100,
  };
}

async function measureTcp(bench: Bench): Promise<Sample> {
  const { routers } = bench.path;
  const idle = await watchBusy(bench.seconds.idle);
  const before = { machine: busySeconds(), routers: cpuOf(routers), at: performance.now() };
  const { gbits, bytes, retransmits, percent } = await runTcp(bench, 1, false);
  const elapsed = (performance.now() - before.at) / 1000;
  const machine = busySeconds() - before.machine - idle * elapsed;
  const ofRouters = cpuOf(routers) - before.routers;
  return {
    tcpGbits: gbits,
    tcpRetransmits: retransmits,
    tcpRetransmitPercent: percent,
    ...(idle <= QUIET_LOAD ? { machineCpuPerGigabyte: machine / (bytes / 1e9) } : {}),
    ...(routers.length > 0 ? { routerCpuPerGigabyte: ofRouters / (bytes / 1e9) } : {}),
  };
}

async function measureTcpReverse(bench: Bench): Promise<Sample> {
  const { gbits, retransmits, percent } = await runTcp(bench, 1, true);
  return {
    tcpReverseGbits: gbits,
    tcpReverseRetransmits: retransmits,
    tcpReverseRetransmitPercent: percent,
  };
}

async function measureTcp8(bench: Bench, reverse: boolean): Promise<Sample> {
  const { gbits, retransmits, percent } = await runTcp(bench, 8, reverse);
  return reverse
    ? {
        tcp8ReverseGbits: gbits,
        tcp8ReverseRetransmits: retransmits,
        tcp8ReverseRetransmitPercent: percent,
      }
    : { tcp8Gbits: gbits, tcp8Retransmits: retransmits, tcp8RetransmitPercent: percent };
}

async function runTcp(bench: Bench, flows: number, reverse: boolean) {
  const { lab, path, load, seconds } = bench;
  const sender = reverse ? lab.right : lab.left;
  const before = await readSegments(lab, sender);
  const result: Omit<IperfResult, 'retransmits'> = hasProgram('iperf3')
    ? await runIperf(lab, { address: path.right, seconds: seconds.tcp, flows, reverse })
    : await fillFlows(load, bench, flows, reverse);
  const after = await readSegments(lab, sender);
  return {
    ...result,
    retransmits: after.retransmitted - before.retransmitted,
    percent: retransmitPercent(before, after),
  };
}

async function fillFlows(load: Load, bench: Bench, flows: number, reverse: boolean) {
  const { lab, path, seconds } = bench;
  const [from, to] = reverse ? [lab.right, lab.left] : [lab.left, lab.right];
  const address = reverse ? path.left : path.right;
  const report = await load.fillFlows(lab, from, to, { address, seconds: seconds.tcp, flows });
  const gbits = (report.bytes * 8) / report.seconds / 1e9;
  return { gbits, bytes: report.bytes, carrying: report.flows };
}

async function measureFlows(bench: Bench): Promise<Sample> {
  const one = await fillFlows(bench.load, bench, 1, false);
  const before = await readSegments(bench.lab, bench.lab.left);
  const many = await fillFlows(bench.load, bench, MANY_FLOWS, false);
  const after = await readSegments(bench.lab, bench.lab.left);
  return {
    flow1Gbits: one.gbits,
    flow1000Gbits: many.gbits,
    flow1000RetransmitPercent: retransmitPercent(before, after),
    flow1000Carrying: many.carrying,
  };
}

async function measureSmall(bench: Bench): Promise<Sample> {
  const { kpps, routerMicroseconds, reordered } = await flood(bench, bench.path.right, 64);
  return {
    udp64Kpps: kpps,
    udp64Reordered: reordered,
    ...(routerMicroseconds === undefined ? {} : { udp64RouterMicroseconds: routerMicroseconds }),
  };
}

async function measureLarge(bench: Bench): Promise<Sample> {
  const { kpps, routerMicroseconds, reordered } = await flood(bench, bench.path.right, 1400);
  return {
    udp1400Kpps: kpps,
    udp1400Reordered: reordered,
    ...(routerMicroseconds === undefined ? {} : { udp1400RouterMicroseconds: routerMicroseconds }),
  };
}

async function measureSpread(bench: Bench): Promise<Sample> {
  if (bench.path.spread === undefined) return {};
  const { kpps, routerMicroseconds, reordered } = await flood(bench, bench.path.spread, 64);
  return {
    spreadKpps: kpps,
    spreadReordered: reordered,
    ...(routerMicroseconds === undefined ? {} : { spreadRouterMicroseconds: routerMicroseconds }),
  };
}

async function flood(bench: Bench, to: Parameters<Load['sendDatagrams']>[1], length: number) {
  const { lab, path, load, seconds } = bench;
  const before = cpuOf(path.routers);
  const options = { length, seconds: seconds.udp, rate: 0 };
  const report = await load.sendDatagrams(lab, to, options);
  const used = cpuOf(path.routers) - before;
  if (report.received === 0) throw new Failure(EXIT.failed, 'no datagram arrived');
  return {
    kpps: report.received / report.seconds / 1e3,
    reordered: report.reordered,
    routerMicroseconds: path.routers.length > 0 ? (used * 1e6) / report.received : undefined,
  };
}

async function searchRate(bench: Bench, length: number): Promise<number> {
  const { lab, path, load, seconds } = bench;
  const attempt = async (rate: number) => {
    const options = { length, seconds: seconds.search, rate };
    const report = await load.sendDatagrams(lab, path.right, options);
    return {
      sent: report.sent / report.sendSeconds,
      lost: 1 - report.received / Math.max(1, report.sent),
    };
  };
  const { kpps } = await flood(
    { ...bench, seconds: { ...seconds, udp: seconds.search } },
    path.right,
    length,
  );
  const ceiling = kpps * 1e3 * SEARCH_CEILING;
  const options = { ceiling, allowed: LOSS_ALLOWED, tries: SEARCH_TRIES, attempt };
  return (await findHighestRate(options)) / 1e3;
}

async function measureLatency({ lab, path }: Bench): Promise<Sample> {
  if (!hasProgram('ping')) return {};
  const address = path.right;
  const flooded = await runPing(lab, { address, count: FLOOD_COUNT, interval: 0 });
  const paced = await runPing(lab, { address, count: PING_COUNT, interval: PING_INTERVAL });
  return {
    ...(flooded.received > 0
      ? {
          floodP50Ms: percentile(flooded.times, 0.5),
          floodP99Ms: percentile(flooded.times, 0.99),
        }
      : {}),
    floodLost: flooded.sent - flooded.received,
    ...(paced.received > 0
      ? { pingP50Ms: percentile(paced.times, 0.5), pingP99Ms: percentile(paced.times, 0.99) }
      : {}),
    pingLost: paced.sent - paced.received,
  };
}

async function measureStatus({ path }: Bench): Promise<Sample> {
  const { routers } = path;
  const rss =
    routers.length > 0
      ? { rssMegabytes: Math.max(...routers.map((router) => router.rssMegabytes())) }
      : {};
  return path.measureStatus ? { ...rss, statusMs: await path.measureStatus() } : rss;
}

function cpuOf(routers: readonly Running[]): number {
  return routers.reduce((sum, router) => sum + router.cpuSeconds(), 0);
}
