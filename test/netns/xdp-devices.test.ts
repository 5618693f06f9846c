// Network devices that get AF_XDP while the router runs, and lose it again: by reloads, under traffic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import { assertAccounted } from '../support/accounted.js';
import {
  ANSWERED,
  assertAnswered,
  lacking,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
  XDP,
} from '../support/lab.js';
import { reloadBoth, still } from '../support/reloads.js';
import { assertAlive, sentBy, TUNNEL } from '../support/traffic.js';
import { FrameWitness, redirected } from '../support/wire-count.js';
import {
  addCable,
  assertCarried,
  assertComesLater,
  hasProgram,
  over,
  settle,
} from '../support/xdp-devices.js';

const skip = lacking('ping', 'ethtool');

test('a device that a reload brings has AF_XDP until its last tunnel goes', { skip }, async () => {
  await assertComesLater(still, 1);
});

test('superpackets of a tunnel that a reload brings on a device of the start leave whole, and right', {
  skip,
}, async () => {
  const options = { tunnels: still, hosts: true, ipv6: false, router: XDP, offloads: true };
  await withLab('whole', options, async (lab) => {
    const { rA, a, b } = lab;
    await settle(lab, 'u0', '10.9.0.2');
    // Of another length in front than that of the tunnel that was there: the kernel is to be told of each.
    const added = (side: Side): string => {
      const [near, far] = side === 'A' ? [1, 2] : [2, 1];
      const inside = [`address = ["10.8.0.${near}/24"]`, `routes = ["10.${far}.0.0/24"]`];
      return still(side) + tunnelTable(TUNNEL, side, 'mode = "ipip"', ...inside);
    };
    await reloadBoth(lab, added);
    const witness = new FrameWitness(rA, 'u0', 4);
    await assertCarried(lab, 'u0');
    const [sent, whole] = [await sentBy(a), witness.count()];
    assert.ok(whole > 100, `${whole} superpackets, ${sent} packets`);
    witness.close();
    await assertAccounted(a, b);
  });
});

test('a device that there is no room for goes on by raw sockets, and has AF_XDP once there is', {
  skip,
}, async () => {
  await withLab('room', { tunnels: still, ipv6: false, router: XDP }, async (lab) => {
    const { namespaces, rA, a, b } = lab;
    // Eight queues with frames of 4096 bytes: half of the room and a little more.
    for (const n of [1, 2]) addCable(lab, n, 8, 2000);
    const one = (side: Side): string => over(1, side, 'one', 7);
    const two = (side: Side): string => over(2, side, 'two', 8);
    await reloadBoth(lab, (side) => still(side) + one(side) + two(side));
    assert.deepEqual([hasProgram(rA, 'u1'), hasProgram(rA, 'u2')], [true, false]);
    for (const { messages } of [a, b]) {
      assert.match(
        messages(),
        /the memory for AF_XDP has no room left for u2; raw sockets serve u2/,
      );
    }
    const witness = new FrameWitness(rA, 'u2');
    for (const address of ['10.7.0.2', '10.8.0.2']) await assertAnswered(namespaces, rA, address);
    assert.equal(witness.count(), 2 * ANSWERED);
    witness.close();

    // Told once, and tried again with every reload.
    const words = (router: RouterProcess) => router.messages().match(/no room left/g)?.length;
    const other = (side: Side): string => `${still(side)}ttl = 9\n${one(side)}${two(side)}`;
    assert.deepEqual(await reloadBoth(lab, other), ['change still']);
    assert.deepEqual([words(a), words(b)], [1, 1]);
    assert.deepEqual(await reloadBoth(lab, (side) => still(side) + two(side)), [
      'remove one',
      'change still',
    ]);
    assert.deepEqual([hasProgram(rA, 'u1'), hasProgram(rA, 'u2')], [false, true]);
    await settle(lab, 'u2', '10.8.0.2');
    const before = await tunnelStatus(a, 'two');
    const seen = redirected(namespaces, lab.rB, 'u2');
    await assertAnswered(namespaces, rA, '10.8.0.2');
    assert.equal(redirected(namespaces, lab.rB, 'u2') - seen, ANSWERED);
    assert.equal((await tunnelStatus(a, 'two')).tx.packets - before.tx.packets, ANSWERED);
    await assertAccounted(a, b);
    for (const router of [a, b]) {
      const { drops, gone, tunnels } = await readStatus(router);
      const all = [drops, gone?.drops, ...tunnels.map((tunnel) => tunnel.drops)];
      assert.deepEqual(all, [{}, {}, {}, {}]);
    }
    assertAlive(lab);
  });
});
