import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { grebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-check-'));
after(() => rmSync(folder, { recursive: true }));

const GOOD = '[tunnel.gre1]\nmode = "gre"\nremote = "192.0.2.2"\naddress = ["10.9.0.1/24"]\n';
/** Without an address; its lines have the numbers of the above. */
const NOWHERE = '[tunnel.gre1]\nmode = "gre"\nremote = "192.0.2.2"\nallow = ["any"]\n';
writeFileSync(join(folder, 'good.toml'), GOOD);
writeFileSync(join(folder, 'warn.toml'), `${NOWHERE}reflect = true\n`);
writeFileSync(join(folder, 'bad.toml'), `${NOWHERE}ttl = 999\nremtoe = 1\nreflect = true\n`);

test('a good config is ok on stdout, with nothing on stderr', async () => {
  const { code, stdout, stderr } = await grebe(['check', 'good.toml'], { cwd: folder });
  assert.equal(code, 0);
  assert.equal(stdout, 'good.toml: ok, 1 tunnel\n');
  assert.equal(stderr, '');
});

test('warnings are shown and do not fail', async () => {
  const { code, stdout, stderr } = await grebe(['check', '--config', 'warn.toml'], { cwd: folder });
  assert.equal(code, 0);
  assert.equal(stdout, 'warn.toml: ok, 1 tunnel, 0 errors, 1 warning\n');
  assert.match(stderr, /^warn\.toml:5:1 {2}warn {3}\[W201\] reflect = true has no effect/);
});

test('every error is shown at once on stderr, and the exit code is 78', async () => {
  const { code, stdout, stderr } = await grebe(['check', 'bad.toml'], { cwd: folder });
  assert.equal(code, 78);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /^bad\.toml:5:7 {2}error {2}\[E107\] ttl must be 1\.\.255 or "inherit", not 999$/m,
  );
  assert.match(stderr, /^bad\.toml:6:1 {2}error {2}\[E102\] .*did you mean "remote"\?$/m);
  assert.match(stderr, /^bad\.toml: 2 errors, 1 warning$/m);
});

test('-j gives the same as JSON, with positions for an editor', async () => {
  const { code, stdout, stderr } = await grebe(['-j', 'check', 'bad.toml'], { cwd: folder });
  assert.equal(code, 78);
  assert.equal(stderr, '');
  const message = JSON.parse(stdout);
  assert.equal(message.schema, 'grebe.check/1');
  assert.equal(message.ok, false);
  assert.equal(message.tunnels, null);
  assert.equal(message.diagnostics.length, 3);
  assert.deepEqual(message.diagnostics[0], {
    code: 'E107',
    severity: 'error',
    file: 'bad.toml',
    line: 5,
    column: 7,
    endLine: 5,
    endColumn: 10,
    message: 'ttl must be 1..255 or "inherit", not 999',
    hint: 'the largest is 255',
  });
  const good = await grebe(['check', 'good.toml', '--json'], { cwd: folder });
  assert.equal(good.code, 0);
  assert.deepEqual(JSON.parse(good.stdout), {
    schema: 'grebe.check/1',
    file: 'good.toml',
    ok: true,
    tunnels: 1,
    diagnostics: [],
  });
});

test('a remote that no name server knows is an error of check, and none of run', async () => {
  const text = GOOD.replace('192.0.2.2', 'nowhere.invalid');
  writeFileSync(join(folder, 'name.toml'), `${text}mtu = 1400\n`);
  const checked = await grebe(['check', 'name.toml'], { cwd: folder });
  assert.equal(checked.code, 78);
  assert.match(
    checked.stderr,
    /^name\.toml:3:10 {2}error {2}\[E133\] cannot resolve nowhere\.invalid: /m,
  );
  assert.match(checked.stderr, /getent ahosts nowhere\.invalid$/m);
  const planned = await grebe(['run', '--dry-run', '--config', 'name.toml'], { cwd: folder });
  assert.equal(planned.code, 0);
  assert.match(planned.stdout, /^device gre1: gre, any -> nowhere\.invalid, MTU 1400$/m);
});

test('color is for those who ask for it', async () => {
  const colored = await grebe(['check', 'bad.toml', '--color', 'always'], { cwd: folder });
  assert(colored.stderr.includes('\x1b['));
  const piped = await grebe(['check', 'bad.toml'], { cwd: folder });
  assert.equal(piped.stderr.includes('\x1b['), false);
  assert.equal(stripVTControlCharacters(colored.stderr), piped.stderr);
});

test('a file that is not there ends with 66, before anything else', async () => {
  for (const words of [
    ['check', 'none.toml'],
    ['check', '.'],
    ['run', '--config', 'none.toml'],
  ]) {
    const { code, stderr } = await grebe(words, { cwd: folder });
    assert.equal(code, 66, words.join(' '));
    assert.match(stderr, /^grebe: cannot read the config /);
  }
});

test('run refuses a broken config with 78 and touches nothing', async () => {
  const { code, stdout, stderr } = await grebe(['run', '--config', 'bad.toml'], { cwd: folder });
  assert.equal(code, 78);
  assert.equal(stdout, '');
  assert.match(stderr, /^bad\.toml:5:7 {2}error {2}\[E107\]/m);
  assert.match(stderr, /^bad\.toml:6:1 {2}error {2}\[E102\]/m);
  assert.match(stderr, /nothing was changed/);
});

test('run --dry-run says what it would make', async () => {
  const plan = ['run', '--dry-run', '--config', 'plan.toml'];
  writeFileSync(join(folder, 'plan.toml'), `${GOOD}mtu = 1400\n`);
  const { code, stdout } = await grebe(plan, { cwd: folder });
  assert.equal(code, 0);
  assert.equal(
    stdout,
    'device gre1: gre, any -> 192.0.2.2, MTU 1400\n' +
      '  address 10.9.0.1/24\n' +
      'control socket /run/grebe/grebe.sock\n',
  );
  const { schema, tunnels, socket } = JSON.parse(
    (await grebe([...plan, '-j'], { cwd: folder })).stdout,
  );
  assert.equal(schema, 'grebe.plan/1');
  assert.equal(socket, '/run/grebe/grebe.sock');
  const ends = { mode: 'gre', local: 'any', remote: '192.0.2.2' };
  const inner = { mtu: 1400, address: ['10.9.0.1/24'], routes: [] };
  assert.deepEqual(tunnels, [{ name: 'gre1', ...ends, ...inner }]);
});
