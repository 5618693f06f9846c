// What /metrics says of a router, in both formats, judged by readers that are not ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMetrics } from '../../src/control/metrics.js';
import { CONTENT_TYPES, chooseFormat } from '../../src/control/metrics-format.js';
import { MetricsPage } from '../../src/control/metrics-page.js';
import { REASON } from '../../src/packet/reason.js';
import type { RouterMetrics } from '../../src/router/contract.js';
import {
  parseOpenMetrics,
  promtool,
  samplesOf,
  withoutParser,
  withoutPromtool,
} from '../support/metrics.js';
import { createRouter, metricsOf, STATUS } from './router.js';

const METRICS: RouterMetrics = {
  ...metricsOf(STATUS),
  tunnels: metricsOf(STATUS).tunnels.map((tunnel) => ({
    ...tunnel,
    encapDrops: { 'too-big': 3 },
    keyIn: 0,
    keyOut: 4294967295,
  })),
};

test('every counter and every property of a router has its sample', async () => {
  const samples = samplesOf(await formatMetrics(METRICS, 'prometheus'));
  const expected: Record<string, number> = {
    'grebe_codec_info{codec="simd"}': 1,
    'grebe_underlay_info{underlay="raw"}': 1,
    grebe_config_last_reload_successful: 1,
    grebe_config_last_reload_success_timestamp_seconds: 1_700_000_000,
    'grebe_lane_up{lane="0"}': 1,
    grebe_device_receive_packets_total: 3,
    grebe_underlay_receive_packets_total: 21,
    'grebe_drops_total{reason="no-tunnel"}': 5,
    'grebe_drops_total{reason="ecn"}': 0,
    'grebe_kernel_drops_total{reason="raw-socket"}': 12,
    'grebe_kernel_drops_total{reason="xdp-ring-full"}': 0,
    'grebe_tunnel_receive_packets_total{tunnel="gre1"}': 4,
    'grebe_tunnel_receive_bytes_total{tunnel="gre1"}': 336,
    'grebe_tunnel_transmit_packets_total{tunnel="gre1"}': 3,
    'grebe_tunnel_transmit_bytes_total{tunnel="gre1"}': 1_500_000,
    'grebe_tunnel_drops_total{tunnel="gre1",direction="receive",reason="gre-checksum"}': 2,
    'grebe_tunnel_drops_total{tunnel="gre1",direction="receive",reason="inner-ttl"}': 10,
    'grebe_tunnel_drops_total{tunnel="gre1",direction="transmit",reason="too-big"}': 3,
    'grebe_tunnel_queue_drops_total{tunnel="gre1"}': 7,
    'grebe_tunnel_up{tunnel="gre1"}': 1,
    'grebe_tunnel_up{tunnel="sit1"}': 0,
    'grebe_tunnel_mtu_bytes{tunnel="gre1"}': 1476,
    'grebe_tunnel_last_receive_timestamp_seconds{tunnel="gre1"}': 1_700_000_000,
    'grebe_tunnel_last_receive_timestamp_seconds{tunnel="sit1"}': 0,
    'grebe_tunnel_path_mtu_bytes{tunnel="gre1"}': 1300,
    'grebe_tunnel_local_packets_total{tunnel="gre1"}': 9,
    'grebe_tunnel_last_heard_timestamp_seconds{tunnel="gre1"}': 1_699_999_999,
    'grebe_tunnel_last_heard_timestamp_seconds{tunnel="sit1"}': 0,
    'grebe_tunnel_liveness_up{tunnel="sit1",means="keepalive"}': 1,
    'grebe_tunnel_liveness_up{tunnel="sit1",means="probe"}': 0,
    'grebe_tunnel_liveness_unanswered_questions{tunnel="sit1",means="keepalive"}': 1,
    'grebe_tunnel_liveness_changes_total{tunnel="sit1",means="keepalive"}': 2,
    'grebe_tunnel_liveness_changes_total{tunnel="sit1",means="probe"}': 3,
    grebe_icmp_errors_total: 5,
    grebe_icmp_errors_suppressed_total: 1,
    grebe_icmp_answers_total: 8,
    grebe_icmp_answers_suppressed_total: 2,
    grebe_generated_packets_total: 6,
    'grebe_tunnel_info{tunnel="gre1",mode="gre",local="192.0.2.1",remote="192.0.2.2",ikey="0",okey="4294967295"}': 1,
  };
  for (const [series, value] of Object.entries(expected)) {
    assert.equal(samples.get(series), value, series);
  }
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes']) {
    assert.ok((samples.get(name) ?? 0) > 0, name);
  }
  const startedMs = (samples.get('process_start_time_seconds') ?? 0) * 1000;
  assert.ok(Math.abs(startedMs - performance.timeOrigin) < 1);
  const unclaimed = [...samples.keys()].filter((series) => series.startsWith('grebe_drops_total{'));
  assert.equal(unclaimed.length, Object.keys(REASON).length);
  assert.ok(!samples.has('grebe_tunnel_queue_drops_total{tunnel="sit1"}'), 'it was not told');
  assert.ok(!samples.has('grebe_tunnel_path_mtu_bytes{tunnel="sit1"}'), 'nothing was found');
  assert.ok(
    ![...samples.keys()].some((series) => /_liveness_.*tunnel="gre1"/.test(series)),
    'not asked',
  );
});

test('batches are a histogram: counts grow with the bound, and the last is all of them', async () => {
  const samples = samplesOf(await formatMetrics(METRICS, 'prometheus'));
  const bucket = (le: string): number | undefined =>
    samples.get(`grebe_batch_packets_bucket{direction="receive",le="${le}"}`);
  assert.deepEqual(
    ['1', '2', '4', '8', '16', '32', '64', '+Inf'].map(bucket),
    [2, 2, 3, 4, 4, 4, 4, 4],
  );
  assert.equal(samples.get('grebe_batch_packets_count{direction="receive"}'), 4);
  assert.equal(samples.get('grebe_batch_packets_sum{direction="receive"}'), 21);
  assert.equal(samples.get('grebe_batch_packets_sum{direction="transmit"}'), 3);
});

test('a lane that does not answer is down, and no sum without it looks like a restart', async () => {
  const page = await formatMetrics({ ...METRICS, lanesAnswering: [true, false] }, 'prometheus');
  const samples = samplesOf(page);
  assert.equal(samples.get('grebe_lane_up{lane="0"}'), 1);
  assert.equal(samples.get('grebe_lane_up{lane="1"}'), 0);
  assert.doesNotMatch(page, /^grebe_kernel_drops_total\{/m);
});

test('what is odd in a label stays in the label', async () => {
  const codec = './a "b"\\c\nd.wasm';
  for (const format of ['prometheus', 'openmetrics'] as const) {
    const page = await formatMetrics({ ...METRICS, codec }, format);
    assert.ok(page.includes('grebe_codec_info{codec="./a \\"b\\"\\\\c\\nd.wasm"} 1\n'));
  }
});

test('promtool finds nothing to say about it', { skip: withoutPromtool }, async () => {
  assert.equal(promtool(['check', 'metrics'], await formatMetrics(METRICS, 'prometheus')), '');
});

test('a strict OpenMetrics parser reads the same numbers', { skip: withoutParser }, async () => {
  const page = await formatMetrics(METRICS, 'openmetrics');
  assert.ok(page.endsWith('\n# EOF\n'));
  const families = new Map(parseOpenMetrics(page).map((family) => [family[0], family]));
  assert.equal(families.get('grebe_tunnel_drops')?.[1], 'counter');
  assert.equal(families.get('grebe_batch_packets')?.[1], 'histogram');
  const drops = families.get('grebe_tunnel_drops')?.[2];
  assert.deepEqual(drops?.[0], [
    'grebe_tunnel_drops_total',
    { tunnel: 'gre1', direction: 'receive', reason: 'gre-checksum' },
    2,
  ]);
  const text = samplesOf(await formatMetrics(METRICS, 'prometheus'));
  const isSteady = (name: string): boolean => !name.startsWith('process_');
  const steady = [...text].filter(([series]) => isSteady(series)).map(([, value]) => value);
  const read = [...families.values()].filter(([name]) => isSteady(name));
  assert.deepEqual(
    read.flatMap(([, , samples]) => samples.map(([, , value]) => value)),
    steady,
  );
});

test('the Accept header chooses the format, and nobody gets one that was not asked for', () => {
  const openmetrics = [
    'application/openmetrics-text',
    'application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=0.1',
    // Prometheus 2.42 and 3.
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
    'Application/OpenMetrics-Text; Version="1.0.0"',
  ];
  const prometheus = [
    undefined,
    '',
    '*/*',
    'text/html,application/xhtml+xml,*/*;q=0.8',
    'text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.3',
    'application/openmetrics-text;q=0,*/*',
    'application/openmetrics-text;version=9.0.0',
    'application/openmetrics-text;q=nonsense',
    'application/openmetrics-text-not',
  ];
  for (const accept of openmetrics) assert.equal(chooseFormat(accept), 'openmetrics', accept);
  for (const accept of prometheus) assert.equal(chooseFormat(accept), 'prometheus', accept);
  assert.match(CONTENT_TYPES.openmetrics, /version=1\.0\.0/);
});

test('those who ask while a page is made share it, and the next gets a new one', async () => {
  let readings = 0;
  const router = createRouter();
  const counting = {
    ...router,
    metrics: async () => {
      readings++;
      return router.metrics();
    },
  };
  const page = new MetricsPage();
  const texts = await Promise.all(
    Array.from({ length: 50 }, () => page.text(counting, 'prometheus')),
  );
  assert.equal(new Set(texts).size, 1);
  assert.equal(readings, 1);
  await page.text(counting, 'prometheus');
  assert.equal(readings, 2);
});

test('a page that could not be made is an error to those who asked, and not to the next', async () => {
  const router = createRouter();
  let isBroken = true;
  const mending = {
    ...router,
    metrics: async () => {
      if (isBroken) throw new Error('broken');
      return router.metrics();
    },
  };
  const page = new MetricsPage();
  await assert.rejects(page.text(mending, 'prometheus'), /broken/);
  isBroken = false;
  assert.match(await page.text(mending, 'prometheus'), /grebe_tunnel_up/);
});
