import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { grebe, PROGRAM } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-import-'));
after(() => rmSync(folder, { recursive: true }));

const LINE = 'ip tunnel add gre1 mode gre local 192.0.2.1 remote 192.0.2.2 key 42 ttl 64';

test('import prints a config that check takes, and -j the same with its notes', async () => {
  const { code, stdout, stderr } = await grebe([
    'import',
    LINE,
    'ip addr add 10.9.0.1/24 dev gre1',
  ]);
  assert.deepEqual([code, stderr], [0, '']);
  writeFileSync(join(folder, 'made.toml'), stdout);
  const checked = await grebe(['check', 'made.toml'], { cwd: folder });
  assert.equal(checked.stdout, 'made.toml: ok, 1 tunnel\n');
  const json = JSON.parse((await grebe(['import', '-j', `${LINE} fwmark 1`])).stdout);
  assert.equal(json.schema, 'grebe.import/1');
  assert.deepEqual([json.tunnels, json.lost], [['gre1'], []]);
  assert.deepEqual(json.notes, [
    { line: 1, words: 'fwmark 1', why: 'grebe sets no marks on outer packets', tunnel: 'gre1' },
  ]);
});

test('lines come as words, from a file and from standard input too', async () => {
  const { stdout } = await grebe(['import', LINE]);
  assert.equal((await grebe(['import', ...LINE.split(' ')])).stdout, stdout);
  writeFileSync(join(folder, 'lines.sh'), `#!/bin/sh\n${LINE}\n`);
  assert.equal((await grebe(['import', 'lines.sh'], { cwd: folder })).stdout, stdout);
  for (const words of [['import'], ['import', '-']]) {
    const piped = spawnSync(process.execPath, [PROGRAM, ...words], {
      input: LINE,
      encoding: 'utf8',
    });
    assert.equal(piped.stdout, stdout);
  }
});

test('what is lost is said on stderr and ends with 1, what ip would refuse with 64, nothing with 66', async () => {
  const gue = 'ip link add gue1 type gre remote 192.0.2.3 encap gue encap-dport 6080';
  const lost = await grebe(['import', LINE, gue]);
  assert.equal(lost.code, 1);
  assert.match(lost.stdout, /^\[tunnel\.gre1\]$/m);
  assert.match(lost.stderr, /^lost {2}line 2: gue1 is not carried over: encap gue: /);
  const refused = await grebe([
    'import',
    LINE,
    'ip tunnel add x mode gre ttl 300',
    'ip tunnel add y',
  ]);
  assert.deepEqual([refused.code, refused.stdout], [64, '']);
  assert.match(refused.stderr, /^grebe: import: line 2: a TTL .*\n {2}line 3: y has no mode/);
  for (const words of [
    ['import', 'none.sh'],
    ['import', 'ip route show'],
  ]) {
    const none = await grebe(words, { cwd: folder });
    assert.deepEqual([none.code, none.stdout], [66, ''], words.join(' '));
  }
});

test('--from-kernel reads the tunnels of this machine', async () => {
  const { code, stdout, stderr } = await grebe(['import', '--from-kernel']);
  // Most machines that run this have none.
  if (code === 66) assert.match(stderr, /the kernel of this machine has no tunnel devices/);
  else assert.match(stdout, /^\[tunnel\./m, stderr);
  assert.equal((await grebe(['import', '--from-kernel', LINE])).code, 64);
});
