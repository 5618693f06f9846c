// grebe trace against real traffic: what it shows, and that the traffic does not notice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followText } from '../../src/control/client.js';
import { pingFrom } from '../../src/demo/host-process.js';
import { EventReader } from '../../src/view/event-reader.js';
import { type Running, said, startGrebe } from '../cli/grebe.js';
import {
  ANSWERED,
  assertAnswered,
  dropsOf,
  eventually,
  grebe,
  type Lab,
  lacking,
  OUTER,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';

const GRE = 47;
const KEY = 7;

const tunnels = (side: Side): string =>
  tunnelTable(
    'gre1',
    side,
    'mode = "gre"',
    `key = ${KEY}`,
    `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`,
  );

const ECHO = ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 });
const WRONG_KEY = ipv4({
  source: OUTER.A,
  destination: OUTER.B,
  protocol: GRE,
  identification: 1,
  payload: gre({ key: 8, payload: ECHO }),
});

/** Starts a trace of router B that has begun. */
async function startTrace({ b }: Lab, ...words: string[]): Promise<Running> {
  const running = startGrebe(['trace', '--socket', b.socket, ...words]);
  await said(running, /tracing/);
  return running;
}

/** Whether a trace is open: a second one is refused then. */
async function isTracing(socket: string): Promise<boolean> {
  const second = startGrebe(['trace', '--socket', socket, '-n', '1']);
  const isRefused = await eventually(() => second.stderr() !== '');
  second.child.kill('SIGINT');
  await second.ended;
  return isRefused && /traced already/.test(second.stderr());
}

test('pings through a tunnel are shown both ways, and counted as without a trace', {
  skip: lacking(),
}, async () => {
  await withLab('trace', { tunnels, ipv6: false }, async (lab) => {
    const { namespaces, rA, b } = lab;
    const running = await startTrace(lab, 'gre1', '-n', String(ANSWERED * 2));
    await assertAnswered(namespaces, rA, '10.9.0.2');
    assert.equal(await running.ended, 0);
    const shown = running.stdout();
    assert.equal(shown.match(/forwarded: it comes out of gre1/g)?.length, ANSWERED);
    assert.equal(shown.match(/forwarded: sent by gre1/g)?.length, ANSWERED);
    assert.match(shown, /✓ outer header {5}IPv4, 192\.0\.2\.1 -> 192\.0\.2\.2, protocol 47, whole/);
    assert.match(shown, /✓ source {11}10\.9\.0\.1 allowed by 10\.9\.0\.0\/24/);
    assert.match(running.stderr(), /6 packets, 0 dropped/);
    const { rx, tx } = await tunnelStatus(b, 'gre1');
    assert.deepEqual([rx.packets, tx.packets], [ANSWERED, ANSWERED]);
    assert.deepEqual(await dropsOf(b), {});
  });
});

test('a wrong key shows as no-tunnel with the tunnel that has another', {
  skip: lacking(),
}, async () => {
  await withLab('tracekey', { tunnels, ipv6: false }, async (lab) => {
    const { namespaces, rA, b } = lab;
    const running = await startTrace(lab, '--drops');
    await assertAnswered(namespaces, rA, '10.9.0.2');
    injectPackets(namespaces, rA, [WRONG_KEY]);
    assert.ok(await eventually(() => /dropped: no-tunnel\n.*\n/.test(running.stdout())));
    running.child.kill('SIGINT');
    assert.equal(await running.ended, 0);
    assert.match(running.stdout(), /nearest: gre1: key 8, expected 7/);
    assert.match(running.stderr(), /1 packets, 1 dropped/);

    const json = await startTrace(lab, '-j', '--drops', '-n', '1');
    injectPackets(namespaces, rA, [WRONG_KEY]);
    assert.equal(await json.ended, 0);
    const { schema, direction, verdict, reason, nearest, bytes } = JSON.parse(json.stdout());
    assert.deepEqual(
      { schema, direction, verdict, reason, nearest },
      {
        schema: 'grebe.trace/1',
        direction: 'decap',
        verdict: 'drop',
        reason: 'no-tunnel',
        nearest: { tunnel: 'gre1', differs: [{ field: 'key', packet: 8, expected: 7 }] },
      },
    );
    assert.equal(bytes.slice(-80), Buffer.from(WRONG_KEY).toString('hex').slice(-80));
    const explained = await grebe('explain', '--config', b.config, '--hex', bytes, '-j');
    assert.equal(JSON.parse(explained).reason, 'no-tunnel');
    assert.deepEqual(await dropsOf(b), { 'no-tunnel': 2 });
  });
});

test('a client that is killed, or takes nothing any more, ends the trace; traffic goes on', {
  skip: lacking(),
}, async () => {
  await withLab('tracekill', { tunnels, ipv6: false }, async (lab) => {
    const { namespaces, rA, b } = lab;
    const killed = await startTrace(lab);
    killed.child.kill('SIGKILL');
    await killed.ended;
    assert.ok(await eventually(async () => !(await isTracing(b.socket))), 'it ended when killed');

    const stalled = await startTrace(lab, '--rate', '10000');
    stalled.child.kill('SIGSTOP');
    const flood = 3000;
    const { sent, received } = await pingFrom(namespaces, rA, '10.9.0.2', flood, 56);
    assert.equal(received, sent);
    assert.ok(await eventually(async () => !(await isTracing(b.socket)), 8000), 'stalled');
    stalled.child.kill('SIGKILL');
    await stalled.ended;
    const { rx, tx } = await tunnelStatus(b, 'gre1');
    assert.deepEqual([rx.packets, tx.packets], [flood, flood]);
    assert.deepEqual(await dropsOf(b), {});
  });
});

test('without a router a trace ends with 69, and with 66 for a tunnel that is not there', {
  skip: lacking(),
}, async () => {
  const none = startGrebe(['trace', '--socket', '/tmp/no-grebe-is-here.sock']);
  assert.equal(await none.ended, 69);
  await withLab('tracenone', { tunnels, ipv6: false }, async ({ b }) => {
    const unknown = startGrebe(['trace', 'gre9', '--socket', b.socket]);
    assert.equal(await unknown.ended, 66);
    assert.match(unknown.stderr(), /no tunnel "gre9"\n {2}tunnels: gre1/);
    const usage = startGrebe(['trace', '-n', 'x', '--socket', b.socket]);
    assert.equal(await usage.ended, 64);
  });
});

test('a trace takes over from those who watch drops, and they go on when it ends', {
  skip: lacking(),
}, async () => {
  await withLab('tracewatch', { tunnels, ipv6: false }, async (lab) => {
    const { namespaces, rA, b } = lab;
    const ending = new AbortController();
    const reader = new EventReader();
    const told: string[] = [];
    const watching = followText(b.socket, '/v1/events?packets=1', ending.signal, (piece) => {
      for (const { kind, data } of reader.read(piece)) {
        if (kind === 'packets') told.push(data.isShown ? 'shown' : 'not shown');
        if (kind === 'packet') told.push(`${data.reason} ${data.nearest?.tunnel}`);
      }
    });
    assert.ok(await eventually(() => told.length === 1));
    injectPackets(namespaces, rA, [WRONG_KEY]);
    assert.ok(await eventually(() => told.length === 2));
    const running = await startTrace(lab, '--drops', '-n', '1');
    assert.ok(await eventually(() => told.length === 3));
    injectPackets(namespaces, rA, [WRONG_KEY]);
    assert.equal(await running.ended, 0);
    assert.match(running.stdout(), /dropped: no-tunnel/);
    assert.ok(await eventually(() => told.length === 4));
    injectPackets(namespaces, rA, [WRONG_KEY]);
    assert.ok(await eventually(() => told.length === 5));
    assert.deepEqual(told, [
      ...['shown', 'no-tunnel gre1', 'not shown', 'shown', 'no-tunnel gre1'],
    ]);
    ending.abort();
    await watching;
    assert.deepEqual(await dropsOf(b), { 'no-tunnel': 3 });
  });
});
