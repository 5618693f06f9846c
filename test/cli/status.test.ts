// grebe status against the real control server, with the contract's router behind it.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { listBuilds } from '../../src/codec/builds.js';
import { type ControlServer, openControl } from '../../src/control/server.js';
import { createRouter, STATUS } from '../control/router.js';
import { grebe, PROGRAM, startGrebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-status-'));
const socket = join(folder, 'grebe.sock');
let control: ControlServer;
before(async () => {
  control = await openControl(socket, listBuilds);
  control.serve(createRouter());
});
after(async () => {
  await control.close();
  rmSync(folder, { recursive: true });
});

test('-j prints the shape of the contract on one line, and ends with 3 when a tunnel is down', async (t) => {
  const start = performance.now();
  const { code, stdout, stderr } = await grebe(['status', '-j', '--socket', socket]);
  t.diagnostic(`grebe status -j took ${Math.round(performance.now() - start)} ms`);
  assert.equal(code, 3);
  assert.equal(stderr, '');
  assert.equal(stdout.trimEnd().includes('\n'), false);
  assert.deepEqual(JSON.parse(stdout), { schema: 'grebe.status/1', ...STATUS });
  assert.deepEqual(Object.keys(JSON.parse(stdout)).slice(0, 6), [
    ...['schema', 'codec', 'underlay', 'uptimeSeconds', 'tunnels', 'drops'],
  ]);
});

test('one tunnel can be asked for, and only its state decides the exit code', async () => {
  const { code, stdout } = await grebe(['status', 'gre1', '-j', '--socket', socket]);
  assert.equal(code, 0);
  const { tunnels } = JSON.parse(stdout);
  assert.deepEqual(tunnels, [STATUS.tunnels[0]]);
  assert.equal((await grebe(['status', 'sit1', '--socket', socket])).code, 3);
});

test('an unknown tunnel ends with 66 and the names that there are', async () => {
  const { code, stdout, stderr } = await grebe(['status', 'gre9', '--socket', socket]);
  assert.equal(code, 66);
  assert.equal(stdout, '');
  assert.match(stderr, /there is no tunnel "gre9"\n {2}tunnels: gre1, sit1/);
});

test('no command, a shortened one and options in any place all mean status', async () => {
  const expected = (await grebe(['status', '-j', '--socket', socket])).stdout;
  for (const words of [
    ['--socket', socket, '-j'],
    ['st', '-j', '--socket', socket],
    ['-j', '--socket', socket, 'stat'],
    ['--socket', socket, 'status', '--json'],
    [`--socket=${socket}`, '-jq'],
  ]) {
    const { code, stdout } = await grebe(words);
    assert.equal(code, 3, words.join(' '));
    assert.equal(stdout, expected, words.join(' '));
  }
});

test('the table for a person has health on top and a row a tunnel', async () => {
  const { stdout } = await grebe(['status', '--socket', socket]);
  const lines = stdout.split('\n');
  assert.match(lines[0] ?? '', /2 tunnels, 1 down .* 3 min 12 s .* codec simd .* underlay raw/);
  assert.match(
    lines[2] ?? '',
    /^NAME +MODE +LOCAL -> REMOTE +STATE +MTU +RX +TX +LOCAL +LAST HEARD +DROPS$/,
  );
  assert.match(
    lines[3] ?? '',
    /^gre1 +gre +192\.0\.2\.1 -> 192\.0\.2\.2 +up +1476 \(path 1300\) +4 \(336 B\) +3 \(1\.5 MB\) +9 +\d+ d .* ago +inner-ttl 10, gre-checksum 2$/,
  );
  assert.match(
    lines[4] ?? '',
    /^sit1 +sit +any -> 192\.0\.2\.3 +down \(probe\) +1480 .* 0 +never +-$/,
  );
  assert.match(stdout, /packets of no tunnel, dropped: no-tunnel 5/);
  assert.match(
    stdout,
    /^dropped by the kernel before the router had them: rawSocket 12, queueDrops of gre1 7$/m,
  );
  const columns = lines.slice(2, 5).map((line) => line.search(/STATE|up|down/));
  assert.deepEqual(new Set(columns).size, 1);
});

test('without a router it ends with 69 and says how to start one', async () => {
  const { code, stdout, stderr } = await grebe(['status', '--socket', join(folder, 'none.sock')]);
  assert.equal(code, 69);
  assert.equal(stdout, '');
  assert.match(stderr, /no router is running.*\n.*grebe run/);
});

test('a router that takes no more clients is not told as none', async () => {
  const full = join(folder, 'full.sock');
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((done) => server.listen(full, done));
  try {
    const { code, stderr } = await grebe(['status', '--socket', full]);
    assert.equal(code, 69);
    assert.match(stderr, /hung up: the router has too many clients/);
  } finally {
    await new Promise((done) => server.close(done));
  }
});

test('with --config it asks the router of that config', async () => {
  const config = join(folder, 'grebe.toml');
  writeFileSync(config, '[router]\nsocket = "grebe.sock"\n');
  const { code, stdout } = await grebe(['status', '-j', '--config', config]);
  assert.equal(code, 3);
  assert.equal(JSON.parse(stdout).tunnels.length, 2);
});

test('-w prints again until it is stopped', async () => {
  const running = startGrebe(['status', '-j', '-w', '--socket', socket]);
  const end = Date.now() + 10_000;
  while (running.stdout().split('\n').length < 3 && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  running.child.kill('SIGTERM');
  await running.ended;
  const lines = running.stdout().trimEnd().split('\n');
  assert(lines.length >= 2);
  for (const line of lines) assert.equal(JSON.parse(line).schema, 'grebe.status/1');
});

test('status loads nothing but node: modules and our own files, and not many of them', () => {
  const files = new Set<string>();
  const follow = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export)\b[^;]*?from '([^']+)';/gm,
    )) {
      if (specifier.startsWith('.')) follow(resolve(dirname(file), specifier));
      else assert.match(specifier, /^node:/, `${file} imports ${specifier}`);
    }
  };
  follow(PROGRAM);
  follow(join(dirname(PROGRAM), 'commands', 'status.js'));
  assert(files.size > 5 && files.size < 20, [...files].join('\n'));
});
