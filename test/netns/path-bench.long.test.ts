import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Figure } from '../../bench/path/figures.js';
import { type PathBenchResult, runPathBench } from '../../bench/path/path-bench.js';
import { formatPathBench } from '../../bench/path/print.js';
import { builtinPaths } from '../../bench/peers/all.js';
import { commandPath } from '../../bench/peers/command.js';
import { compiled } from '../../bench/peers/compiled.js';
import { ip } from '../../src/demo/namespaces.js';
import { assertWellFormed } from '../bench/svg.js';
import { lacking } from '../support/lab.js';

const MAIN = fileURLToPath(new URL('../../bench/path/main.js', import.meta.url));
const unable = lacking('ethtool', 'ping');

test('the quick path bench writes its figures, its chart and every target', {
  skip: unable,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-path-bench-'));
  try {
    const file = join(folder, 'result.json');
    const words = ['--quick', '--rounds', '1', '--seconds', '1', '--only', 'veth,vxlan,raw-simd'];
    const run = spawnSync(process.execPath, [MAIN, ...words, '-j', '--output', file], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(run.status, 0, run.stderr);
    const result: PathBenchResult = JSON.parse(readFileSync(file, 'utf8'));
    assert.deepEqual(JSON.parse(run.stdout), result);
    assert.equal(result.schema, 'grebe.bench-path/2');
    assert.ok(result.machine.kernel && result.machine.node && result.machine.commit);
    for (const { figures, skipped, failures, ...row } of result.rows) {
      assert.deepEqual([skipped, failures], [undefined, undefined]);
      assertPositive(figures, ['tcpGbits', 'udp64Kpps'], row.name);
    }
    assert.deepEqual(
      result.rows.map((row) => row.name),
      ['veth', 'vxlan', 'raw-simd'],
    );
    const met = new Map(result.targets.map((target) => [target.name, target.met]));
    assert.equal(met.get('TCP 1 flow, raw-simd / c'), null);
    assert.equal(typeof met.get('TCP 1 flow, segments sent again, raw-simd'), 'boolean');
    const chart = readFileSync(join(folder, 'result.svg'), 'utf8');
    assertWellFormed(chart);
    for (const { name } of result.rows) assert.ok(chart.includes(`>${name}</text>`), name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

for (const name of ['c', 'ovs', 'fastd', 'wireguard-go', 'raw-socket']) {
  test(
    `the path ${name} carries what the bench sends`,
    {
      skip: unable || (missing(name) ?? false),
    },
    () => assertCarries(name),
  );
}

for (const name of ['raw-2-lanes', 'xdp-simd', 'gre-udp']) {
  test(`the path ${name} carries what the bench sends, or grebe says why it has no such thing`, {
    skip: unable,
  }, async () => {
    const reason = missing(name);
    if (reason === undefined) return assertCarries(name);
    const [row] = (await runPathBench({ quick: true, rounds: 1, only: [name] })).rows;
    assert.equal(row?.skipped, reason);
    assert.match(reason, /^grebe check: \[[EW]\d+\] .*(no effect|not supported)/);
  });
}

test('a router that dies is named with what it took along, and one that never ran is left out', {
  skip: unable || (missing('c') ?? false),
}, async () => {
  const daemon = [compiled('bench/peers/per-packet.c'), '{device}', '{local}', '{remote}'];
  const more = [
    commandPath('dying', ['timeout', '0.3', ...daemon]),
    commandPath('absent', ['false']),
  ];
  const only = ['dying', 'absent'];
  const result = await runPathBench({ quick: true, more, only, rounds: 1, measures: ['idle'] });
  const [dying, absent] = result.rows;
  assert.match(dying?.failures?.join() ?? '', /^idle: process \d+ has ended$/);
  assert.equal(dying?.skipped, undefined);
  assert.equal(absent?.skipped, 'false ended (exit 1): it said nothing');
  assert.match(formatPathBench(result), /\ndying: idle: .* has ended \(offloads off\)\nabsent: /);
});

function missing(name: string): string | undefined {
  return builtinPaths()
    .find((path) => path.name === name)
    ?.missing();
}

async function assertCarries(name: string): Promise<void> {
  const measures = ['idle', 'tcp', 'tcp-reverse', 'udp1400', 'latency', 'status'];
  const choice = { quick: true, only: [name], rounds: 1, seconds: 1, measures };
  const result = await runPathBench(choice);
  const [row] = result.rows;
  assert.ok(row);
  assert.deepEqual([row.skipped, row.failures], [undefined, undefined]);
  const figures: Figure[] = ['tcpGbits', 'tcpReverseGbits', 'udp1400Kpps', 'floodP50Ms'];
  assertPositive(row.figures, [...figures, 'readyMs', 'rssMegabytes'], name);
  assert.match(formatPathBench(result), new RegExp(`\\n${name} +\\d`));
  assert.doesNotMatch(ip('netns', 'list'), new RegExp(`grebe-path-\\S+-${process.pid}\\b`));
}

function assertPositive(
  figures: PathBenchResult['rows'][number]['figures'],
  names: readonly Figure[],
  row: string,
): void {
  for (const name of names) assert.ok((figures[name]?.median ?? 0) > 0, `${row}: ${name}`);
}
