// /metrics of routers that carry traffic: the same numbers as the status, and as what was sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import { assertAnswered, lacking, withLab } from '../support/lab.js';
import {
  OPENMETRICS,
  parseOpenMetrics,
  promtool,
  samplesOf,
  scrape,
  withoutParser,
  withoutPromtool,
} from '../support/metrics.js';
import { PEER, plainGre, TUNNEL } from '../support/traffic.js';

const skip = lacking('ping') || withoutPromtool || withoutParser;

async function pageOf({ socket }: RouterProcess): Promise<Map<string, number>> {
  const { body } = await scrape({ socketPath: socket });
  return samplesOf(body);
}

test('a router under traffic tells what its status tells, and promtool and a parser take it', {
  skip,
}, async () => {
  await withLab('metrics', { tunnels: plainGre, router: 'lanes = 2', ipv6: false }, async (lab) => {
    const { namespaces, rA, a } = lab;
    await assertAnswered(namespaces, rA, PEER);
    const samples = await pageOf(a);
    const { tunnels, received } = await readStatus(a);
    const [tunnel] = tunnels;
    assert.ok(tunnel);
    const of = (name: string): number | undefined => samples.get(`${name}{tunnel="${TUNNEL}"}`);
    assert.deepEqual(
      {
        rx: {
          packets: of('grebe_tunnel_receive_packets_total'),
          bytes: of('grebe_tunnel_receive_bytes_total'),
        },
        tx: {
          packets: of('grebe_tunnel_transmit_packets_total'),
          bytes: of('grebe_tunnel_transmit_bytes_total'),
        },
        mtu: of('grebe_tunnel_mtu_bytes'),
        lastReceivedMs: Math.round((of('grebe_tunnel_last_receive_timestamp_seconds') ?? 0) * 1000),
        queueDrops: of('grebe_tunnel_queue_drops_total'),
        up: of('grebe_tunnel_up'),
      },
      {
        ...{ rx: tunnel.rx, tx: tunnel.tx, mtu: tunnel.mtu },
        ...{ lastReceivedMs: tunnel.lastReceivedMs, queueDrops: 0, up: 1 },
      },
    );
    for (const [direction, count] of [
      ['transmit', received.device],
      ['receive', received.underlay],
    ] as const) {
      assert.equal(samples.get(`grebe_batch_packets_sum{direction="${direction}"}`), count);
      const batches = samples.get(`grebe_batch_packets_count{direction="${direction}"}`) ?? 0;
      assert.ok(batches > 0 && batches <= count, `${batches} batches of ${count} packets`);
    }
    for (const lane of [0, 1]) assert.equal(samples.get(`grebe_lane_up{lane="${lane}"}`), 1);
    assert.equal(samples.get('grebe_kernel_drops_total{reason="raw-socket"}'), 0);
    const text = await scrape({ socketPath: a.socket });
    assert.equal(promtool(['check', 'metrics'], text.body), '');
    const open = await scrape({ socketPath: a.socket }, { headers: OPENMETRICS });
    const families = parseOpenMetrics(open.body);
    const [, , info] = families.find(([name]) => name === 'grebe_tunnel_info') ?? [];
    assert.deepEqual(info?.[0]?.[1], {
      ...{ tunnel: TUNNEL, mode: 'gre', local: '192.0.2.1', remote: '192.0.2.2' },
    });
  });
});
