// /metrics of routers that carry traffic: the same numbers as the status, and as what was sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import {
  assertAnswered,
  eventually,
  lacking,
  OUTER,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import {
  OPENMETRICS,
  parseOpenMetrics,
  promtool,
  samplesOf,
  scrape,
  withoutParser,
  withoutPromtool,
} from '../support/metrics.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, internetChecksum, ipv4 } from '../support/packets.js';
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

/** What a router on the way says of a packet from A to `remote`: its path takes `mtu` bytes. */
function tooBig(remote: string, mtu: number): Uint8Array {
  const quoted = ipv4({
    ...{ source: OUTER.A, destination: remote, protocol: 47, fragment: 0x4000 },
    payload: gre({ payload: new Uint8Array(64) }),
  });
  const message = Buffer.concat([Buffer.of(3, 4, 0, 0, 0, 0, mtu >>> 8, mtu & 0xff), quoted]);
  message.writeUInt16BE(internetChecksum(message), 2);
  return ipv4({ source: OUTER.B, destination: OUTER.A, protocol: 1, payload: message });
}

test('a path that is found narrow, errors about nothing, and a peer that falls silent have their series', {
  skip,
}, async () => {
  const tunnels = (side: Side): string =>
    tunnelTable(
      'gre1',
      side,
      ...['mode = "gre"', `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`],
      'keepalive = { interval = "200ms", count = 3 }',
    );
  await withLab('series', { tunnels, ipv6: false }, async ({ namespaces, rB, a, b }) => {
    const of = async (series: string): Promise<number | undefined> => (await pageOf(a)).get(series);
    assert.equal(await of('grebe_tunnel_path_mtu_bytes{tunnel="gre1"}'), undefined);
    assert.equal(await of('grebe_tunnel_liveness_up{tunnel="gre1",means="keepalive"}'), 1);
    // Of a peer that started later the kernel has said so, maybe, when it was asked first.
    const before = (await of('grebe_icmp_errors_total')) ?? 0;
    injectPackets(namespaces, rB, [
      tooBig(OUTER.B, 1300),
      ...Array.from({ length: 4 }, () => tooBig('203.0.113.9', 1300)),
    ]);
    assert.ok(await eventually(async () => (await of('grebe_icmp_errors_total')) === before + 5));
    assert.equal(await of('grebe_tunnel_path_mtu_bytes{tunnel="gre1"}'), 1300 - 24);
    assert.equal(await of('grebe_drops_total{reason="icmp-no-tunnel"}'), 4);
    assert.equal(await of('grebe_icmp_errors_suppressed_total'), 0);
    injectPackets(namespaces, rB, new Array<Uint8Array>(40).fill(tooBig(OUTER.B, 1300)));
    assert.ok(await eventually(async () => (await of('grebe_icmp_errors_total')) === before + 45));
    assert.ok(((await of('grebe_icmp_errors_suppressed_total')) ?? 0) >= 20);

    const heard = (await of('grebe_tunnel_last_heard_timestamp_seconds{tunnel="gre1"}')) ?? 0;
    assert.ok(Math.abs(heard - Date.now() / 1000) < 30, String(heard));
    b.child.kill('SIGSTOP');
    try {
      const peer = '{tunnel="gre1",means="keepalive"}';
      assert.ok(
        await eventually(async () => (await of(`grebe_tunnel_liveness_up${peer}`)) === 0, 20_000),
      );
      assert.equal(await of(`grebe_tunnel_liveness_changes_total${peer}`), 1);
      assert.ok(((await of(`grebe_tunnel_liveness_unanswered_questions${peer}`)) ?? 0) >= 3);
      assert.equal(await of('grebe_tunnel_up{tunnel="gre1"}'), 0);
      const { liveness } = await tunnelStatus(a, 'gre1');
      const [asked] = liveness ?? [];
      assert.deepEqual(
        { ...asked, unanswered: 0 },
        { means: 'keepalive', state: 'down', unanswered: 0, changes: 1 },
      );
    } finally {
      b.child.kill('SIGCONT');
    }
    const page = await pageOf(a);
    assert.ok((page.get('grebe_tunnel_local_packets_total{tunnel="gre1"}') ?? 0) > 0);
    assert.ok((page.get('grebe_generated_packets_total') ?? 0) > 0);
    const text = await scrape({ socketPath: a.socket });
    assert.equal(promtool(['check', 'metrics'], text.body), '');
  });
});
