// A router over AF_XDP writes Ethernet headers itself: they follow the network under traffic.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reload } from '../../src/control/reload-client.js';
import { ip } from '../../src/demo/namespaces.js';
import type { RouterProcess } from '../../src/demo/router-process.js';
import { replaceCable } from '../support/cable.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  type Lab,
  lacking,
  OUTER,
  ping,
  type Side,
  startRouters,
  tunnelStatus,
  UNDERLAY,
  type Wire,
  withLab,
  withWire,
  XDP,
} from '../support/lab.js';
import { assertAlive, assertNoDrops, PEER, plainGre, sentBy, TUNNEL } from '../support/traffic.js';
import { FrameWitness, redirected } from '../support/wire-count.js';

const skip = lacking('ping', 'ethtool');
/** Beyond a second only where other work holds every core. */
const BACK_LIMIT_MS = 5000;

/** A over AF_XDP, B as asked, A's next hop known. */
async function withNextHop(
  label: string,
  underlayOfB: 'xdp' | 'raw',
  use: (lab: Lab) => Promise<void>,
): Promise<void> {
  const router = (side: Side): string => `underlay = "${side === 'A' ? 'xdp' : underlayOfB}"`;
  await withLab(label, { tunnels: plainGre, ipv6: false, router }, async (lab) => {
    await assertAnswered(lab.namespaces, lab.rA, PEER);
    await assertByXdp(lab);
    await use(lab);
  });
}

/** Waits until A's packets pass the kernel's stack by. */
async function assertByXdp({ rA, a }: Lab, device = UNDERLAY): Promise<void> {
  const passed = await eventually(async () => {
    const witness = new FrameWitness(rA, device);
    const before = await sentBy(a);
    await ping(rA, '-c', '1', '-W', '1', PEER);
    const sent = (await sentBy(a)) - before;
    const seen = witness.count();
    witness.close();
    return sent > 0 && seen === 0;
  });
  assert.ok(passed, 'its packets go by AF_XDP');
}

/** Pings 100 times a second until `change` is done and then for `ms`. Returns how many were lost. */
async function lostWhile(lab: Lab, change: () => void | Promise<void>, ms = 1000): Promise<number> {
  const count = Math.ceil((ms + 500) / 10);
  const stream = ping(lab.rA, '-q', '-i', '0.01', '-c', `${count}`, '-W', '1', PEER);
  await sleep(300);
  await change();
  const { sent, received, output } = await stream;
  assert.equal(sent, count, output);
  return sent - received;
}

/** Milliseconds until a ping is answered again. */
async function silence({ rA }: Lab): Promise<number> {
  const start = performance.now();
  const answered = await eventually(
    async () => (await ping(rA, '-c', '1', '-W', '0.1', PEER)).received === 1,
  );
  assert.ok(answered, 'traffic is back');
  return performance.now() - start;
}

test('a peer that tells of its new hardware address is followed', { skip }, async () => {
  // Over raw sockets, since a program in the driver takes frames to any address.
  await withNextHop('mac', 'raw', async (lab) => {
    lab.namespaces.run(lab.rB, 'sh', [
      '-c',
      `echo 1 > /proc/sys/net/ipv4/conf/${UNDERLAY}/arp_notify`,
    ]);
    const lost = await lostWhile(lab, () => {
      ip('-n', lab.rB, 'link', 'set', UNDERLAY, 'address', '02:00:00:00:0b:0b');
    });
    assert.ok(lost <= BACK_LIMIT_MS / 10, `${lost} pings lost`);
    await assertByXdp(lab);
    await assertNoDrops(lab);
  });
});

test('our own new hardware address is what frames leave with', { skip }, async () => {
  await withNextHop('own', 'raw', async (lab) => {
    const lost = await lostWhile(lab, () => {
      ip('-n', lab.rA, 'link', 'set', UNDERLAY, 'address', '02:00:00:00:0a:0a');
    });
    // B goes on to the old address until it hears of the new one; A takes frames to any.
    assert.equal(lost, 0);
    await assertByXdp(lab);
    await assertNoDrops(lab);
  });
});

test('a neighbour that is deleted is asked for anew by the raw socket, and nothing is lost', {
  skip,
}, async () => {
  await withNextHop('neigh', 'xdp', async (lab) => {
    const { rA, a, b } = lab;
    const lost = await lostWhile(lab, async () => {
      for (let n = 0; n < 5; n++) {
        const isKnown = (): boolean =>
          ip('-n', rA, 'neigh', 'show', OUTER.B, 'dev', UNDERLAY) !== '';
        assert.ok(await eventually(isKnown), 'it was asked for');
        ip('-n', rA, 'neigh', 'del', OUTER.B, 'dev', UNDERLAY);
        await sleep(150);
      }
    });
    assert.equal(lost, 0);
    await assertByXdp(lab);
    await assertNoDrops(lab);
    assert.equal((await tunnelStatus(b, TUNNEL)).rx.packets, await sentBy(a));
  });
});

test('a link that goes down and comes up has its traffic back within a second', {
  skip,
}, async () => {
  for (const [label, side] of [
    ['ours', 'A'],
    ['theirs', 'B'],
  ] as const) {
    await withNextHop(`down${label}`, 'xdp', async (lab) => {
      const router = side === 'A' ? lab.rA : lab.rB;
      ip('-n', router, 'link', 'set', UNDERLAY, 'down');
      const down = await ping(lab.rA, '-c', '30', '-i', '0.02', '-W', '0.2', PEER);
      assert.equal(down.received, 0);
      ip('-n', router, 'link', 'set', UNDERLAY, 'up');
      const ms = await silence(lab);
      assert.ok(ms < BACK_LIMIT_MS, `${label}: ${Math.round(ms)} ms`);
      await assertByXdp(lab);
      assertAlive(lab);
      const before = await dropsOf(lab.a);
      await assertAnswered(lab.namespaces, lab.rA, PEER);
      assert.deepEqual(await dropsOf(lab.a), before);
    });
  }
});

/** A second cable between the routers, and the remote end of the tunnel reached over it. */
function addCable({ namespaces, rA, rB }: Wire): void {
  namespaces.link(
    { namespace: rA, device: 'u1', addresses: ['198.51.100.1/24'] },
    { namespace: rB, device: 'u1', addresses: ['198.51.100.2/24'] },
  );
}

test('a route that moves to a gateway on another device is followed, and back', {
  skip,
}, async () => {
  await withNextHop('route', 'xdp', async (lab) => {
    const { namespaces, rA, rB } = lab;
    addCable(lab);
    const before = redirected(namespaces, rB, UNDERLAY);
    const lost = await lostWhile(lab, () => {
      ip('-n', rA, 'route', 'add', `${OUTER.B}/32`, 'via', '198.51.100.2');
    });
    assert.equal(lost, 0);
    // The device was not there at the start: no program, no socket, so raw sockets serve it.
    const witness = new FrameWitness(rB, 'u1');
    await assertAnswered(namespaces, rA, PEER);
    assert.equal(witness.count(), 3);
    const moved = redirected(namespaces, rB, UNDERLAY);
    assert.ok(moved > before);
    await assertAnswered(namespaces, rA, PEER);
    assert.equal(redirected(namespaces, rB, UNDERLAY), moved);
    assert.equal(await lostWhile(lab, () => void ip('-n', rA, 'route', 'del', `${OUTER.B}/32`)), 0);
    await assertByXdp(lab);
    await assertNoDrops(lab);
    witness.close();
  });
});

test('a route that moves to another device of AF_XDP goes on over that one', {
  skip,
}, async () => {
  await withWire('second', { ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    addCable(wire);
    // A second tunnel, so that the router opens the second device.
    const both = (side: Side): string => {
      const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
      const ends = [`local = "198.51.100.${ours}"`, `remote = "198.51.100.${theirs}"`];
      const address = `address = ["10.9.2.${ours}/24"]`;
      return [plainGre(side), '[tunnel.tun2]', 'mode = "ipip"', ...ends, address, ''].join('\n');
    };
    const lab = await startRouters(wire, { tunnels: both, router: XDP });
    for (const address of [PEER, '10.9.2.2']) await assertAnswered(namespaces, rA, address);
    await assertByXdp(lab);
    assert.ok(redirected(namespaces, rB, 'u1') >= 3);
    const lost = await lostWhile(lab, () => {
      ip('-n', rA, 'route', 'add', `${OUTER.B}/32`, 'via', '198.51.100.2');
    });
    assert.equal(lost, 0);
    await assertByXdp(lab, 'u1');
    const before = [UNDERLAY, 'u1'].map((device) => redirected(namespaces, rB, device));
    await assertAnswered(namespaces, rA, PEER);
    const after = [UNDERLAY, 'u1'].map((device) => redirected(namespaces, rB, device));
    assert.deepEqual(after, [before[0], (before[1] ?? 0) + 3]);

    // The cable breaks, and the route goes with it: back to the first.
    ip('-n', rB, 'link', 'set', 'u1', 'down');
    ip('-n', rA, 'route', 'del', `${OUTER.B}/32`);
    await silence(lab);
    await assertByXdp(lab);
    assert.deepEqual(await dropsOf(lab.b), {});
  });
});

test('a route that moves to another gateway on the same device is followed', {
  skip,
}, async () => {
  await withNextHop('gateway', 'raw', async (lab) => {
    const { namespaces, rA, rB } = lab;
    // A gateway of its own would do as well; a second address of B is enough.
    ip('-n', rB, 'address', 'add', '192.0.2.9/24', 'dev', UNDERLAY);
    const lost = await lostWhile(lab, () => {
      ip('-n', rA, 'route', 'add', `${OUTER.B}/32`, 'via', '192.0.2.9');
    });
    assert.equal(lost, 0);
    await assertByXdp(lab);
    assert.equal(await lostWhile(lab, () => void ip('-n', rA, 'route', 'del', `${OUTER.B}/32`)), 0);
    await assertAnswered(namespaces, rA, PEER);
    await assertByXdp(lab);
  });
});

test('without a route packets are no-route, and the route brings them back', { skip }, async () => {
  await withNextHop('none', 'xdp', async (lab) => {
    const { rA, a } = lab;
    ip('-n', rA, 'route', 'add', 'blackhole', `${OUTER.B}/32`);
    await sleep(400);
    const gone = await ping(rA, '-c', '5', '-i', '0.02', '-W', '0.2', PEER);
    assert.equal(gone.received, 0);
    assert.deepEqual(await dropsOf(a), { 'no-route': 5 });
    ip('-n', rA, 'route', 'del', 'blackhole', `${OUTER.B}/32`);
    const ms = await silence(lab);
    assert.ok(ms < BACK_LIMIT_MS, `${Math.round(ms)} ms`);
    await assertByXdp(lab);
  });
});

test('an MTU that changes under traffic is followed both ways', { skip }, async () => {
  await withNextHop('mtu', 'xdp', async (lab) => {
    const { rA, rB, a } = lab;
    const size = ['-c', '3', '-i', '0.05', '-W', '0.3', '-s', '1300'];
    assert.equal((await ping(rA, ...size, PEER)).received, 3);
    for (const router of [rA, rB]) ip('-n', router, 'link', 'set', UNDERLAY, 'mtu', '1000');
    await sleep(400);
    // The first finds that it is too long, and its sender is told.
    assert.equal((await ping(rA, ...size, PEER)).received, 2);
    assert.deepEqual(await dropsOf(a), { 'too-big': 1 });
    await assertByXdp(lab);
    for (const router of [rA, rB]) ip('-n', router, 'link', 'set', UNDERLAY, 'mtu', '1500');
    await sleep(400);
    assert.equal((await ping(rA, ...size, PEER)).received, 3);
    await assertByXdp(lab);
  });
});

/** Processor time that a process has used, in hundredths of a second. */
function usedTime(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** Fails when one of the routers, which have nothing to do, does something. */
async function assertIdle(routers: readonly RouterProcess[]): Promise<void> {
  const before = routers.map(({ child }) => usedTime(child.pid));
  await sleep(1000);
  const used = routers.map(({ child }, n) => usedTime(child.pid) - (before[n] ?? 0));
  assert.ok(Math.max(...used) < 10, `${used} hundredths of a second`);
}

test('a device that is deleted and made anew is served by raw sockets, until a reload has AF_XDP on it', {
  skip,
}, async () => {
  await withNextHop('anew', 'xdp', async (lab) => {
    const { namespaces, rA, a, b } = lab;
    await assertIdle([a, b]);
    ip('-n', rA, 'link', 'del', UNDERLAY);
    await sleep(300);
    const gone = await ping(rA, '-c', '3', '-i', '0.02', '-W', '0.2', PEER);
    assert.equal(gone.received, 0);
    await assertIdle([a, b]);
    assert.deepEqual(await dropsOf(a), { 'no-route': 3 });

    replaceCable(lab, 1);
    await silence(lab);
    await assertAnswered(namespaces, rA, PEER, 3000);
    assertAlive(lab);

    for (const router of [a, b]) assert.deepEqual((await reload(router.socket)).tunnels, []);
    await assertByXdp(lab);
    const before = redirected(namespaces, lab.rB, UNDERLAY);
    await assertAnswered(namespaces, rA, PEER, 1300);
    assert.equal(redirected(namespaces, lab.rB, UNDERLAY) - before, 3);
    await assertIdle([a, b]);
  });
});
