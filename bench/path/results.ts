// The files of a run: all figures as JSON, and the chart.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { ROOT } from '../peers/compiled.js';
import { drawChart } from './chart.js';
import type { PathBenchResult } from './path-bench.js';

/** Where a full run goes when nobody says otherwise. */
export const RESULT_FILE = join(ROOT, 'bench/results/latest.json');

/** Writes all figures to `file`, and the chart of them beside it. */
export function writeResult(result: PathBenchResult, file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  writeChart(result, file);
}

/** Draws the chart of the result in `file`, beside it. Returns the chart's file. */
export function writeChart(result: PathBenchResult, file: string): string {
  const name = basename(file) === 'latest.json' ? 'throughput' : basename(file, '.json');
  const chart = join(dirname(file), `${name}.svg`);
  writeFileSync(chart, drawChart(result));
  return chart;
}

/** A result that `writeResult` has written. Throws a Failure for any other file. */
export function readResult(file: string): PathBenchResult {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Failure(EXIT.noInput, `${file}: ${cause}`);
  }
  if (isResult(value)) return value;
  throw new Failure(EXIT.noInput, `${file} is no result of this bench (grebe.bench-path/2)`);
}

function isResult(value: unknown): value is PathBenchResult {
  return (
    typeof value === 'object' &&
    value !== null &&
    'schema' in value &&
    value.schema === 'grebe.bench-path/2'
  );
}
