// Several tunnels over the same pair of addresses, and tunnels that take whoever comes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pingFrom } from '../../src/demo/host-process.js';
import {
  ANSWERED,
  assertAnswered,
  dropsOf,
  eventually,
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

test('tunnels of the same two addresses are told apart by key and by mode', {
  skip: lacking(),
}, async () => {
  const tunnels = (side: Side): string => {
    const ours = side === 'A' ? 1 : 2;
    const address = (net: number): string => `address = ["10.9.${net}.${ours}/24"]`;
    return [
      tunnelTable('plain', side, 'mode = "gre"', address(1)),
      tunnelTable('zero', side, 'mode = "gre"', 'key = 0', address(2)),
      tunnelTable('largest', side, 'mode = "gre"', 'key = 4294967295', address(3)),
      tunnelTable('ipip', side, 'mode = "ipip"', address(4)),
    ].join('\n');
  };
  await withLab('keys', { tunnels, ipv6: false }, async ({ namespaces, rA, a, b }) => {
    const names = ['plain', 'zero', 'largest', 'ipip'];
    for (const [index, name] of names.entries()) {
      await assertAnswered(namespaces, rA, `10.9.${index + 1}.2`);
      for (const router of [a, b]) {
        const { rx, tx } = await tunnelStatus(router, name);
        assert.deepEqual([rx.packets, tx.packets], [ANSWERED, ANSWERED], name);
      }
    }
    assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
  });
});

test('each direction has a key of its own', { skip: lacking() }, async () => {
  const tunnels = (side: Side): string => {
    const [ours, keys] = side === 'A' ? [1, 'in = 1, out = 2'] : [2, 'in = 2, out = 1'];
    return tunnelTable(
      'gre1',
      side,
      'mode = "gre"',
      `key = { ${keys} }`,
      `address = ["10.9.0.${ours}/24"]`,
    );
  };
  await withLab('ways', { tunnels, ipv6: false }, async ({ namespaces, rA }) => {
    await assertAnswered(namespaces, rA, '10.9.0.2');
  });
});

test('a tunnel with remote any takes packets from everyone and sends to no one', {
  skip: lacking(),
}, async () => {
  const tunnels = (side: Side): string =>
    side === 'A'
      ? tunnelTable('gre1', 'A', 'mode = "gre"', 'address = ["10.9.0.1/24"]')
      : [
          '[tunnel.gre1]',
          'mode = "gre"',
          `local = "${OUTER.B}"`,
          'remote = "any"',
          'address = ["10.9.0.2/24"]',
          '',
        ].join('\n');
  await withLab('any', { tunnels, ipv6: false }, async ({ namespaces, rA, b }) => {
    const { received } = await pingFrom(namespaces, rA, '10.9.0.2', 3, 56, 100);
    assert.equal(received, 0);
    assert.ok(await eventually(async () => (await tunnelStatus(b, 'gre1')).rx.packets === 3));
    const { tx, drops } = await tunnelStatus(b, 'gre1');
    assert.equal(tx.packets, 0);
    // The three answers.
    assert.deepEqual(drops, { 'no-route': 3 });

    const inner = ipv4({ source: '10.9.0.77', destination: '10.9.0.2', protocol: 253 });
    const fromStranger = ipv4({
      source: '192.0.2.77',
      destination: OUTER.B,
      protocol: GRE,
      payload: gre({ payload: inner }),
    });
    injectPackets(namespaces, rA, [fromStranger]);
    assert.ok(await eventually(async () => (await tunnelStatus(b, 'gre1')).rx.packets === 4));
  });
});
