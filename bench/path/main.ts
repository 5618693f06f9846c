// The path bench by itself.
//
//   node dist/bench/path/main.js [--quick] [-j] [--only NAMES] [--rounds N] [--router NAME='COMMAND']...
//
// --router adds a path through any program, for example the C daemon once more:
//   --router 'mine=/usr/local/bin/daemon {device} {local} {remote}'
import { parseArgs } from 'node:util';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { runPathBench } from './path-bench.js';
import { commandPath, type Path } from './paths.js';
import { formatPathBench } from './print.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', short: 'j', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    router: { type: 'string', multiple: true, default: [] },
  },
});

try {
  const result = await runPathBench({
    quick: values.quick,
    more: values.router.map(parseRouter),
    onStep: (text) => process.stderr.write(`${text}\n`),
    ...(values.only === undefined ? {} : { only: values.only.split(',') }),
    ...(values.rounds === undefined ? {} : { rounds: Number(values.rounds) }),
  });
  console.log(values.json ? JSON.stringify(result) : formatPathBench(result));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`path bench: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}`);
  process.exitCode = error.exitCode;
}

function parseRouter(text: string): Path {
  const [, name, words] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name && words) return commandPath(name, words.trim().split(/\s+/));
  throw new Failure(EXIT.usage, `--router ${text}: expected NAME=COMMAND`);
}
