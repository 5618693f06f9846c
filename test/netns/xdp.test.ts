// explore
import { test } from 'node:test';
import { sendFrom, startReceiver } from '../../src/demo/host-process.js';
import {
  assertAnswered,
  dropsOf,
  HOST4,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { RawWitness, redirected } from '../support/wire-count.js';

const tunnels = (side: Side) => {
  const [o, t] = side === 'A' ? [1, 2] : [2, 1];
  return tunnelTable(
    'tun1',
    side,
    'mode = "gre"',
    `address = ["10.9.0.${o}/24"]`,
    `routes = ["10.${t}.0.0/24"]`,
  );
};
for (const router of ['underlay = "xdp"\noffload = { gso = false }', 'underlay = "xdp"'])
  test('x', async () => {
    await withLab(
      'x',
      { tunnels, hosts: true, ipv6: false, router, offloads: true },
      async (lab) => {
        const { namespaces, rA, rB, hA, hB, a, b } = lab;
        const w = [new RawWitness(rA), new RawWitness(rB)];
        await assertAnswered(namespaces, rA, '10.9.0.2');
        await new Promise((r) => setTimeout(r, 300));
        console.log(
          'raw after first',
          w.map((x) => x.count()),
        );
        await assertAnswered(namespaces, rA, '10.9.0.2', 3000);
        const rec = await startReceiver(namespaces, hB, HOST4.B, 5001);
        console.log(await sendFrom(namespaces, hA, HOST4.B, 5001, 20, 64 << 20));
        await namespaces.stop(rec);
        console.log(
          'raw',
          w.map((x) => x.count()),
          'redirected',
          redirected(namespaces, rA, 'u0'),
          redirected(namespaces, rB, 'u0'),
        );
        console.log(
          JSON.stringify([
            await tunnelStatus(a, 'tun1'),
            await tunnelStatus(b, 'tun1'),
            await dropsOf(a),
            await dropsOf(b),
          ]),
        );
        console.log(a.messages(), b.messages());
        console.log(namespaces.run(rB, 'ethtool', ['-S', 'u0']));
      },
    );
  });
