// The quick tests on every Node version that grebe promises to run on, from the oldest to the newest: `npm run test:node`.
//
// The rooms are those that do not measure, and one with real devices. Each version runs the whole of it in its own
// processes, workers and children included: tests start grebe by process.execPath.
//
// Plain JavaScript: it starts other versions of Node than its own.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const VERSIONS = ['20', '22', '24', '26'];
const ROOMS = [
  ...['packet', 'asm', 'ring', 'tun', 'sys', 'lane', 'config', 'import', 'inspect'],
  ...['control', 'codec/builds', 'cli/run', 'cli/status', 'netns/liveness'],
];
/** Of one version: several times what it takes on two cores. */
const LIMIT_MS = 300_000;

if (process.arch !== 'x64') {
  console.log(
    `skipped: the Node versions are x86-64 programs, and this machine is ${process.arch}`,
  );
  process.exit(process.env.CI === 'true' ? 1 : 0);
}
const failed = VERSIONS.filter((version) => !isGood(version));
console.log(failed.length === 0 ? 'all Node versions pass' : `failed: Node ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);

/** Runs the tests on a version, and prints a line about it; where one fails, all that they said. */
function isGood(version) {
  const program = join(
    ROOT,
    '.ci',
    'node-versions',
    'node_modules',
    `node-${version}`,
    'bin',
    'node',
  );
  if (!existsSync(program)) throw new Error(`${program} is missing: npm run test:node`);
  const started = performance.now();
  const patterns = ROOMS.map((room) => `${join('test', room)}${room.includes('/') ? '.' : '/'}`);
  const words = [join(ROOT, 'test', 'run.mjs'), ...patterns];
  const ended = spawnSync(program, words, {
    ...{ cwd: ROOT, encoding: 'utf8', timeout: LIMIT_MS, maxBuffer: 64 << 20 },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const count = (what) => new RegExp(`ℹ ${what} (\\d+)`).exec(ended.stdout)?.[1] ?? '?';
  const seconds = Math.round((performance.now() - started) / 1000);
  const release = spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(
    `${release}: ${count('pass')} pass, ${count('fail')} fail, ${count('skipped')} skipped, in ${seconds} s`,
  );
  if (ended.status === 0) return true;
  console.log(ended.stdout, ended.error?.message ?? '');
  return false;
}
