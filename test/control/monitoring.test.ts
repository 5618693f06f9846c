// docs/metrics: the alerts fire when they should, and nothing in it asks for a metric that is not there.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatMetrics } from '../../src/control/metrics.js';
import { promtool, samplesOf, withoutPromtool } from '../support/metrics.js';
import { metricsOf, STATUS } from './router.js';

const FOLDER = fileURLToPath(new URL('../../../docs/metrics/', import.meta.url));
const read = (name: string): string => readFileSync(`${FOLDER}${name}`, 'utf8');

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets: readonly { readonly expr: string }[];
}

const DASHBOARD: { readonly panels: readonly Panel[] } = JSON.parse(read('grafana.json'));
const EXPRESSIONS = DASHBOARD.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

/** Names of the metrics that a text mentions. */
function namesIn(text: string): string[] {
  return text.match(/\b(?:grebe|process)_[a-z_]+\b/g) ?? [];
}

test('the alerts are sound, and fire when something is wrong and only then', {
  skip: withoutPromtool,
}, () => {
  assert.equal(promtool(['check', 'rules', 'alerts.yml'], '', FOLDER), '');
  assert.equal(promtool(['test', 'rules', 'alerts.test.yml'], '', FOLDER), '');
});

test('every alert is in the test of the alerts', () => {
  const alerts = [...read('alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const tested = [...read('alerts.test.yml').matchAll(/alertname="(\w+)"/g)].map(
    ([, name]) => name,
  );
  assert.ok(alerts.length > 0);
  assert.deepEqual(tested, alerts);
});

test('alerts and dashboard ask for metrics that a router has', async () => {
  const page = await formatMetrics(metricsOf(STATUS), 'prometheus');
  const there = new Set([...samplesOf(page).keys()].map((series) => series.replace(/\{.*/, '')));
  for (const name of namesIn(`${read('alerts.yml')} ${EXPRESSIONS.join(' ')}`)) {
    assert.ok(there.has(name), name);
  }
});

test('every metric of a router is on the dashboard or in an alert', async () => {
  const page = await formatMetrics(metricsOf(STATUS), 'prometheus');
  const used = new Set(namesIn(`${read('alerts.yml')} ${EXPRESSIONS.join(' ')}`));
  const families = [...page.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type]) =>
    type === 'histogram' ? `${name}_bucket` : name,
  );
  const unused = families.filter((name) => !used.has(name));
  assert.deepEqual(unused, [
    'grebe_underlay_info',
    'grebe_config_last_reload_success_timestamp_seconds',
    'grebe_device_receive_packets_total',
    'grebe_underlay_receive_packets_total',
  ]);
});

test('every expression of the dashboard is PromQL', { skip: withoutPromtool }, () => {
  const rules = EXPRESSIONS.map((expr, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(instance|tunnel)/g, '.*'),
  }));
  const folder = mkdtempSync(join(tmpdir(), 'grebe-dashboard-'));
  try {
    const file = { groups: [{ name: 'dashboard', rules }] }; // JSON is YAML
    writeFileSync(join(folder, 'rules.yml'), JSON.stringify(file));
    assert.equal(promtool(['check', 'rules', 'rules.yml'], '', folder), '');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the panels of the dashboard do not overlap, and each has a number of its own', () => {
  const { panels } = DASHBOARD;
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const { title, gridPos: a } of panels) {
    assert.ok(a.x + a.w <= 24, title);
    const over = panels.filter(
      ({ title: other, gridPos: b }) =>
        other !== title && a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h,
    );
    assert.deepEqual(over, []);
  }
});
