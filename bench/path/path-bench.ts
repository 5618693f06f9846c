// path bench: two namespaces, one veth, a tunnel over it, traffic through it.
//
//   1. the plan: every case, a path in one setting, with its measures
//   2. every case in turn, round after round (A B A B): the machine's mood falls on all of them
//   3. one case, one round: a lab of its own -> open the path -> its measures -> close
//   4. medians and spread over the rounds, ratios beside their targets
import { EXIT, Failure } from '../../src/sys/failure.js';
import { builtinPaths } from '../peers/all.js';
import type { Path } from '../peers/contract.js';
import { chooseLoad, type Load } from '../traffic/load.js';
import { watchBusy } from './cpu.js';
import { type Sample, type Spreads, spreadsOf } from './figures.js';
import { hasProgram, type Offloads, openLab } from './lab.js';
import { describeMachine, type Machine } from './machine.js';
import { MEASURES, type Seconds } from './measures.js';
import { type Case, type Choice, makePlan, type Plan } from './plan.js';
import { judge, type Verdict } from './targets.js';

export interface PathBenchOptions extends Choice {
  /** Paths beside those of the table; measured unless `only` leaves them out. */
  readonly more?: readonly Path[];
  /** Called before every step, for a person who waits. */
  readonly onStep?: (text: string) => void;
}

/** One path in one setting. */
export interface PathRow {
  readonly name: string;
  readonly offloads: Offloads;
  readonly tunnels: number;
  /** Of the program, where it is not grebe. */
  readonly version?: string;
  /** Why it was left out: there is no figure. */
  readonly skipped?: string;
  /** Measures that failed in some round, with their cause; figures are those of the other rounds. */
  readonly failures?: readonly string[];
  readonly figures: Spreads;
}

export interface PathBenchResult {
  readonly schema: 'grebe.bench-path/2';
  readonly machine: Machine;
  /** When it began (ISO 8601), and how long it took. */
  readonly startedAt: string;
  readonly tookSeconds: number;
  /** CPUs that were busy in the second before it began. */
  readonly otherLoad: number;
  readonly rounds: number;
  readonly seconds: Seconds;
  /** TCP congestion control of the hosts. */
  readonly congestion: string;
  /** What sent and received TCP of 1 and 8 flows, and everything else. */
  readonly traffic: { readonly tcp: 'iperf3' | Load['program']; readonly load: Load['program'] };
  readonly rows: readonly PathRow[];
  readonly targets: readonly Verdict[];
}

/** Runs the whole plan. Leaves no namespace or process behind. */
export async function runPathBench(options: PathBenchOptions): Promise<PathBenchResult> {
  requireRights();
  const [startedAt, startedMs] = [new Date().toISOString(), performance.now()];
  const more = options.more ?? [];
  const plan = makePlan([...builtinPaths(), ...more], withMore(options));
  const load = chooseLoad();
  const otherLoad = await watchBusy(1);
  const runs = plan.cases.map(newRun);
  for (let round = 1; round <= plan.rounds; round++) {
    for (const run of runs) {
      // What runs once runs in the last round, when the machine is as warm as it gets.
      if (run.skipped !== undefined || (run.case.once && round < plan.rounds)) continue;
      options.onStep?.(`round ${round} of ${plan.rounds}: ${titleOf(run.case)}`);
      await addSample(run, load, plan);
    }
  }
  const rows = runs.map(rowOf);
  return {
    schema: 'grebe.bench-path/2',
    machine: describeMachine(),
    startedAt,
    tookSeconds: Math.round((performance.now() - startedMs) / 1000),
    otherLoad,
    rounds: plan.rounds,
    seconds: plan.seconds,
    congestion: plan.congestion,
    traffic: { tcp: hasProgram('iperf3') ? 'iperf3' : load.program, load: load.program },
    rows,
    targets: judge(rows),
  };
}

/** Paths that the caller adds are measured in the quick run too. */
function withMore(options: PathBenchOptions): Choice {
  if (!options.quick || options.only || !options.more?.length) return options;
  const { cases } = makePlan(builtinPaths(), options);
  const names = [...cases.map((each) => each.path.name), ...options.more.map((path) => path.name)];
  return { ...options, only: names };
}

function requireRights(): void {
  if (process.getuid?.() !== 0) {
    throw new Failure(EXIT.noPermission, 'network namespaces need root', 'run it with sudo');
  }
  for (const [program, name] of [
    ['ip', 'iproute2'],
    ['ethtool', 'ethtool'],
  ] as const) {
    if (hasProgram(program)) continue;
    throw new Failure(EXIT.failed, `${program} is not installed`, `apt-get install ${name}`);
  }
}

function titleOf({ path, offloads, tunnels }: Case): string {
  const many = tunnels > 1 ? `, ${tunnels} tunnels` : '';
  return `${path.name}${many}${offloads === 'on' ? ', offloads on' : ''}`;
}

/** One case on its way through the rounds. */
interface Run {
  readonly case: Case;
  readonly samples: Sample[];
  readonly failures: Set<string>;
  skipped?: string;
}

function newRun(each: Case): Run {
  const skipped = each.path.missing();
  const run: Run = { case: each, samples: [], failures: new Set() };
  return skipped === undefined ? run : { ...run, skipped };
}

/** One round of a case. One that cannot be opened in the first is left out from then on. */
async function addSample(run: Run, load: Load, plan: Plan): Promise<void> {
  const { congestion, seconds } = plan;
  const lab = await openLab({ offloads: run.case.offloads, congestion });
  try {
    const path = await run.case.path.open(lab, run.case.tunnels);
    const sample: Sample = {};
    run.samples.push(sample);
    for (const measure of run.case.measures) {
      for (const router of path.routers) router.requireAlive();
      try {
        Object.assign(sample, await MEASURES[measure]({ lab, path, load, seconds }));
      } catch (error) {
        run.failures.add(`${measure}: ${messageOf(error)}`);
      }
    }
  } catch (error) {
    if (run.samples.length === 0) run.skipped = messageOf(error);
    else run.failures.add(messageOf(error));
  } finally {
    await lab.close();
  }
}

/** The words of a Failure; anything else is a mistake of the bench. */
function messageOf(error: unknown): string {
  if (error instanceof Failure) return error.message;
  throw error;
}

function rowOf({ case: each, samples, failures, skipped }: Run): PathRow {
  const { path, offloads, tunnels } = each;
  const version = samples.length > 0 ? path.version?.() : undefined;
  return {
    ...{ name: path.name, offloads, tunnels },
    ...(version === undefined ? {} : { version }),
    ...(skipped === undefined ? {} : { skipped }),
    ...(failures.size === 0 ? {} : { failures: [...failures] }),
    figures: spreadsOf(samples),
  };
}
