import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { grebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-codec-'));
after(() => rmSync(folder, { recursive: true }));

test('the builds of this installation are listed without a router', async () => {
  const { code, stdout, stderr } = await grebe(['codec']);
  assert.equal(code, 0);
  assert.match(stderr, /no router is running/);
  for (const name of ['simd', 'scalar', 'js']) assert.match(stdout, new RegExp(` ${name} `));
  const json = JSON.parse((await grebe(['codec', 'list', '-jq'])).stdout);
  assert.equal(json.schema, 'grebe.codecs/1');
  assert.equal(json.live, null);
});

test('whoever names a router wants the list of that one', async () => {
  const { code } = await grebe(['codec', '--socket', join(folder, 'none.sock')]);
  assert.equal(code, 69);
});

test('every build of ours passes verify', async () => {
  for (const name of ['simd', 'scalar', 'js']) {
    const { code, stdout } = await grebe(['codec', 'verify', name]);
    assert.equal(code, 0);
    assert.match(stdout, /^\w+: ok/);
  }
});

test('a file that is no build is refused with the cause', async () => {
  const text = join(folder, 'text.wasm');
  writeFileSync(text, 'not wasm');
  const refused = await grebe(['codec', 'verify', 'text.wasm'], { cwd: folder });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /does not compile/);
  const json = await grebe(['codec', 'verify', 'text.wasm', '-j'], { cwd: folder });
  assert.equal(json.code, 1);
  const { schema, ok, error } = JSON.parse(json.stdout);
  assert.deepEqual([schema, ok], ['grebe.codec-verify/1', false]);
  assert.match(error, /text\.wasm is refused/);
  const missing = await grebe(['codec', 'verify', './none.wasm'], { cwd: folder });
  assert.equal(missing.code, 66);
});

test('use without a router ends with 69, and with --dry-run judges the build only', async () => {
  const socket = join(folder, 'none.sock');
  assert.equal((await grebe(['codec', 'use', 'scalar', '--socket', socket])).code, 69);
  const dry = await grebe(['codec', 'use', 'scalar', '--dry-run', '--socket', socket]);
  assert.equal(dry.code, 0);
  assert.match(dry.stdout, /it may go live/);
});
