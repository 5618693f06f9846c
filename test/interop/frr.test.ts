// Routing daemons over a tunnel: FRR with the configs of docs/bgp.md.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccounted } from '../support/accounted.js';
import { ANSWERED, assertAnswered, eventually, HOST4, tunnelStatus } from '../support/lab.js';
import { seeFrames } from '../support/packet-task.js';
import { lackingFrr } from './frr.js';
import { type FrrLab, routesBecome, withFrr } from './frr-lab.js';

/** An outer header of 192.0.2.1, GRE, and a packet of OSPF to 224.0.0.5 with TTL 1 and its own TOS in both. */
const HELLO_ON_THE_WIRE = new RegExp(
  ['45c0.{14}2f.{4}c0000201c0000202', '00000800', '45c0.{12}0159.{4}0a090001e0000005'].join(''),
);

/** Pings from host to host, both ways, and what the routers counted of it. */
async function assertTraffic({ namespaces, hA, hB, a, b }: FrrLab): Promise<void> {
  const before = await Promise.all([a, b].map((router) => tunnelStatus(router, 'gre1')));
  await assertAnswered(namespaces, hA, HOST4.B);
  await assertAnswered(namespaces, hB, HOST4.A, 1400);
  const after = await Promise.all([a, b].map((router) => tunnelStatus(router, 'gre1')));
  after.forEach(({ rx, tx, drops }, n) => {
    // The routing protocol's own packets pass, too.
    assert.ok(rx.packets - (before[n]?.rx.packets ?? 0) >= 2 * ANSWERED);
    assert.ok(tx.packets - (before[n]?.tx.packets ?? 0) >= 2 * ANSWERED);
    assert.deepEqual(drops, {});
  });
  await assertAccounted(a, b);
}

test('eBGP: a session through the tunnel is established, its routes are used', {
  skip: lackingFrr(),
}, async () => {
  await withFrr('bgp', async (lab) => {
    const { namespaces, hA } = lab;
    await routesBecome('learned', 'bgp', lab, 'A', 'B');
    for (const [site, peer] of [
      [lab.siteA, '10.9.0.2'],
      [lab.siteB, '10.9.0.1'],
    ] as const) {
      const neighbors = await site.frr.ask(`show bgp neighbors ${peer} json`);
      assert.match(JSON.stringify(neighbors), /"bgpState":"Established"/);
    }
    await assertTraffic(lab);
    // The networks of the machines in between stay out of it.
    assert.match(namespaces.run(lab.rA, 'ip', ['route', 'get', '192.0.2.2']), /dev u0/);
    assert.match(namespaces.run(hA, 'ip', ['route']), /default/);
  });
});

test('OSPF: hellos to 224.0.0.5 with TTL 1 pass, neighbours become full, routes are used', {
  skip: lackingFrr(),
}, async () => {
  await withFrr('ospf', async (lab) => {
    const frames = await seeFrames(lab.namespaces, lab.rB, 'u0');
    await routesBecome('learned', 'ospf', lab, 'A', 'B');
    for (const { frr } of [lab.siteA, lab.siteB]) {
      const isFull = async (): Promise<boolean> =>
        /"converged":"Full"/.test(JSON.stringify(await frr.ask('show ip ospf neighbor json')));
      assert.ok(await eventually(isFull, 10_000));
    }
    assert.ok(await eventually(() => frames.some((frame) => HELLO_ON_THE_WIRE.test(frame))));
    await assertTraffic(lab);
  });
});
