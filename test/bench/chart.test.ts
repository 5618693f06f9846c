import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawChart } from '../../bench/path/chart.js';
import type { PathBenchResult, PathRow } from '../../bench/path/path-bench.js';
import { assertWellFormed } from './svg.js';

const spread = (median: number, low = median, high = median) => ({ median, low, high });
const row = (name: string, figures: PathRow['figures'], offloads: 'off' | 'on' = 'off') => ({
  ...{ name, offloads, figures },
  tunnels: 1,
});

const RESULT: PathBenchResult = {
  schema: 'grebe.bench-path/2',
  machine: { cpu: 'A & B <1>', cores: 2, kernel: '6.18', node: '20.20', commit: 'abc' },
  startedAt: '2026-01-01T00:00:00.000Z',
  tookSeconds: 1,
  otherLoad: 0,
  rounds: 3,
  seconds: { tcp: 2, udp: 1, idle: 1, search: 0.4 },
  congestion: 'cubic',
  traffic: { tcp: 'iperf3', load: 'load.c' },
  rows: [
    row('vxlan', { tcpGbits: spread(6, 5, 7) }),
    row('raw-simd', { tcpGbits: spread(3), udp64Kpps: spread(150) }),
    row('vxlan', { tcpGbits: spread(20) }, 'on'),
    { ...row('xdp-simd', {}), skipped: 'no effect' },
  ],
  targets: [],
};

test('the chart has one bar for each figure without offloads, and is well formed', () => {
  const svg = drawChart(RESULT);
  assertWellFormed(svg);
  const bars = [...svg.matchAll(/<rect class="(grebe|other)" x="140" .*?width="([\d.]+)"/g)];
  const [vxlan, tcp, udp] = bars.map(([, kind, width]) => [kind, Number(width)] as const);
  assert.equal(bars.length, 3);
  assert.deepEqual([vxlan?.[0], tcp?.[0], udp?.[0]], ['other', 'grebe', 'grebe']);
  assert.equal(vxlan?.[1], 2 * (tcp?.[1] ?? 0));
  assert.match(svg, />A &amp; B &lt;1&gt;, 2 cores/);
  assert.doesNotMatch(svg, />xdp-simd</);
});

test('a chart of nothing is still a picture', () => {
  assertWellFormed(drawChart({ ...RESULT, rows: [] }));
});
