// codec bench: ns a packet, and bytes summed a second, of every build, side by side
//
//   1. packets     encap and decap x tunnel x packet size x batch; the builds take turns in each case
//   2. merging     superpackets split, segments merged, and packets that do not merge
//   3. checksums   every length; builds, C and a plain copy take turns
//   4. ratios      to js, and to gcc, each from figures of the same case
import { Bench } from 'tinybench';
import { type CodecBuild, loadBuild } from '../../src/codec/builds.js';
import { judgeBuild } from '../../src/codec/verify.js';
import { describeMachine, type Machine } from '../path/machine.js';
import { ChecksumLoad } from './checksum-load.js';
import { type MergeKind, MergeLoad } from './merge-load.js';
import { type Direction, PacketLoad, type TunnelKind } from './packet-load.js';

export interface CodecBenchOptions {
  /** Under 10 seconds: the cases that the targets name. */
  readonly quick?: boolean;
  /** Builds to measure by name or path; default: all that ship. */
  readonly builds?: readonly string[];
  /** Called before every case, for a person who waits. */
  readonly onStep?: (text: string) => void;
}

/** Median and spread of one figure over all samples. */
export interface Figure {
  readonly median: number;
  /** The slowest of the quickest quarter, and of the quickest three quarters. */
  readonly quarter: number;
  readonly threeQuarters: number;
}

export interface PacketRow {
  readonly direction: Direction;
  readonly tunnel: TunnelKind;
  /** Bytes of the inner packet. */
  readonly size: number;
  /** Packets a call. */
  readonly batch: number;
  /** ns a packet by build. */
  readonly nanoseconds: Readonly<Record<string, Figure>>;
}

export interface MergeRow {
  readonly kind: MergeKind;
  /** Packets a call splits into or merges. */
  readonly packets: number;
  /** ns a packet by build. */
  readonly nanoseconds: Readonly<Record<string, Figure>>;
}

export interface ChecksumRow {
  readonly length: number;
  /** Billions of bytes a second by build, `gcc -O3` and `memory.copy`. */
  readonly gigabytes: Readonly<Record<string, Figure>>;
}

export interface CodecBenchResult {
  readonly schema: 'grebe.bench-codec/1';
  readonly machine: Machine;
  readonly builds: readonly string[];
  readonly packets: readonly PacketRow[];
  readonly merging: readonly MergeRow[];
  readonly checksums: readonly ChecksumRow[];
  /** Why there is no row for C, or null. */
  readonly withoutC: string | null;
}

interface Plan {
  /** For one build in one case, ms. */
  readonly timeMs: number;
  readonly sizes: readonly number[];
  readonly batches: readonly number[];
  readonly lengths: readonly number[];
}

const FULL: Plan = {
  timeMs: 150,
  sizes: [64, 576, 1500],
  batches: [1, 8, 32, 64, 128],
  lengths: [64, 576, 1460, 4096, 9000],
};
const QUICK: Plan = { timeMs: 60, sizes: [64, 1500], batches: [64], lengths: [1460, 9000] };
/** The batch whose figures the targets name; `full` tunnels are measured at it only. */
const MAIN_BATCH = 64;
/** Packets, and bytes, of one sample: long enough that the clock costs nothing. */
const SAMPLE_PACKETS = 1024;
const SAMPLE_BYTES = 1 << 20;

/** A function that does `units` of something and returns the ms it took. */
interface Sampler {
  readonly units: number;
  sample(): number;
}

export async function runCodecBench(options: CodecBenchOptions = {}): Promise<CodecBenchResult> {
  const plan = options.quick === true ? QUICK : FULL;
  const builds = (options.builds ?? ['simd', 'scalar', 'js']).map((name) => loadBuild(name));
  for (const build of builds) judgeBuild(build);
  const say = options.onStep ?? (() => {});
  const packets = await benchPackets(builds, plan, say);
  const merging = await benchMerging(builds, plan, say);
  const load = new ChecksumLoad(builds);
  const checksums = await benchChecksums(load, plan, say);
  return {
    schema: 'grebe.bench-codec/1',
    machine: describeMachine(),
    builds: builds.map(({ name }) => name),
    packets,
    merging,
    checksums,
    withoutC: load.withoutC,
  };
}

async function benchPackets(
  builds: readonly CodecBuild[],
  plan: Plan,
  say: (text: string) => void,
): Promise<PacketRow[]> {
  const loads = builds.map((build) => ({ name: build.name, load: new PacketLoad(build) }));
  const rows: PacketRow[] = [];
  for (const direction of ['encap', 'decap'] as const) {
    for (const tunnel of ['plain', 'full'] as const) {
      for (const size of plan.sizes) {
        for (const batch of tunnel === 'plain' ? plan.batches : [MAIN_BATCH]) {
          say(`${direction}, ${tunnel}, ${size} bytes, batches of ${batch}`);
          const count = Math.max(1, SAMPLE_PACKETS / batch);
          const samplers = new Map<string, Sampler>();
          for (const { name, load } of loads) {
            const run = load.prepare(direction, tunnel, size, batch);
            const sample = (): number => run(count) - readClock(count);
            samplers.set(name, { units: count * batch, sample });
          }
          const nanoseconds = await measure(samplers, plan.timeMs, (ms) => ms * 1e6);
          rows.push({ direction, tunnel, size, batch, nanoseconds });
        }
      }
    }
  }
  return rows;
}

async function benchMerging(
  builds: readonly CodecBuild[],
  plan: Plan,
  say: (text: string) => void,
): Promise<MergeRow[]> {
  const rows: MergeRow[] = [];
  for (const kind of ['segment', 'coalesce', 'apart'] as const) {
    say(`superpackets, ${kind}`);
    const packets = MergeLoad.packets(kind);
    const count = Math.ceil(SAMPLE_PACKETS / packets);
    const samplers = new Map<string, Sampler>();
    for (const build of builds) {
      const run = new MergeLoad(build).prepare(kind);
      const sample = (): number => run(count) - readClock(count);
      samplers.set(build.name, { units: count * packets, sample });
    }
    rows.push({
      kind,
      packets,
      nanoseconds: await measure(samplers, plan.timeMs, (ms) => ms * 1e6),
    });
  }
  return rows;
}

async function benchChecksums(
  load: ChecksumLoad,
  plan: Plan,
  say: (text: string) => void,
): Promise<ChecksumRow[]> {
  const rows: ChecksumRow[] = [];
  for (const length of plan.lengths) {
    say(`checksum of ${length} bytes`);
    const count = Math.ceil(SAMPLE_BYTES / length);
    const samplers = new Map<string, Sampler>();
    for (const [name, repeat] of load.rows) {
      const sample = (): number => {
        const start = performance.now();
        repeat(length, count);
        return performance.now() - start;
      };
      samplers.set(name, { units: count * length, sample });
    }
    const gigabytes = await measure(samplers, plan.timeMs, (ms) => 1e-6 / ms);
    rows.push({ length, gigabytes });
  }
  return rows;
}

/** Lets the samplers take turns in two rounds and returns `toFigure(ms a unit)` of each. */
async function measure(
  samplers: ReadonlyMap<string, Sampler>,
  timeMs: number,
  toFigure: (msPerUnit: number) => number,
): Promise<Record<string, Figure>> {
  const samples = new Map<string, number[]>([...samplers.keys()].map((name) => [name, []]));
  for (let round = 0; round < 2; round++) {
    const bench = new Bench({
      time: timeMs / 2,
      iterations: 8,
      warmupTime: timeMs / 5,
      warmupIterations: 4,
      retainSamples: true,
    });
    for (const [name, { units, sample }] of samplers) {
      // Only what the sampler timed counts, as ms a unit; the budget is for all of it.
      bench.add(name, () => {
        const start = performance.now();
        const overriddenDuration = sample() / units;
        return { overriddenDuration, overriddenIterationCost: performance.now() - start };
      });
    }
    for (const task of await bench.run()) {
      const { result } = task;
      if (!('latency' in result)) throw new Error(`the bench of ${task.name} came to no result`);
      samples.get(task.name)?.push(...(result.latency.samples ?? []));
    }
  }
  return Object.fromEntries(
    [...samples].map(([name, list]) => [name, summarize(list.map(toFigure))]),
  );
}

/** ms that `count` pairs of readings of the clock add to what they enclose. */
function readClock(count: number): number {
  let elapsed = 0;
  for (let done = 0; done < count; done++) {
    const start = performance.now();
    elapsed += performance.now() - start;
  }
  return elapsed;
}

function summarize(list: readonly number[]): Figure {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return { median: at(0.5), quarter: at(0.25), threeQuarters: at(0.75) };
}
