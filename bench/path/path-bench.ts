// path bench: two namespaces, one veth, a tunnel over it, traffic through it.
//
//   1. every path in turn, round after round (A B A B): the machine's mood falls on all of them
//   2. one path, one round: start -> idle -> TCP -> UDP small -> UDP large -> status -> stop
//   3. medians and spread over the rounds, ratios to the C daemon
import { EXIT, Failure } from '../../src/sys/failure.js';
import { hasProgram, type Lab, openLab, type Running } from './lab.js';
import { describeMachine, type Machine } from './machine.js';
import { builtinPaths, type Path } from './paths.js';
import { chooseTraffic, type Traffic } from './traffic.js';

export interface PathBenchOptions {
  /** Under 30 seconds: fewer paths, rounds and seconds. */
  readonly quick?: boolean;
  /** Names of the paths to run; absent: all of the table, or the three that matter when quick. */
  readonly only?: readonly string[];
  /** Paths beside those of the table. */
  readonly more?: readonly Path[];
  readonly rounds?: number;
  /** Called before every step, for a person who waits. */
  readonly onStep?: (text: string) => void;
}

/** Median, lowest and highest of the rounds. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface PathRow {
  readonly name: string;
  /** Why it was left out; everything else is then absent. */
  readonly skipped?: string;
  readonly tcpGbits?: Spread;
  /** Thousands of datagrams a second that arrived. */
  readonly udpSmallKpps?: Spread;
  readonly udpLargeKpps?: Spread;
  /** TCP throughput divided by that of the C daemon. */
  readonly tcpToC?: number;
  /** CPU-seconds of both routers together for one second of the TCP flow. */
  readonly cpuPerSecond?: Spread;
  /** Of one core, both routers together, without traffic. */
  readonly idlePercent?: Spread;
  readonly readyMs?: Spread;
  /** The larger of the two routers, after traffic. */
  readonly rssMegabytes?: Spread;
  readonly statusMs?: Spread;
}

export interface PathBenchResult {
  readonly schema: 'grebe.bench-path/1';
  readonly machine: Machine;
  readonly rounds: number;
  readonly tcpSeconds: number;
  readonly udpSeconds: number;
  /** Off on both ends of the veth, unless ethtool is missing. */
  readonly offloadsOff: boolean;
  /** What sent and received. */
  readonly traffic: Traffic['program'];
  readonly rows: readonly PathRow[];
}

interface Plan {
  readonly rounds: number;
  readonly tcpSeconds: number;
  readonly udpSeconds: number;
  readonly idleSeconds: number;
  readonly udpLengths: readonly ('udpSmallKpps' | 'udpLargeKpps')[];
}

const UDP_LENGTHS = { udpSmallKpps: 64, udpLargeKpps: 1400 };
const FULL: Plan = {
  rounds: 3,
  tcpSeconds: 4,
  udpSeconds: 2,
  idleSeconds: 3,
  udpLengths: ['udpSmallKpps', 'udpLargeKpps'],
};
const QUICK: Plan = {
  rounds: 2,
  tcpSeconds: 2,
  udpSeconds: 1,
  idleSeconds: 1,
  udpLengths: ['udpSmallKpps'],
};
const QUICK_PATHS = ['veth', 'c', 'raw-simd'];

/** The figures of one path in one round. */
type Sample = Map<keyof PathRow, number>;

/** Runs the whole table. Leaves no namespace, process or file behind. */
export async function runPathBench(options: PathBenchOptions): Promise<PathBenchResult> {
  const plan = options.quick ? QUICK : FULL;
  const rounds = options.rounds ?? plan.rounds;
  const paths = choose(options);
  const samples = new Map<string, Sample[]>(paths.map((path) => [path.name, []]));
  const traffic = chooseTraffic();
  let offloadsOff = true;
  for (let round = 1; round <= rounds; round++) {
    for (const path of paths.filter((each) => each.missing() === undefined)) {
      options.onStep?.(`round ${round} of ${rounds}: ${path.name}`);
      const lab = await openLab();
      offloadsOff &&= lab.offloadsOff;
      try {
        samples.get(path.name)?.push(await measurePath(path, lab, traffic, plan));
      } finally {
        await lab.close();
      }
    }
  }
  const { tcpSeconds, udpSeconds } = plan;
  const rows = withRatios(paths.map((path) => rowOf(path, samples.get(path.name) ?? [])));
  const settings = { rounds, tcpSeconds, udpSeconds, offloadsOff, traffic: traffic.program };
  return { schema: 'grebe.bench-path/1', machine: describeMachine(), ...settings, rows };
}

function choose(options: PathBenchOptions): Path[] {
  requireRights();
  const all = [...builtinPaths(), ...(options.more ?? [])];
  const names =
    options.only ?? (options.quick ? quickNames(options) : all.map((path) => path.name));
  return names.map((name) => {
    const path = all.find((each) => each.name === name);
    if (path) return path;
    const known = all.map((each) => each.name).join(' ');
    throw new Failure(EXIT.usage, `no path is named ${name}`, `the paths are: ${known}`);
  });
}

function quickNames(options: PathBenchOptions): string[] {
  return [...QUICK_PATHS, ...(options.more ?? []).map((path) => path.name)];
}

function requireRights(): void {
  if (process.getuid?.() !== 0) {
    throw new Failure(EXIT.noPermission, 'network namespaces need root', 'run it with sudo');
  }
  if (!hasProgram('ip')) {
    throw new Failure(EXIT.failed, 'ip is not installed', 'apt-get install iproute2');
  }
}

async function measurePath(path: Path, lab: Lab, traffic: Traffic, plan: Plan): Promise<Sample> {
  const open = await path.open(lab);
  const { target, routers } = open;
  const sample: Sample = new Map();
  if (routers.length > 0) {
    sample.set('readyMs', Math.max(...routers.map((router) => router.readyMs)));
    const idleFrom = cpuOf(routers);
    await new Promise((resolve) => setTimeout(resolve, plan.idleSeconds * 1000));
    sample.set('idlePercent', ((cpuOf(routers) - idleFrom) / plan.idleSeconds) * 100);
  }
  const busyFrom = cpuOf(routers);
  sample.set('tcpGbits', await traffic.measureTcp(lab, target, plan.tcpSeconds));
  sample.set('cpuPerSecond', (cpuOf(routers) - busyFrom) / plan.tcpSeconds);
  for (const key of plan.udpLengths) {
    sample.set(key, await traffic.measureUdp(lab, target, plan.udpSeconds, UDP_LENGTHS[key]));
  }
  if (routers.length > 0) {
    sample.set('rssMegabytes', Math.max(...routers.map((router) => router.rssMegabytes())));
  }
  if (open.measureStatus) sample.set('statusMs', await open.measureStatus());
  return sample;
}

function cpuOf(routers: readonly Running[]): number {
  return routers.reduce((sum, router) => sum + router.cpuSeconds(), 0);
}

function rowOf(path: Path, samples: readonly Sample[]): PathRow {
  const skipped = path.missing();
  if (skipped !== undefined) return { name: path.name, skipped };
  const spreads = new Map<string, Spread>();
  for (const key of new Set(samples.flatMap((sample) => [...sample.keys()]))) {
    spreads.set(key, spreadOf(samples.flatMap((sample) => sample.get(key) ?? [])));
  }
  return { name: path.name, ...Object.fromEntries(spreads) };
}

function withRatios(rows: readonly PathRow[]): PathRow[] {
  const base = rows.find((row) => row.name === 'c')?.tcpGbits?.median;
  return rows.map((row) =>
    base && row.tcpGbits ? { ...row, tcpToC: row.tcpGbits.median / base } : row,
  );
}

/** Median, lowest and highest of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
  return { median, low: sorted[0] ?? 0, high: sorted.at(-1) ?? 0 };
}
