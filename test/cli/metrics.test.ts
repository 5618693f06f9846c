// /metrics of a router that is its own process, over memory: no rights are needed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  OPENMETRICS,
  parseOpenMetrics,
  promtool,
  samplesOf,
  scrape,
  withoutParser,
  withoutPromtool,
} from '../support/metrics.js';
import { freePort } from '../support/ports.js';
import { grebe, said, startGrebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-metrics-'));
after(() => rmSync(folder, { recursive: true }));
const socket = join(folder, 'grebe.sock');

function writeConfig(port: number): string {
  const config = join(folder, 'grebe.toml');
  const metrics = `metrics = "127.0.0.1:${port}"`;
  writeFileSync(config, `[router]\nunderlay = "memory"\nsocket = "grebe.sock"\n${metrics}\n`);
  return config;
}

test('a running router serves the same page on its socket and on its port, until it stops', {
  skip: withoutPromtool || withoutParser,
}, async () => {
  const port = await freePort();
  const running = startGrebe(['run', '--config', writeConfig(port)]);
  try {
    await said(running, /ready/);
    assert.doesNotMatch(running.stderr(), /W201|no effect/);
    const steady = (page: string): string => page.replaceAll(/^process_.*$/gm, '');
    const target = { host: '127.0.0.1', port };
    const page = await scrape(target);
    const same = await scrape({ socketPath: socket });
    assert.equal(page.status, 200);
    assert.equal(steady(same.body), steady(page.body));
    assert.equal(same.headers['content-type'], page.headers['content-type']);
    assert.equal(promtool(['check', 'metrics'], page.body), '');
    const open = await scrape({ socketPath: socket }, { headers: OPENMETRICS });
    assert.ok(parseOpenMetrics(open.body).length > 20);
    const start = samplesOf(page.body).get('process_start_time_seconds') ?? 0;
    assert.ok(Math.abs(Date.now() / 1000 - start) < 60);
    assert.equal((await scrape({ socketPath: socket }, { method: 'HEAD' })).body, '');
    running.child.kill('SIGTERM');
    assert.equal(await running.ended, 0);
    await assert.rejects(scrape(target), /ECONNREFUSED/);
  } finally {
    running.child.kill('SIGKILL');
    await running.ended;
  }
});

test('a port in use ends the start with 2 and the name of the error, and leaves no socket', async () => {
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const place = other.address();
  assert.ok(typeof place === 'object' && place !== null);
  try {
    const { code, stderr } = await grebe(['run', '--config', writeConfig(place.port)]);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${place.port} for metrics`));
    assert.match(stderr, /EADDRINUSE/);
    assert.ok(!existsSync(socket));
  } finally {
    other.close();
  }
});
