// Routing daemons over a tunnel whose peer hangs, restarts, or has another MTU.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccounted } from '../support/accounted.js';
import { assertAnswered, eventually, HOST4, tunnelStatus } from '../support/lab.js';
import { lackingFrr } from './frr.js';
import { type Protocol, routesBecome, startGrebe, withFrr } from './frr-lab.js';

const PROTOCOLS: readonly Protocol[] = ['bgp', 'ospf'];
const STATE_MS = 10_000;

for (const protocol of PROTOCOLS) {
  test(`${protocol}: a peer that hangs, and one that restarts, takes its routes back and learns them again`, {
    skip: lackingFrr(),
  }, async () => {
    await withFrr(protocol, async (lab) => {
      const { namespaces, hA, a, b } = lab;
      await routesBecome('learned', protocol, lab, 'A', 'B');
      b.child.kill('SIGSTOP');
      try {
        await routesBecome('lost', protocol, lab, 'A');
      } finally {
        b.child.kill('SIGCONT');
      }
      await routesBecome('learned', protocol, lab, 'A', 'B');
      await assertAnswered(namespaces, hA, HOST4.B);

      await namespaces.stop(b.child);
      await routesBecome('lost', protocol, lab, 'A', 'B');
      const again = await startGrebe(lab, 'B');
      await routesBecome('learned', protocol, lab, 'A', 'B');
      await assertAnswered(namespaces, hA, HOST4.B);
      for (const router of [a, again]) {
        assert.deepEqual((await tunnelStatus(router, 'gre1')).drops, {});
      }
      await assertAccounted(a, again);
    });
  });
}

test('ospf: neighbours with different MTUs stop at ExStart, and go on when they are alike', {
  skip: lackingFrr(),
}, async () => {
  await withFrr('ospf', async (lab) => {
    const { namespaces, siteA, b } = lab;
    await routesBecome('learned', 'ospf', lab, 'A', 'B');
    await namespaces.stop(b.child);
    await routesBecome('lost', 'ospf', lab, 'A');
    const small = await startGrebe(lab, 'B', 'mtu = 1400\n');
    const neighbours = async (): Promise<string> =>
      JSON.stringify(await siteA.frr.ask('show ip ospf neighbor json'));
    const isStuck = async (): Promise<boolean> => /"state":"ExStart/.test(await neighbours());
    assert.ok(await eventually(isStuck, STATE_MS), await neighbours());
    await namespaces.stop(small.child);
    await startGrebe(lab, 'B');
    await routesBecome('learned', 'ospf', lab, 'A', 'B');
  });
});
