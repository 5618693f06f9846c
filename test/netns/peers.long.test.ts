// Point to multipoint: one device of the hub, two spokes that see each other through the hub's kernel.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pingFrom } from '../../src/demo/host-process.js';
import { startRouter } from '../../src/demo/router-process.js';
import { type Bridge, outer4, outer6, withBridge } from '../support/bridge.js';
import { assertAnswered, eventually, lacking, tunnelStatus, XDP } from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';

interface Kind {
  readonly name: string;
  readonly mode: string;
  readonly outer: (number: number) => string;
  readonly lines?: string;
  readonly router?: string;
}

const KINDS: readonly Kind[] = [
  { name: 'gre', mode: 'gre', outer: outer4 },
  {
    name: 'gre, numbered, over AF_XDP',
    mode: 'gre',
    outer: outer4,
    lines: 'seq = true',
    router: XDP,
  },
  { name: 'ipip', mode: 'ipip', outer: outer4 },
  { name: 'ip6gre', mode: 'ip6gre', outer: outer6, lines: 'key = 7' },
  { name: 'gre-udp on two lanes', mode: 'gre-udp', outer: outer4, router: 'lanes = 2' },
];

/** The hub is router 1. */
async function startHub({ namespaces, routers }: Bridge, { mode, outer, lines, router }: Kind) {
  const peer = (number: number): string =>
    `{ remote = "${outer(number)}", routes = ["10.9.0.${number}/32", "10.3${number}.0.0/16"] }`;
  const tunnel = [
    ...['[tunnel.hub]', `mode = "${mode}"`, `local = "${outer(1)}"`, 'remote = "any"'],
    ...['address = ["10.9.0.1/24"]', lines ?? '', `peers = [${peer(2)}, ${peer(3)}]`, ''],
  ];
  return startRouter(namespaces, routers[0], tunnel.join('\n'), router);
}

async function startSpoke(bridge: Bridge, { mode, outer, lines, router }: Kind, number: 2 | 3) {
  const tunnel = [
    ...['[tunnel.spoke]', `mode = "${mode}"`, `local = "${outer(number)}"`],
    ...[`remote = "${outer(1)}"`, `address = ["10.9.0.${number}/24"]`, lines ?? '', ''],
  ];
  return startRouter(
    bridge.namespaces,
    bridge.routers[number - 1] ?? '',
    tunnel.join('\n'),
    router,
  );
}

for (const kind of KINDS) {
  test(`${kind.name}: spokes reach the hub and each other, and every packet is counted once`, {
    skip: lacking(),
  }, async () => {
    const ipv6 = kind.outer === outer6;
    await withBridge('peers', { ipv6 }, async (bridge) => {
      const { namespaces, routers } = bridge;
      const [hub] = await Promise.all([
        startHub(bridge, kind),
        startSpoke(bridge, kind, 2),
        startSpoke(bridge, kind, 3),
      ]);
      await assertAnswered(namespaces, routers[1], '10.9.0.3');
      await assertAnswered(namespaces, routers[2], '10.9.0.1');
      await assertAnswered(namespaces, routers[0], '10.9.0.2', 1400);
      if (ipv6) return; // what the kernel sends by itself is nobody's to count
      const { rx, tx, drops, peers = [], lastReceivedMs } = await tunnelStatus(hub, 'hub');
      assert.deepEqual([rx.packets, tx.packets, drops], [12, 12, {}]);
      assert.deepEqual(
        peers.map((peer) => [peer.remote, peer.rx.packets, peer.tx.packets, peer.drops]),
        [
          [kind.outer(2), 6, 6, {}],
          [kind.outer(3), 6, 6, {}],
        ],
      );
      assert.equal(
        rx.bytes,
        peers.reduce((sum, peer) => sum + peer.rx.bytes, 0),
      );
      assert.equal(lastReceivedMs, Math.max(...peers.map((peer) => peer.lastReceivedMs ?? 0)));
      // To a host that is behind no peer.
      assert.equal((await pingFrom(namespaces, routers[0], '10.9.0.9', 1, 56)).received, 0);
      assert.deepEqual((await tunnelStatus(hub, 'hub')).drops, { 'no-route': 1 });
    });
  });
}

test('a spoke cannot speak for another, and who is no peer for nobody', {
  skip: lacking(),
}, async () => {
  const [kind] = KINDS;
  assert.ok(kind);
  await withBridge('spoof', { ipv6: false }, async (bridge) => {
    const { namespaces, routers } = bridge;
    const hub = await startHub(bridge, kind);
    const packet = (from: string, source: string): Uint8Array =>
      ipv4({
        ...{ source: from, destination: outer4(1), protocol: 47 },
        payload: gre({ payload: ipv4({ source, destination: '10.9.0.1', protocol: 253 }) }),
      });
    injectPackets(namespaces, routers[1], [
      packet(outer4(2), '10.9.0.3'),
      packet(outer4(2), '10.33.0.1'),
      packet(outer4(2), '10.32.0.1'),
      packet('192.0.2.77', '10.9.0.2'),
    ]);
    assert.ok(await eventually(async () => (await tunnelStatus(hub, 'hub')).rx.packets === 1));
    const { drops, peers = [] } = await tunnelStatus(hub, 'hub');
    assert.deepEqual(drops, { 'inner-src-spoof': 2 });
    assert.deepEqual(
      peers.map((peer) => [peer.rx.packets, peer.drops]),
      [
        [1, { 'inner-src-spoof': 2 }],
        [0, {}],
      ],
    );
  });
});
