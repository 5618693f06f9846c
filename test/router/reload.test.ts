// Reloads one after the other: their order, trials, and what is told of them. Nothing is changed but a list.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import type { Config } from '../../src/config/config.js';
import { loadConfigOrFail } from '../../src/config/load.js';
import { diffConfigs } from '../../src/router/diff.js';
import { Reloads } from '../../src/router/reload.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-reloads-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'grebe.toml');

function write(ttl: number): void {
  writeFileSync(
    file,
    `[tunnel.a]\nmode = "gre"\nremote = "192.0.2.2"\nttl = ${ttl}\nallow = ["any"]\n`,
  );
}

const ttlOf = ({ tunnels }: Config): unknown => tunnels[0]?.ttl;

/** `applied`: what was made the config, each by its TTL. */
function open({
  lastsMs = 0,
  fails = () => false,
}: {
  lastsMs?: number;
  fails?: (ttl: unknown) => boolean;
} = {}) {
  write(1);
  const applied: unknown[] = [];
  const told: string[] = [];
  const reloads = new Reloads({
    config: loadConfigOrFail(file),
    log: pino({ enabled: false }),
    diff: (before, wanted) => diffConfigs(before, wanted, { laneCount: 1, lost: new Set() }),
    apply: async (_before, wanted) => {
      await sleep(lastsMs);
      if (fails(ttlOf(wanted))) throw new Error('refused');
      applied.push(ttlOf(wanted));
    },
    onBegin: async () => void told.push('begin'),
    onEnd: async (config, isSuccessful) => void told.push(`${ttlOf(config)} ${isSuccessful}`),
  });
  return { reloads, applied, told };
}

test('requests to read the file that wait are one, and it is read when its turn comes', async () => {
  const { reloads, applied, told } = open({ lastsMs: 20 });
  write(2);
  const first = reloads.reload();
  await sleep(5);
  const others = [reloads.reload(), reloads.reload(), reloads.reload()];
  write(3);
  await Promise.all([first, ...others]);
  assert.deepEqual(applied, [2, 3]);
  assert.deepEqual(told, ['begin', '2 true', 'begin', '3 true']);
});

test('one that fails leaves the config, is told, and is in nobody else’s way', async () => {
  const { reloads, applied, told } = open({ fails: (ttl) => ttl === 2 });
  const startedMs = reloads.last.successMs;
  write(2);
  await assert.rejects(reloads.reload(), /refused/);
  assert.deepEqual(reloads.last, { isSuccessful: false, successMs: startedMs });
  assert.equal(ttlOf(reloads.config), 1);
  write(3);
  await reloads.reload();
  assert.equal(reloads.last.isSuccessful, true);
  assert.deepEqual([applied, told], [[3], ['begin', '1 false', 'begin', '3 true']]);
});

test('an edit that fails says nothing of the file', async () => {
  const { reloads } = open();
  const failing = reloads.reload(() => {
    throw new Error('no such word');
  });
  await assert.rejects(failing, /no such word/);
  assert.equal(reloads.last.isSuccessful, true);
});

test('trials in a row lead back to what was before the first, whatever else is changed meanwhile', async () => {
  const { reloads, applied } = open();
  write(2);
  await reloads.reload(undefined, { confirmMs: 200 });
  write(3);
  const { confirmUntilMs } = await reloads.reload(undefined, { confirmMs: 60 });
  assert.equal(reloads.trialUntilMs, confirmUntilMs);
  write(4);
  assert.deepEqual((await reloads.reload()).confirmUntilMs, confirmUntilMs);
  await reloads.reload((running) => running);
  await sleep(120);
  assert.deepEqual(applied, [2, 3, 4, 4, 1]);
  assert.throws(() => reloads.confirm(), /no reload waits/);
  assert.throws(() => reloads.trialUntilMs, /no reload waits/);
});

test('a reload that is under way when a trial ends does not confirm it', async () => {
  const { reloads, applied } = open({ lastsMs: 40 });
  write(2);
  await reloads.reload(undefined, { confirmMs: 20 });
  await reloads.reload();
  await sleep(120);
  assert.deepEqual(applied, [2, 2, 1]);
});

test('an undo ends a trial at once, and says before what it would do', async () => {
  const { reloads, applied } = open();
  assert.throws(() => reloads.wouldUndo(), /nothing to undo/);
  write(2);
  await reloads.reload(undefined, { confirmMs: 40 });
  const keys = [{ key: 'ttl', before: '2', after: '1' }];
  assert.deepEqual(reloads.wouldUndo().tunnels, [{ kind: 'change', name: 'a', keys }]);
  assert.deepEqual(applied, [2]);
  await reloads.undo();
  await sleep(80);
  assert.deepEqual(applied, [2, 1]);
});

test('a file that may be half written changes nothing', async () => {
  const { reloads, applied } = open();
  write(2);
  const whole = readFileSync(file, 'utf8');
  for (const part of ['', '# by hand\n', whole.trimEnd()]) {
    writeFileSync(file, part);
    await assert.rejects(reloads.reload(), /half written/);
    assert.throws(() => reloads.load(), /half written/);
  }
  assert.deepEqual(applied, []);
  writeFileSync(file, '[router]\n');
  await reloads.reload();
  assert.equal(reloads.config.tunnels.length, 0);
});

test('undo goes back and forth, and after the end nothing is begun', async () => {
  const { reloads, applied } = open();
  await assert.rejects(reloads.undo(), /nothing to undo/);
  write(2);
  await reloads.reload();
  await reloads.undo();
  await reloads.undo();
  assert.deepEqual(applied, [2, 1, 2]);
  await reloads.close();
  await assert.rejects(reloads.reload(), /the router is stopping/);
});
