// What is run: every case of a round, in its order, with its measures.
import { readFileSync } from 'node:fs';
import { EXIT, Failure } from '../../src/sys/failure.js';
import type { Path } from '../peers/contract.js';
import { CONGESTION_FILE, type Offloads } from './lab.js';
import { isMeasure, MEASURES, type Measure, type Seconds } from './measures.js';

/** One path in one setting. */
export interface Case {
  readonly path: Path;
  readonly offloads: Offloads;
  readonly tunnels: number;
  readonly measures: readonly Measure[];
  /** Runs in one round alone, for what takes minutes to set up. */
  readonly once: boolean;
}

export interface Plan {
  readonly rounds: number;
  readonly congestion: string;
  readonly seconds: Seconds;
  readonly cases: readonly Case[];
}

export interface Choice {
  /** Under a minute: fewer paths, rounds, seconds and measures. */
  readonly quick?: boolean;
  /** Names of paths; absent: all, or those that matter most when quick. */
  readonly only?: readonly string[];
  /** Names of measures; absent: all, or those that matter most when quick. */
  readonly measures?: readonly string[];
  readonly rounds?: number;
  /** Seconds of each TCP run, a whole number; the others keep their ratio to it. */
  readonly seconds?: number;
  /** TCP congestion control; absent: the machine's own. */
  readonly congestion?: string;
}

const FULL_ROUNDS = 3;
const FULL_SECONDS: Seconds = { tcp: 2, udp: 1, idle: 1, search: 0.4 };
const QUICK_ROUNDS = 3;
const QUICK_SECONDS: Seconds = { tcp: 1, udp: 0.5, idle: 0.5, search: 0.2 };
const QUICK_PATHS = ['veth', 'vxlan', 'c', 'raw-simd', 'xdp-simd'];
const QUICK_MEASURES: readonly Measure[] = ['tcp', 'udp64'];

/** Variants of a path that is measured in full beside them: these tell where they differ. */
const VARIANTS = [
  ...['raw-scalar', 'raw-2-lanes', 'xdp-2-lanes', 'raw-socket'],
  ...['raw-unrecorded', 'xdp-unrecorded'],
];
const VARIANT_MEASURES: readonly Measure[] = ['idle', 'tcp', 'tcp8', 'udp64', 'status'];
const OFFLOADED_MEASURES: readonly Measure[] = ['tcp', 'tcp-reverse', 'tcp8', 'udp64'];
/** Paths that are measured with many tunnels too. */
const SCALED = ['raw-simd', 'xdp-simd'];
const SCALED_MEASURES: readonly Measure[] = ['idle', 'tcp', 'udp64', 'spread', 'status'];
const MANY = 100;
/** The devices take both sides half a minute to make and as long to remove. */
const VERY_MANY = 10_000;

/** Puts the cases together. Throws a Failure for a name that nothing has. */
export function makePlan(paths: readonly Path[], choice: Choice): Plan {
  const { quick = false } = choice;
  const chosen = choosePaths(paths, choice.only ?? (quick ? QUICK_PATHS : undefined));
  const measures = chooseMeasures(choice.measures, quick);
  const cases = chosen.flatMap((path) => casesOf(path, quick));
  const seconds = quick ? QUICK_SECONDS : FULL_SECONDS;
  return {
    congestion: choice.congestion ?? readFileSync(CONGESTION_FILE, 'utf8').trim(),
    rounds: choice.rounds ?? (quick ? QUICK_ROUNDS : FULL_ROUNDS),
    seconds: choice.seconds === undefined ? seconds : scale(seconds, choice.seconds),
    cases: cases
      .map((each) => ({ ...each, measures: each.measures.filter((one) => measures.includes(one)) }))
      .filter((each) => each.measures.length > 0),
  };
}

function casesOf(path: Path, quick: boolean): Case[] {
  const all = Object.keys(MEASURES).filter(isMeasure);
  const plain: Case = { path, offloads: 'off', tunnels: 1, measures: all, once: false };
  if (quick) return [plain];
  if (VARIANTS.includes(path.name)) return [{ ...plain, measures: VARIANT_MEASURES }];
  const offloaded: Case = { ...plain, offloads: 'on', measures: OFFLOADED_MEASURES };
  if (!SCALED.includes(path.name)) return [plain, offloaded];
  const scaled = (tunnels: number, once: boolean): Case => ({
    ...plain,
    tunnels,
    measures: SCALED_MEASURES,
    once,
  });
  return [plain, scaled(MANY, false), scaled(VERY_MANY, true), offloaded];
}

function choosePaths(paths: readonly Path[], names: readonly string[] | undefined): Path[] {
  if (names === undefined) return [...paths];
  return names.map((name) => {
    const path = paths.find((each) => each.name === name);
    if (path) return path;
    const known = paths.map((each) => each.name).join(' ');
    throw new Failure(EXIT.usage, `no path is named ${name}`, `the paths are: ${known}`);
  });
}

function chooseMeasures(names: readonly string[] | undefined, quick: boolean): Measure[] {
  const all = Object.keys(MEASURES).filter(isMeasure);
  if (names === undefined) return quick ? [...QUICK_MEASURES] : all;
  return names.map((name) => {
    if (isMeasure(name)) return name;
    const known = all.join(' ');
    throw new Failure(EXIT.usage, `no measure is named ${name}`, `the measures are: ${known}`);
  });
}

function scale(seconds: Seconds, tcp: number): Seconds {
  const factor = tcp / seconds.tcp;
  const { udp, idle, search } = seconds;
  return { tcp, udp: udp * factor, idle: idle * factor, search: search * factor };
}
