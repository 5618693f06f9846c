// Runs the tests: `npm test`, or `npm test -- PATTERN ...` for the files whose path has a pattern in it. Those that
// try everything with everything take minutes: `npm run test:long` runs them, and so does a pattern.
//
//   1. finds the tests by their sources, so that a deleted test does not live on in dist/
//   2. runs unit tests side by side, then those of the machine's network one file at a time: they
//      measure time, make namespaces and want the CPU for themselves
//   3. prints every skipped test with its reason, then one summary of both runs
//
// With CI=true a skipped test is a failure: what CI does not run, nobody runs.
// Plain JavaScript: it reads the sources' names, so it is no part of what is built.
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

/** Rooms whose tests run alone. */
const ALONE = ['netns', 'interop'];
/**
 * Files of `npm run test:long`: combinations, faults and numbers beyond what the others show to work, and all that takes
 * long; and what other programs are the other side of, by rooms: kernels under emulation, FRR, npm.
 */
const LONG = '.long.test.ts';
const LONG_ROOMS = ['interop', 'package'];
/** Bound for one file; the slowest boots a kernel under emulation. */
const FILE_TIMEOUT_MS = 10 * 60_000;
/** What node:test says at the end of a run, in its order. */
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([0-9.]+)$/;

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const isCi = process.env.CI === 'true';
const words = process.argv.slice(2);
const files = findTests(words);
const alone = files.filter((file) => ALONE.some((room) => file.startsWith(join('test', room))));
const together = files.filter((file) => !alone.includes(file));

const outcome = { failed: false, skipped: [], summary: new Map() };
// Named functions instead of one pipeline of two streams: the second run starts when the first is done.
const reporter = new spec();
reporter.pipe(process.stdout);
for await (const event of events()) reporter.write(event);
reporter.end();
if (outcome.failed || (isCi && outcome.skipped.length > 0)) process.exitCode = 1;

/** Events of both runs, with one summary behind them. */
async function* events() {
  yield* eventsOf(together, availableParallelism());
  yield* eventsOf(alone, 1);
  if (outcome.skipped.length > 0) {
    yield diagnostic(isCi ? 'skipped, which is a failure under CI:' : 'skipped:');
    for (const line of outcome.skipped) yield diagnostic(`  ${line}`);
  }
  for (const [name, value] of outcome.summary) yield diagnostic(`${name} ${value}`);
}

/** Events of one run, its summary taken out and added up. */
async function* eventsOf(sources, concurrency) {
  if (sources.length === 0) return;
  const compiled = sources.map(compiledFile);
  for await (const event of run({ files: compiled, concurrency, timeout: FILE_TIMEOUT_MS })) {
    const { type, data } = event;
    if (type === 'test:fail' && data.todo === undefined) outcome.failed = true;
    if (type === 'test:pass' && data.skip !== undefined) {
      const reason = typeof data.skip === 'string' ? data.skip : 'no reason given';
      outcome.skipped.push(`${data.name}: ${reason}`);
    }
    const count = type === 'test:diagnostic' ? SUMMARY.exec(data.message) : null;
    if (count === null || data.nesting > 0) yield event;
    else addUp(count[1], Number(count[2]));
  }
}

function addUp(name, value) {
  outcome.summary.set(name, (outcome.summary.get(name) ?? 0) + value);
}

function diagnostic(message) {
  return { type: 'test:diagnostic', data: { nesting: 0, message, level: 'info' } };
}

/** Sources of the tests that the words of the command line choose. */
function findTests(words) {
  const patterns = words.filter((word) => word !== '--long');
  const found = readdirSync('test', { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name))
    .filter((file) =>
      patterns.length === 0
        ? isLong(file) === words.includes('--long')
        : patterns.some((pattern) => file.includes(pattern)),
    )
    .sort();
  if (found.length > 0) return found;
  console.error(`no test file under test/ has ${patterns.join(' or ')} in its path`);
  process.exit(1);
}

function isLong(file) {
  return file.endsWith(LONG) || LONG_ROOMS.some((room) => file.startsWith(join('test', room)));
}

function compiledFile(source) {
  const compiled = join('dist', source.replace(/\.ts$/, '.js'));
  if (existsSync(compiled)) return compiled;
  console.error(`${source} is not compiled: run npm run build`);
  process.exit(1);
}
