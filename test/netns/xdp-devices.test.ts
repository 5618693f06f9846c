// Network devices that get AF_XDP while the router runs, and lose it again: by reloads, under traffic. Which way packets
// took is counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import { assertAccounted } from '../support/accounted.js';
import {
  ANSWERED,
  assertAnswered,
  eventually,
  type Lab,
  lacking,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  type Wire,
  withLab,
  XDP,
} from '../support/lab.js';
import { reloadBoth, still } from '../support/reloads.js';
import { assertAlive, assertTransfers, sentBy, TUNNEL } from '../support/traffic.js';
import { FrameWitness, RawWitness, redirected } from '../support/wire-count.js';

const skip = lacking('ping', 'ethtool');
const PINGS = 800;
const NO_DROPS = { rawSocket: 0, xdpRingFull: 0, xdpNoFrame: 0, xdpInvalid: 0 };

/** Another cable between the routers, number `n`, with as many queues at either end. */
function addCable({ rA, rB }: Wire, n: number, queues: number, mtu = 1500): void {
  const count = ['numrxqueues', `${queues}`, 'numtxqueues', `${queues}`];
  const far = ['peer', 'name', `u${n}`, 'netns', rB, ...count];
  ip('-n', rA, 'link', 'add', `u${n}`, ...count, 'type', 'veth', ...far);
  for (const [router, end] of [
    [rA, 1],
    [rB, 2],
  ] as const) {
    ip('-n', router, 'address', 'add', `198.51.${n}.${end}/24`, 'dev', `u${n}`);
    ip('-n', router, 'link', 'set', `u${n}`, 'up', 'mtu', `${mtu}`);
  }
}

/** A tunnel over that cable, to the network behind the other router. */
function over(n: number, side: Side, name = TUNNEL, net = 8): string {
  const [near, far] = side === 'A' ? [1, 2] : [2, 1];
  return [
    `[tunnel.${name}]`,
    'mode = "gre"',
    `local = "198.51.${n}.${near}"`,
    `remote = "198.51.${n}.${far}"`,
    `address = ["10.${net}.0.${near}/24"]`,
    ...(name === TUNNEL ? [`routes = ["10.${far}.0.0/24"]`] : []),
    '',
  ].join('\n');
}

function hasProgram(router: string, device: string): boolean {
  return ip('-n', router, '-d', 'link', 'show', 'dev', device).includes('xdp');
}

/** Pings until no packet of either side passes the kernel's stack on `device`. */
async function settle({ rA, rB }: Lab, device: string, peer: string): Promise<void> {
  const passed = await eventually(async () => {
    const witnesses = [rA, rB].map((router) => new FrameWitness(router, device));
    const { received } = await ping(rA, '-c', '1', '-W', '1', peer);
    const seen = witnesses.reduce((sum, witness) => sum + witness.count(), 0);
    for (const witness of witnesses) witness.close();
    return received === 1 && seen === 0;
  });
  assert.ok(passed, `packets of ${device} go by AF_XDP`);
}

/** Transfers through the tunnel that `reload` brought: no raw socket sees any of it, all is counted. */
async function assertCarried(lab: Lab, device: string): Promise<void> {
  const { namespaces, rA, rB, a, b } = lab;
  const raw = [rA, rB].map((router) => new RawWitness(router));
  const before = await Promise.all([a, b].map(sentBy));
  const seen = [rB, rA].map((router) => redirected(namespaces, router, device));
  await assertTransfers(lab, { size: 8 << 20 });
  await assertAnswered(namespaces, rA, '10.8.0.2');
  const sent = await Promise.all([a, b].map(sentBy));
  assert.deepEqual(
    [rB, rA].map((router, n) => redirected(namespaces, router, device) - (seen[n] ?? 0)),
    sent.map((count, n) => count - (before[n] ?? 0)),
    'the program gave each to a socket',
  );
  // The witnesses see what goes over the other cable by raw sockets, too: nothing does.
  assert.deepEqual(
    raw.map((witness) => witness.count()),
    [0, 0],
  );
  for (const witness of raw) witness.close();
  for (const router of [a, b]) {
    const { tunnels, drops } = await readStatus(router);
    assert.deepEqual([...tunnels.map((one) => one.drops), drops], [{}, {}, {}]);
  }
}

for (const lanes of [1, 2]) {
  test(`a device that a reload brings has AF_XDP until its last tunnel goes, ${lanes} lanes`, {
    skip,
  }, async () => {
    const router = `${XDP}\nlanes = ${lanes}`;
    const options = { tunnels: still, hosts: true, ipv6: false, router };
    await withLab('later', options, async (lab) => {
      const { namespaces, rA, rB, a, b } = lab;
      addCable(lab, 1, lanes);
      await settle(lab, 'u0', '10.9.0.2');
      const first = await Promise.all([a, b].map((one) => tunnelStatus(one, 'still')));
      const steady = ping(rA, '-q', '-i', '0.005', '-c', `${PINGS}`, '-W', '2', '10.9.0.2');
      const both = (side: Side): string => still(side) + over(1, side);
      for (let round = 0; round < 3; round++) {
        assert.deepEqual(await reloadBoth(lab, both), [`add ${TUNNEL}`]);
        assert.deepEqual([hasProgram(rA, 'u1'), hasProgram(rB, 'u1')], [true, true]);
        if (round === 0) {
          await settle(lab, 'u1', '10.8.0.2');
          await assertCarried(lab, 'u1');
        } else {
          await assertAnswered(namespaces, rA, '10.8.0.2');
        }
        assert.deepEqual(await reloadBoth(lab, still), [`remove ${TUNNEL}`]);
        assert.deepEqual([hasProgram(rA, 'u1'), hasProgram(rB, 'u1')], [false, false]);
      }
      const { sent, received, output } = await steady;
      assert.deepEqual([sent, received], [PINGS, PINGS], output);
      for (const [n, one] of [a, b].entries()) {
        const { rx, tx, drops } = await tunnelStatus(one, 'still');
        const was = first[n];
        assert.deepEqual(
          [rx.packets - (was?.rx.packets ?? 0), tx.packets - (was?.tx.packets ?? 0), drops],
          [PINGS, PINGS, {}],
        );
        const { kernelDrops } = await readStatus(one);
        assert.deepEqual(kernelDrops, NO_DROPS);
        const told = one.messages().match(/AF_XDP on u1, too|it is without AF_XDP/g);
        assert.equal(told?.length, 6, one.messages());
      }
      await assertAccounted(a, b);
      assertAlive(lab);
    });
  });
}

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
