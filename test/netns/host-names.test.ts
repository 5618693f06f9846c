// Remotes that are host names, which stand for nothing at first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pingFrom } from '../../src/demo/host-process.js';
import { startRouter } from '../../src/demo/router-process.js';
import { createHostsFile } from '../support/hosts-file.js';
import {
  assertAnswered,
  eventually,
  lacking,
  OUTER,
  tunnelStatus,
  tunnelTable,
  withWire,
} from '../support/lab.js';

/** Questions for a name without an address are asked after 1, 2, 4 and 8 s. */
const LIMIT_MS = 20_000;

const PEER = tunnelTable('gre1', 'B', 'mode = "gre"', 'address = ["10.9.0.2/24"]');

test('a router starts without the address of a peer, says so, and goes on once it is there', {
  skip: lacking(),
}, async () => {
  await withWire('names', { ipv6: false }, async ({ namespaces, rA, rB }) => {
    const hosts = createHostsFile(namespaces, 'rA');
    const tunnels = [
      ...['[tunnel.gre1]', 'mode = "gre"', `local = "${OUTER.A}"`, 'remote = "peer.test"'],
      ...['address = ["10.9.0.1/24"]', ''],
    ];
    const a = await startRouter(namespaces, rA, tunnels.join('\n'), '', hosts.before);
    await startRouter(namespaces, rB, PEER);

    const before = await tunnelStatus(a, 'gre1');
    assert.equal(before.state, 'down');
    assert.equal(before.remote, 'peer.test');
    assert.match(before.downReason ?? '', /^cannot resolve peer\.test: /);
    assert.equal((await pingFrom(namespaces, rA, '10.9.0.2', 1, 56)).received, 0);
    assert.deepEqual((await tunnelStatus(a, 'gre1')).drops, { 'tunnel-down': 1 });

    hosts.write({ 'peer.test': OUTER.B });
    const isUp = async () => (await tunnelStatus(a, 'gre1')).state === 'up';
    assert.ok(await eventually(isUp, LIMIT_MS), a.messages());
    await assertAnswered(namespaces, rA, '10.9.0.2');
    const after = await tunnelStatus(a, 'gre1');
    assert.deepEqual([after.remote, after.remoteAddress], ['peer.test', OUTER.B]);
    assert.equal(after.downReason, undefined);
    assert.deepEqual([after.rx.packets, after.drops], [3, { 'tunnel-down': 1 }]);
  });
});

test('a peer among several that has no address keeps nobody from the others', {
  skip: lacking(),
}, async () => {
  await withWire('names', { ipv6: false }, async ({ namespaces, rA, rB }) => {
    const hosts = createHostsFile(namespaces, 'rA');
    const tunnels = [
      ...['[tunnel.hub]', 'mode = "gre"', `local = "${OUTER.A}"`, 'remote = "any"'],
      'address = ["10.9.0.1/24"]',
      'peers = [',
      '  { remote = "far.test", routes = ["10.9.0.3/32"] },',
      `  { remote = "${OUTER.B}", routes = ["10.9.0.2/32"] },`,
      ...[']', ''],
    ];
    const a = await startRouter(namespaces, rA, tunnels.join('\n'), '', hosts.before);
    await startRouter(namespaces, rB, PEER);
    await assertAnswered(namespaces, rA, '10.9.0.2');
    assert.equal((await pingFrom(namespaces, rA, '10.9.0.3', 1, 56)).received, 0);
    const { state, peers = [] } = await tunnelStatus(a, 'hub');
    assert.equal(state, 'up');
    assert.deepEqual(
      peers.map(({ remote, rx, drops }) => [remote, rx.packets, drops]),
      [
        ['far.test', 0, { 'tunnel-down': 1 }],
        [OUTER.B, 3, {}],
      ],
    );
    assert.match(peers[0]?.downReason ?? '', /^cannot resolve far\.test: /);
  });
});
