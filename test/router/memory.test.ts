import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryRouter } from '../../src/router/memory.js';
import { eventually } from '../support/lab.js';
import { gre, ipv4 } from '../support/packets.js';
import { PLAIN_GRE, PLAIN_IPIP } from '../support/tunnels.js';

test('a router in memory has no kernel behind it, and so none of its counters', async () => {
  const router = createMemoryRouter([PLAIN_GRE, PLAIN_IPIP]);
  try {
    const { kernelDrops, tunnels } = await router.status();
    assert.deepEqual(kernelDrops, {});
    assert.equal(tunnels.length, 2);
    for (const tunnel of tunnels) assert.ok(!('queueDrops' in tunnel));
  } finally {
    await router.stop();
  }
});

test('peers share the device of their tunnel, whose counters are the sum of theirs', async () => {
  const route = (address: string) => [{ address, bits: 24 }];
  const hub = createMemoryRouter([
    {
      ...PLAIN_GRE,
      ...{ local: '192.0.2.1', remote: 'any', allow: [] },
      addresses: [{ address: '10.1.0.1', bits: 24 }],
      peers: [
        { remote: '192.0.2.2', routes: route('10.2.0.0') },
        { remote: '192.0.2.3', routes: route('10.3.0.0') },
      ],
    },
    PLAIN_IPIP,
  ]);
  try {
    const device = hub.devices.get(PLAIN_GRE.name);
    assert.ok(device);
    const outer: string[] = [];
    hub.underlay.onSent = (packet) => outer.push(packet.subarray(16, 20).join('.'));
    for (const to of ['10.2.0.9', '10.3.0.9', '10.3.0.8', '10.4.0.9']) {
      device.send(ipv4({ source: '10.1.0.1', destination: to, protocol: 253 }));
    }
    const from = (remote: string, source: string): void => {
      const inner = ipv4({ source, destination: '10.1.0.1', protocol: 253 });
      const payload = gre({ payload: inner });
      hub.underlay.inject(
        ipv4({ source: remote, destination: '192.0.2.1', protocol: 47, payload }),
      );
    };
    from('192.0.2.2', '10.2.0.9');
    from('192.0.2.2', '10.3.0.9');
    const tunnel = async () => (await hub.status()).tunnels[0] ?? assert.fail();
    assert.ok(
      await eventually(async () => {
        const { tx, rx } = await tunnel();
        return tx.packets === 3 && rx.packets === 1;
      }),
    );
    const { drops, peers = [] } = await tunnel();
    assert.deepEqual(outer, ['192.0.2.2', '192.0.2.3', '192.0.2.3']);
    assert.deepEqual(drops, { 'no-route': 1, 'inner-src-spoof': 1 });
    assert.deepEqual(
      peers.map((peer) => [peer.remote, peer.rx.packets, peer.tx.packets, peer.drops]),
      [
        ['192.0.2.2', 1, 1, { 'inner-src-spoof': 1 }],
        ['192.0.2.3', 0, 2, {}],
      ],
    );
  } finally {
    await hub.stop();
  }
});
