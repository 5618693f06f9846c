// Network devices that get AF_XDP while the routers of a lab run, and lose it again. Which way packets took is counted.
import assert from 'node:assert/strict';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus } from '../../src/demo/router-process.js';
import { assertAccounted } from './accounted.js';
import {
  assertAnswered,
  eventually,
  type Lab,
  ping,
  type Side,
  tunnelStatus,
  type Wire,
  withLab,
  XDP,
} from './lab.js';
import { reloadBoth } from './reloads.js';
import { assertAlive, assertTransfers, sentBy, TUNNEL } from './traffic.js';
import { FrameWitness, RawWitness, redirected } from './wire-count.js';

const PINGS = 800;

/** Another cable between the routers, number `n`, with as many queues at either end. */
export function addCable({ rA, rB }: Wire, n: number, queues: number, mtu = 1500): void {
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
export function over(n: number, side: Side, name = TUNNEL, net = 8): string {
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

export function hasProgram(router: string, device: string): boolean {
  return ip('-n', router, '-d', 'link', 'show', 'dev', device).includes('xdp');
}

/** Pings until no packet of either side passes the kernel's stack on `device`. */
export async function settle({ rA, rB }: Lab, device: string, peer: string): Promise<void> {
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
export async function assertCarried(lab: Lab, device: string): Promise<void> {
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

/**
 * A device that a reload brings has AF_XDP until its last tunnel goes, again and again, while pings pass the tunnel
 * `still` on the device of the start: none of them is lost, and every packet is counted.
 */
export async function assertComesLater(
  still: (side: Side) => string,
  lanes: number,
): Promise<void> {
  const router = `${XDP}\nlanes = ${lanes}`;
  await withLab('later', { tunnels: still, hosts: true, ipv6: false, router }, async (lab) => {
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
      assert.ok(Object.values(kernelDrops ?? {}).every((count) => count === 0));
      const told = one.messages().match(/AF_XDP on u1, too|it is without AF_XDP/g);
      assert.equal(told?.length, 6, one.messages());
    }
    await assertAccounted(a, b);
    assertAlive(lab);
  });
}
