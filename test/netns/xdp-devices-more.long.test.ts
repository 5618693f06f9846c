// Network devices that get AF_XDP while the router runs: beside other lanes, other sockets, and under a tunnel that moves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatus } from '../../src/demo/router-process.js';
import { assertAccounted } from '../support/accounted.js';
import {
  lacking,
  OUTER,
  other,
  ping,
  type Side,
  tunnelTable,
  withLab,
  XDP,
} from '../support/lab.js';
import { ours, reloadBoth, still } from '../support/reloads.js';
import { assertAlive } from '../support/traffic.js';
import { redirected } from '../support/wire-count.js';
import { addCable, assertComesLater, hasProgram, settle } from '../support/xdp-devices.js';

const skip = lacking('ping', 'ethtool');

test('a device that a reload brings has AF_XDP, its queues dealt out among two lanes', {
  skip,
}, async () => {
  await assertComesLater(still, 2);
});

test('a device comes to a router that had nothing but UDP sockets, and goes again', {
  skip,
}, async () => {
  const overUdp = (side: Side): string => {
    return tunnelTable('still', side, 'mode = "gre-udp"', `address = ["10.9.0.${ours(side)}/24"]`);
  };
  await assertComesLater(overUdp, 1);
});

test('a tunnel that moves to another device takes AF_XDP with it, and back', { skip }, async () => {
  await withLab('move', { tunnels: still, ipv6: false, router: XDP }, async (lab) => {
    const { rA, rB, a, b } = lab;
    addCable(lab, 1, 1);
    const moved = (side: Side): string =>
      still(side)
        .replace(OUTER[side], `198.51.1.${ours(side)}`)
        .replace(OUTER[other(side)], `198.51.1.${ours(other(side))}`);
    for (const [tunnels, device, before] of [
      [moved, 'u1', 'u0'],
      [still, 'u0', 'u1'],
      [moved, 'u1', 'u0'],
    ] as const) {
      assert.deepEqual(await reloadBoth(lab, tunnels), ['move still']);
      for (const router of [rA, rB]) {
        assert.deepEqual([hasProgram(router, device), hasProgram(router, before)], [true, false]);
      }
      await settle(lab, device, '10.9.0.2');
      const seen = [rA, rB].map((router) => redirected(lab.namespaces, router, device));
      const { sent, received } = await ping(rA, '-q', '-i', '0.002', '-c', '200', '10.9.0.2');
      assert.deepEqual([sent, received], [200, 200]);
      assert.deepEqual(
        [rA, rB].map((router, n) => redirected(lab.namespaces, router, device) - (seen[n] ?? 0)),
        [200, 200],
      );
    }
    await assertAccounted(a, b);
    for (const router of [a, b]) {
      const { drops, tunnels } = await readStatus(router);
      assert.deepEqual([drops, tunnels.map((tunnel) => tunnel.drops)], [{}, [{}]]);
    }
    assertAlive(lab);
  });
});
