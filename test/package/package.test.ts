// What `npm pack` makes, as a user gets it: in an empty folder, without install scripts and without a compiler.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Packed, without what it depends on. Raised on purpose only. */
const MAX_BYTES = 700_000;

const folder = mkdtempSync(join(tmpdir(), 'grebe-package-'));
after(() => rmSync(folder, { recursive: true }));

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

function run(command: string, words: readonly string[], cwd: string): string {
  return runWith(process.env, command, words, cwd);
}

function runWith(
  env: NodeJS.ProcessEnv,
  command: string,
  words: readonly string[],
  cwd: string,
): string {
  const { status, stdout, stderr } = spawnSync(command, words, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.equal(status, 0, `${command} ${words.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

const packWords = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
const listed: unknown = JSON.parse(run('npm', packWords, ROOT));
/** npm 11 and older print a list, later ones an object by name. */
const [packed] = Object.values(listed as { readonly [key: string]: Packed });
assert.ok(packed);
const tarball = join(folder, packed.filename);

/** What the web page has beside its code. */
const PAGE = ['index.html', 'page.css', 'icon.svg', 'uplot.js', 'uplot.css', 'uplot.LICENSE'].map(
  (name) => `dist/src/web/${name}`,
);

test('the package holds all that runs, and nothing else', (t) => {
  const { files, size, unpackedSize } = packed;
  t.diagnostic(`packed ${size} bytes, unpacked ${unpackedSize}, ${files.length} files`);
  const paths = files.map(({ path }) => path);
  for (const path of [
    ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'dist/man/grebe.1'],
    ...['dist/src/cli/main.js', 'dist/src/index.js', 'dist/src/index.d.ts'],
    ...['dist/src/packet/index.js', 'dist/src/packet/index.d.ts', 'dist/src/lane/worker.js'],
    ...[
      'dist/asm/simd.wasm',
      'dist/asm/scalar.wasm',
      'dist/asm/xdp.wasm',
      'dist/asm/recorder.wasm',
      'dist/asm/layout.js',
    ],
    ...PAGE,
    ...['docs/service/grebe.service', 'docs/service/grebe.sysusers', 'docs/service/grebe.tmpfiles'],
  ]) {
    assert.ok(paths.includes(path), path);
  }
  const others = paths.filter(
    (path) =>
      !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/man\/grebe\.1)$/.test(path) &&
      !/^docs\/service\/(grebe\.(service|sysusers|tmpfiles)|xdp\.conf|README\.md)$/.test(path) &&
      !/^dist\/(src|asm)\/.+\.(js|d\.ts|wasm)$/.test(path) &&
      !PAGE.includes(path),
  );
  assert.deepEqual(others, []);
  assert.deepEqual(missingTypes(new Set(paths)), []);
  assert.ok(size < MAX_BYTES, `${size} bytes`);
});

/** Types that those of the two entry points name, and the package has not: those of some rooms nobody outside needs. */
function missingTypes(packed: ReadonlySet<string>): string[] {
  const seen = new Set(['dist/src/index.d.ts', 'dist/src/packet/index.d.ts']);
  for (const file of seen) {
    for (const [, path = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(
      /'(\.[^']+)\.js'/g,
    )) {
      seen.add(join(dirname(file), `${path}.d.ts`));
    }
  }
  return [...seen].filter((file) => !packed.has(file));
}

test('publint and attw find nothing wrong with it', () => {
  const program = (path: string): string => join(ROOT, 'node_modules', path);
  const publint = run(
    process.execPath,
    [program('publint/src/cli.js'), 'run', tarball, '--strict'],
    ROOT,
  );
  assert.match(publint, /All good!/);
  const attw = program('@arethetypeswrong/cli/dist/index.js');
  run(process.execPath, [attw, tarball, '--profile', 'esm-only', '--no-emoji'], ROOT);
});

/** All that a user's machine has here: no compiler, no make, no Python. */
const PROGRAMS = ['node', 'npm', 'npx', 'sh', 'env', 'ip'];

/** A PATH with these programs and no others. */
function barePath(): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of PROGRAMS) {
    const { stdout } = spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin" command -v ${name}`], {
      encoding: 'utf8',
    });
    const path = stdout.trim();
    if (path !== '') symlinkSync(path, join(bin, name));
  }
  return bin;
}

test('it installs into an empty folder without scripts and without a compiler, and runs', () => {
  const home = join(folder, 'empty');
  mkdirSync(home);
  const env = { ...process.env, PATH: barePath() };
  const run = (command: string, words: readonly string[], cwd: string): string =>
    runWith(env, command, words, cwd);
  assert.throws(() =>
    run('sh', ['-c', 'command -v cc || command -v gcc || command -v make'], home),
  );
  writeFileSync(join(home, 'package.json'), '{ "private": true }');
  const options = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  run('npm', ['install', ...options, tarball], home);
  const grebe = (...words: readonly string[]): string =>
    run(join(home, 'node_modules', '.bin', 'grebe'), words, home);
  assert.match(grebe('--version'), /^grebe \d+\.\d+\.\d+\n$/);
  writeFileSync(join(home, 'made.toml'), grebe('import', 'ip tunnel add gre1 remote 192.0.2.2'));
  assert.match(grebe('check', 'made.toml'), /ok, 1 tunnel/);
  const hex =
    '4500003000004000402fb69bc0000201c000020200000800' +
    '4500001800000000400164df0a0101020a0201020000ffff';
  assert.match(grebe('decode', '--hex', hex), /192\.0\.2\.1 > 192\.0\.2\.2 gre ipv4/);
  assert.match(run('npx', ['--no-install', 'grebe', 'demo', '--quick'], home), /everything passed/);
  assert.match(grebe('demo', '--level', 'b', '--quick'), /everything passed/);
  const library = "import('grebe/packet').then(({ decode }) => console.log(typeof decode))";
  assert.equal(run(process.execPath, ['-e', library], home), 'function\n');
  // From CommonJS too: Node 20.19 and newer load modules without top-level await by require.
  const required = "console.log(typeof require('grebe').loadConfig)";
  assert.equal(run(process.execPath, ['-e', required], home), 'function\n');
});
