// Help, and what is said to somebody who mistypes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { COMMANDS } from '../../src/cli/commands.js';
import { grebe, PROGRAM } from './grebe.js';

test('--help names every command and every exit code', async (t) => {
  const start = performance.now();
  const { code, stdout, stderr } = await grebe(['--help']);
  t.diagnostic(`grebe --help took ${Math.round(performance.now() - start)} ms`);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  for (const { name, summary } of COMMANDS) {
    assert.match(stdout, new RegExp(`^  ${name}\\b`, 'm'));
    assert(stdout.replace(/\s+/g, ' ').includes(summary));
  }
  for (const exitCode of [0, 1, 2, 3, 64, 66, 69, 70, 77, 78]) {
    assert.match(stdout, new RegExp(`\\b${exitCode} \\w`));
  }
});

for (const { name, examples, options } of COMMANDS) {
  test(`${name} --help shows its usage, all options and an example`, async () => {
    const { code, stdout, stderr } = await grebe([name, '--help']);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.match(stdout, new RegExp(`^Usage: grebe ${name}\\b`));
    for (const [line] of examples) assert(stdout.includes(line), line);
    for (const option of options) assert(stdout.includes(`--${option.name}`), option.name);
    for (const option of ['--json', '--socket', '--config', '--quiet', '--verbose', '--color']) {
      assert(stdout.includes(option), option);
    }
  });
}

test('help is found however it is asked for', async () => {
  const { stdout } = await grebe(['codec', '--help']);
  for (const words of [
    ['-h', 'codec'],
    ['help', 'codec'],
    ['cod', '-h'],
    ['--help', '-j', 'codec'],
  ]) {
    const asked = await grebe(words);
    assert.equal(asked.code, 0, words.join(' '));
    assert.equal(asked.stdout, stdout, words.join(' '));
  }
  const { stdout: all } = await grebe(['--help']);
  assert.equal((await grebe(['help'])).stdout, all);
});

test('--version prints one line', async () => {
  const { code, stdout } = await grebe(['--version']);
  assert.equal(code, 0);
  assert.match(stdout, /^grebe \d+\.\d+\.\d+\n$/);
});

test('a usage error ends with 64, on stderr, with the next thing to try', async () => {
  const cases: readonly (readonly [words: readonly string[], message: RegExp])[] = [
    [['statsu'], /unknown command "statsu"; did you mean "status"\?/],
    [['tunnel', 'burn', 'gre1'], /tunnel has no action "burn"/],
    [['reload', '--confirm', 'soon'], /--confirm must be a time such as 60s, not "soon"/],
    [['d'], /unknown command "d"; it could be diff or decode or doctor or demo/],
    [[''], /unknown command ""/],
    [['help', 'chekc'], /unknown command "chekc"; did you mean "check"\?/],
    [['status', '--jsn'], /unknown option '--jsn'\n\(Did you mean --json\?\)/],
    [['status', 'a', 'b'], /too many arguments/],
    [['status', '--socket'], /argument missing/],
    [['--color', 'purple'], /Allowed choices are auto, always, never/],
    [['run', 'gre1'], /too many arguments/],
    [['codec', 'lst'], /codec has no action "lst"; did you mean "list"\?/],
    [['codec', 'use'], /codec use: which build\?/],
    [['bench', 'disk'], /no bench is named "disk"/],
    [['check', 'a.toml', '--config', 'b.toml'], /two configs/],
    [['decode'], /./],
    [['decode', '--hex', 'xyz'], /./],
  ];
  for (const [words, message] of cases) {
    const { code, stdout, stderr } = await grebe(words);
    assert.equal(code, 64, `${words.join(' ')}: ${stderr}`);
    assert.equal(stdout, '', words.join(' '));
    assert.match(stderr, message);
    assert.match(stderr, /^grebe: .+\n {2}\S/s, words.join(' '));
  }
});

test('a --socket that no socket can have is a mistake of usage, for the router too', async () => {
  const long = `/tmp/${'x'.repeat(103)}`;
  for (const words of [['status'], ['run', '--dry-run', '--config', '/dev/null']]) {
    const { code, stderr } = await grebe([...words, '--socket', long]);
    assert.equal(code, 64, stderr);
    assert.match(stderr, /--socket: the path is 108 bytes long, at most 107 fit/);
  }
  assert.equal((await grebe(['status', '--socket', ''])).code, 64);
});

test('a reader that goes away is no error', () => {
  const script = `"$0" "$1" --help | true; "$0" "$1" codec list -q | head -n 1`;
  const { stdout, stderr } = spawnSync('sh', ['-c', script, process.execPath, PROGRAM], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  assert.match(stdout, /NAME/);
});

test('output that cannot be written is an error, and is said', () => {
  const script = `"$0" "$1" --version >/dev/full`;
  const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, PROGRAM], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /cannot write the output: .*ENOSPC/);
});

test('an error of ours ends with 70 and asks for a report', async () => {
  const script = encodeURIComponent('JSON.parse = () => { throw new TypeError("out of order"); }');
  const broken = `data:text/javascript,${script}`;
  const { code, stderr } = await grebe(['--version'], {
    env: { NODE_OPTIONS: `--import=${broken}` },
  });
  assert.equal(code, 70, stderr);
  assert.match(stderr, /^grebe: internal error: TypeError: out of order\n {4}at /);
  assert.match(stderr, /please report it/);
});
