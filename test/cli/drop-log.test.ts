import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { DropLog, PERIOD_MS } from '../../src/cli/drop-log.js';
import type { Drops, RouterStatus, TunnelStatus } from '../../src/router/contract.js';
import { STATUS } from '../control/router.js';

/** A log that keeps its lines, on a clock that goes on by a period with every look. */
class Kept {
  readonly lines: { level: number; msg: string; count: number; tunnel?: string }[] = [];
  readonly #drops: DropLog;
  #nowMs = 0;

  constructor() {
    const log = pino({}, { write: (line: string) => void this.lines.push(JSON.parse(line)) });
    this.#drops = new DropLog(log, 0);
  }

  /** Looks a period later, and returns what was said. */
  look(status: Pick<RouterStatus, 'tunnels' | 'drops'>, periods = 1): string[] {
    const before = this.lines.length;
    for (let period = 0; period < periods; period++) {
      this.#nowMs += PERIOD_MS;
      this.#drops.take(status, this.#nowMs);
    }
    return this.lines.slice(before).map(({ msg }) => msg);
  }
}

/** A tunnel named `name` with these drops. */
function tunnel(name: string, drops: Drops): TunnelStatus {
  const [any] = STATUS.tunnels;
  assert.ok(any);
  return { ...any, name, drops };
}

function status(own: Drops, drops: Drops = {}): Pick<RouterStatus, 'tunnels' | 'drops'> {
  return { tunnels: [tunnel('gre1', own)], drops };
}

test('drops have a line when they begin, with how many there were', () => {
  const kept = new Kept();
  assert.deepEqual(kept.look(status({})), []);
  assert.deepEqual(kept.look(status({ 'gre-checksum': 12_034 }, { 'no-tunnel': 1 })), [
    'gre1: 12034 gre-checksum drops in 10 s',
    'no tunnel: 1 no-tunnel drop in 10 s',
  ]);
  assert.deepEqual(
    kept.lines.map(({ level }) => level),
    [40, 30],
  );
  assert.deepEqual(kept.look(status({ 'gre-checksum': 12_034 }, { 'no-tunnel': 1 }), 50), []);
});

test('drops that go on have fewer and fewer lines, and none is left out of them', () => {
  const kept = new Kept();
  const at: number[] = [];
  for (let period = 1; period <= 360; period++) {
    if (kept.look(status({ ecn: period * 5 })).length > 0) at.push(period);
  }
  assert.ok(at.length < 14, `${at.length} lines in an hour`);
  assert.deepEqual(at.slice(0, 6), [1, 2, 4, 8, 16, 32]);
  const told = kept.lines.reduce((sum, { count }) => sum + count, 0);
  assert.equal(told, (at.at(-1) ?? 0) * 5);
  const seconds = /(\d+) ecn drops in (\d+) s/.exec(kept.lines[5]?.msg ?? '');
  assert.deepEqual(seconds?.slice(1), ['80', '160']);
});

test('drops that begin again after a while have a line at once', () => {
  const kept = new Kept();
  for (let period = 1; period <= 10; period++) kept.look(status({ ecn: period }));
  const quiet = status({ ecn: 10 });
  assert.deepEqual(kept.look(quiet, 100).length, 1, 'what was not told yet');
  assert.deepEqual(kept.look(status({ ecn: 11 })), ['gre1: 1 ecn drop in 10 s']);
});

test('of ten thousand tunnels that drop, a period has the worst and their sum', () => {
  const kept = new Kept();
  const tunnels = Array.from({ length: 10_000 }, (_, index) => {
    return tunnel(`t${index}`, { ecn: index + 1, 'inner-ttl': 0 });
  });
  const started = performance.now();
  const lines = kept.look({ tunnels, drops: {} });
  const ms = performance.now() - started;
  assert.equal(lines.length, 21);
  assert.equal(lines[0], 't9999: 10000 ecn drops in 10 s');
  assert.match(lines[20] ?? '', /^\d+ drops more, of 9980 tunnels: grebe status$/);
  const told = kept.lines.reduce((sum, { count }) => sum + count, 0);
  assert.equal(told, (10_000 * 10_001) / 2);
  assert.ok(ms < 500, `${ms} ms`);
});

test('counters that begin anew are those of another tunnel with that name', () => {
  const kept = new Kept();
  kept.look(status({ ecn: 100 }));
  assert.deepEqual(kept.look(status({ ecn: 3 })), ['gre1: 3 ecn drops in 10 s']);
});
