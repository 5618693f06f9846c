// Odd pairs of ECN fields in the log: a line a tunnel and period, whatever number of packets had them.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { pino } from 'pino';
import { EcnCounts } from '../../src/ring/ecn-counts.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { EcnWatch } from '../../src/router/ecn-watch.js';
import { sharedState } from '../../src/tunnel/state.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const PERIOD_MS = 10_000;

function open(names: readonly (string | undefined)[]) {
  let current = names;
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const plan = planMemory(1);
  const memory = createMemory(plan);
  const states = sharedState(memory, plan.states);
  const lines: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const watch = new EcnWatch({
    names: () => current,
    counts: new EcnCounts(memory, plan.states),
    log,
  });
  /** The records are other tunnels', and what they counted is forgotten. */
  const rename = (next: readonly (string | undefined)[]): void => {
    current = next;
    for (let record = 1; record <= next.length; record++) {
      new TunnelTable(memory, plan).resetState(record);
    }
  };
  const note = (record: number, outer: number, inner: number, count = 1): void => {
    for (let n = 0; n < count; n++) states.of(PLAIN_GRE, record).noteEcn(outer, inner);
  };
  return { watch, note, rename, lines, pass: () => mock.timers.tick(PERIOD_MS) };
}

test('every ten seconds a line of each tunnel that had odd pairs says how many of which', (t) => {
  const { watch, note, lines, pass } = open(['gre1', 'gre2']);
  t.after(() => {
    watch.stop();
    mock.timers.reset();
  });
  watch.start();
  note(1, 1, 0, 12);
  note(2, 2, 1);
  note(2, 1, 3, 2);
  assert.equal(lines.length, 0);
  pass();
  assert.deepEqual(
    lines.map(({ event, tunnel, packets, msg }) => ({ event, tunnel, packets, msg })),
    [
      {
        ...{ event: 'ecn', tunnel: 'gre1', packets: 12 },
        msg: 'gre1: odd ECN in 10 s: 12 with outer ECT(1) / inner Not-ECT (RFC 6040, 4.2)',
      },
      {
        ...{ event: 'ecn', tunnel: 'gre2', packets: 3 },
        msg: 'gre2: odd ECN in 10 s: 2 with outer ECT(1) / inner CE, 1 with outer ECT(0) / inner ECT(1) (RFC 6040, 4.2)',
      },
    ],
  );
  pass();
  assert.equal(lines.length, 2, 'nothing new, nothing said');
  note(1, 2, 0);
  pass();
  assert.match(String(lines[2]?.msg), /^gre1: .* 1 with outer ECT\(0\) \/ inner Not-ECT/);
});

test('of many tunnels twenty have a line, the rest is one number', (t) => {
  const names = Array.from({ length: 1000 }, (_, index) => `t${index}`);
  const { watch, note, lines, pass } = open(names);
  t.after(() => {
    watch.stop();
    mock.timers.reset();
  });
  watch.start();
  for (const index of names.keys()) note(index + 1, 1, 0);
  pass();
  assert.equal(lines.length, 20);
  pass();
  assert.equal(lines.length, 21);
  assert.equal(lines[20]?.left, 980);
});

test('what was said once is not said again', (t) => {
  const { watch, note, lines, pass } = open(['gre1']);
  t.after(() => {
    watch.stop();
    mock.timers.reset();
  });
  note(1, 1, 0);
  watch.look();
  watch.start();
  pass();
  assert.equal(lines.length, 1);
});

test('a record that another tunnel has counts from nothing, and one that nobody has is left alone', (t) => {
  const { watch, note, rename, lines, pass } = open(['gre1', 'gre2']);
  t.after(() => {
    watch.stop();
    mock.timers.reset();
  });
  watch.start();
  note(1, 1, 0, 5);
  note(2, 1, 0, 5);
  pass();
  rename(['other', undefined]);
  note(1, 1, 0, 7);
  note(2, 1, 0, 7);
  pass();
  rename(['other', 'gre2']);
  note(1, 1, 0, 2);
  pass();
  assert.deepEqual(
    lines.map(({ tunnel, packets }) => [tunnel, packets]),
    [
      ['gre1', 5],
      ['gre2', 5],
      ['other', 7],
      ['other', 2],
    ],
  );
});
