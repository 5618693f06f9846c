// The path bench by itself: what `npm run bench` runs.
//
//   node dist/bench/path/main.js [--quick] [-j] [--only NAMES] [--measure NAMES] [--rounds N] [--seconds N]
//                                [--router NAME='COMMAND']... [--congestion NAME] [--output FILE.json]
//   node dist/bench/path/main.js --chart FILE.json       draws the chart of a result again
//
// A full run leaves bench/results/latest.json and throughput.svg; any other only what --output names.
// --router adds a path through any program, for example the C daemon once more:
//   --router 'mine=/usr/local/bin/daemon {device} {local} {remote}'
import { parseArgs } from 'node:util';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { commandPath } from '../peers/command.js';
import type { Path } from '../peers/contract.js';
import { runPathBench } from './path-bench.js';
import { formatPathBench } from './print.js';
import { RESULT_FILE, readResult, writeChart, writeResult } from './results.js';

try {
  const options = parseWords();
  if (options.chart === undefined) await bench(options);
  else console.error(writeChart(readResult(options.chart), options.chart));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`path bench: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}`);
  process.exitCode = error.exitCode;
}

type Words = ReturnType<typeof parseWords>;

function parseWords() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', short: 'j', default: false },
        only: { type: 'string' },
        measure: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        router: { type: 'string', multiple: true, default: [] },
        congestion: { type: 'string' },
        output: { type: 'string' },
        chart: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new Failure(EXIT.usage, error instanceof Error ? error.message : String(error));
  }
}

async function bench(words: Words): Promise<void> {
  const { only, measure, congestion } = words;
  const rounds = parseCount('rounds', words.rounds);
  const seconds = parseCount('seconds', words.seconds);
  const result = await runPathBench({
    quick: words.quick,
    more: words.router.map(parseRouter),
    onStep: (text) => process.stderr.write(`${text}\n`),
    ...(only === undefined ? {} : { only: only.split(',') }),
    ...(measure === undefined ? {} : { measures: measure.split(',') }),
    ...(rounds === undefined ? {} : { rounds }),
    ...(seconds === undefined ? {} : { seconds }),
    ...(congestion === undefined ? {} : { congestion }),
  });
  const isFull = !words.quick && only === undefined && measure === undefined;
  const output = words.output ?? (isFull ? RESULT_FILE : undefined);
  if (output !== undefined) writeResult(result, output);
  console.log(words.json ? JSON.stringify(result) : formatPathBench(result));
}

function parseCount(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (value > 0 && Number.isInteger(value)) return value;
  throw new Failure(EXIT.usage, `--${name} ${text}: expected a whole number above 0`);
}

function parseRouter(text: string): Path {
  const [, name, words] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name && words) return commandPath(name, words.trim().split(/\s+/));
  throw new Failure(EXIT.usage, `--router ${text}: expected NAME=COMMAND`);
}
