import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePlan, type Plan } from '../../bench/path/plan.js';
import { builtinPaths } from '../../bench/peers/all.js';

const PATHS = builtinPaths();

function settingsOf(plan: Plan): string[] {
  return plan.cases.map(({ path, offloads, tunnels }) => `${path.name} ${offloads} ${tunnels}`);
}

test('the full plan has every path with offloads off, and once, late, ten thousand tunnels', () => {
  const plan = makePlan(PATHS, {});
  for (const { name } of PATHS) assert.ok(settingsOf(plan).includes(`${name} off 1`), name);
  const many = plan.cases.filter((each) => each.tunnels === 10_000);
  assert.deepEqual(
    many.map((each) => [each.path.name, each.once]),
    [
      ['raw-simd', true],
      ['xdp-simd', true],
    ],
  );
});

test('the quick plan is one setting of the paths that matter', () => {
  const plan = makePlan(PATHS, { quick: true });
  const expected = ['veth', 'vxlan', 'c', 'raw-simd', 'xdp-simd'].map((name) => `${name} off 1`);
  assert.deepEqual(settingsOf(plan), expected);
  for (const { measures } of plan.cases) assert.deepEqual(measures, ['tcp', 'udp64']);
});

test('paths, measures, rounds and seconds can be chosen', () => {
  const choice = { only: ['c'], measures: ['tcp', 'latency'], rounds: 1, seconds: 4 };
  const plan = makePlan(PATHS, choice);
  assert.deepEqual(settingsOf(plan), ['c off 1', 'c on 1']);
  assert.deepEqual(
    plan.cases.map((each) => each.measures),
    [['tcp', 'latency'], ['tcp']],
  );
  assert.deepEqual(plan.seconds, { tcp: 4, udp: 2, idle: 2, search: 0.8 });
  assert.equal(plan.rounds, 1);
});

test('a name that nothing has is an error that lists the names', () => {
  assert.throws(() => makePlan(PATHS, { only: ['vxlam'] }), /no path is named vxlam/);
  assert.throws(() => makePlan(PATHS, { measures: ['tpc'] }), /no measure is named tpc/);
});
