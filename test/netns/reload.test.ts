// Reloads of a router while packets pass: nothing is lost where nothing was to change, and counters go on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchDiff, reload } from '../../src/control/reload-client.js';
import { ip } from '../../src/demo/namespaces.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  lacking,
  OUTER,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  tunnelTable6,
  withLab,
} from '../support/lab.js';
import { assertComeAndGo, ours, reloadBoth, rewrite, still } from '../support/reloads.js';

const changing = (side: Side, ...lines: string[]): string =>
  tunnelTable(
    'changing',
    side,
    ...['mode = "gre"', 'key = 2', `address = ["10.8.0.${ours(side)}/24"]`, ...lines],
  );

test('a tunnel that is untouched, and one whose ttl, tos, allow, csum and routes change, lose no packet', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = (side: Side): string => still(side) + changing(side);
  await withLab('reload', { ipv6: false, tunnels }, async ({ rA, a, b }) => {
    const COUNT = 2000;
    const flood = (address: string) =>
      ping(rA, '-q', '-i', '0.002', '-c', String(COUNT), '-W', '2', address);
    const floods = Promise.all([flood('10.9.0.2'), flood('10.8.0.2')]);
    let reloads = 0;
    let done = false;
    void floods.finally(() => {
      done = true;
    });
    while (!done) {
      const odd = reloads++ % 2 === 0;
      const lines = odd
        ? ['ttl = 32', 'tos = 0x10', 'routes = ["10.77.0.0/16"]', 'mss = "off"']
        : ['allow = ["any"]', 'csum = true'];
      rewrite(a, still('A') + changing('A', ...lines));
      const { tunnels: changed } = await reload(a.socket);
      assert.deepEqual(
        changed.map(({ kind, name }) => [kind, name]),
        [['change', 'changing']],
      );
    }
    assert.ok(reloads > 5, `${reloads} reloads`);
    for (const { sent, received, output } of await floods) {
      assert.deepEqual([sent, received], [COUNT, COUNT], output);
    }
    for (const name of ['still', 'changing']) {
      const [atA, atB] = [await tunnelStatus(a, name), await tunnelStatus(b, name)];
      assert.deepEqual([atA.tx.packets, atA.rx.packets], [COUNT, COUNT]);
      assert.deepEqual([atB.tx.packets, atB.rx.packets], [COUNT, COUNT]);
    }
    assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
  });
});

test('a reload changes addresses, routes and MTU of a device in place', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = (side: Side): string => still(side) + changing(side);
  await withLab('reload', { ipv6: false, tunnels }, async ({ namespaces, rA, a }) => {
    const index = (): number =>
      JSON.parse(ip('-n', rA, '-j', 'link', 'show', 'changing'))[0].ifindex;
    const before = index();
    rewrite(
      a,
      still('A') +
        changing('A', 'routes = ["10.66.0.0/16"]', 'mtu = 1300').replace(
          '10.8.0.1/24',
          '10.8.0.7/24',
        ),
    );
    const { tunnels: dry } = await fetchDiff(a.socket);
    assert.deepEqual(dry, [
      {
        kind: 'change',
        name: 'changing',
        keys: [
          { key: 'address', before: '["10.8.0.1/24"]', after: '["10.8.0.7/24"]' },
          { key: 'mtu', before: null, after: '1300' },
          { key: 'routes', before: null, after: '["10.66.0.0/16"]' },
        ],
      },
    ]);
    await reload(a.socket);
    const [link] = JSON.parse(ip('-n', rA, '-j', 'address', 'show', 'dev', 'changing'));
    assert.deepEqual([link.ifindex, link.mtu], [before, 1300]);
    assert.deepEqual(
      link.addr_info.map((one: { local: string }) => one.local),
      ['10.8.0.7'],
    );
    const routes = JSON.parse(ip('-n', rA, '-j', 'route', 'show', 'dev', 'changing'));
    assert.deepEqual(routes.map((one: { dst: string }) => one.dst).sort(), [
      '10.66.0.0/16',
      '10.8.0.0/24',
    ]);
    await assertAnswered(namespaces, rA, '10.8.0.2');
    // And back: a route goes from one tunnel to the other.
    rewrite(a, still('A').replace('\n', '\nroutes = ["10.66.0.0/16"]\n') + changing('A'));
    await reload(a.socket);
    const dev = JSON.parse(ip('-n', rA, '-j', 'route', 'get', '10.66.1.1'))[0].dev;
    assert.equal(dev, 'still');
    await assertAnswered(namespaces, rA, '10.8.0.2');
  });
});

test('tunnels come, are rebuilt, renamed and go, and another loses nothing by it', {
  skip: lacking('ping'),
}, async () => {
  await assertComeAndGo('');
});

test('what the first tunnel of its kind needs is opened at run time: IPv6, peers, keepalives, a device', {
  skip: lacking('ping'),
}, async () => {
  const six = (side: Side): string =>
    tunnelTable6('six', side, 'mode = "ip6gre"', `address = ["10.4.0.${ours(side)}/24"]`);
  await withLab('kinds', { ipv6: false, outer: 6, tunnels: still }, async (lab) => {
    const { namespaces, rA, a, b } = lab;
    await reloadBoth(lab, (side) => still(side) + six(side));
    await assertAnswered(namespaces, rA, '10.4.0.2');

    // Keepalives: the peer is down when it hangs, and up again.
    const asked = (side: Side): string =>
      side === 'B' ? still(side) : `${still(side)}keepalive = { interval = "50ms", count = 3 }\n`;
    assert.deepEqual(await reloadBoth(lab, (side) => asked(side) + six(side)), ['change still']);
    b.child.kill('SIGSTOP');
    const state = async (): Promise<string> => (await tunnelStatus(a, 'still')).state;
    assert.ok(await eventually(async () => (await state()) === 'down'), a.messages());
    b.child.kill('SIGCONT');
    assert.ok(await eventually(async () => (await state()) === 'up'), a.messages());
    // And without: up, whoever answers.
    b.child.kill('SIGSTOP');
    assert.ok(await eventually(async () => (await state()) === 'down'), a.messages());
    rewrite(a, still('A') + six('A'));
    await reload(a.socket);
    b.child.kill('SIGCONT');
    assert.equal(await state(), 'up');
    await assertAnswered(namespaces, rA, '10.9.0.2');

    // One peer, then three, and the first keeps its counters.
    const hub = (...peers: string[]): string =>
      `[tunnel.hub]\nmode = "gre"\nlocal = "${OUTER.A}"\nremote = "any"\nkey = 5\naddress = ["10.6.0.1/24"]\npeers = [${peers.join(', ')}]\n`;
    const peer = (remote: string, route: string): string =>
      `{ remote = "${remote}", routes = ["${route}/32"] }`;
    const spoke = tunnelTable('hub', 'B', 'mode = "gre"', 'key = 5', 'address = ["10.6.0.2/24"]');
    const first = peer(OUTER.B, '10.6.0.2');
    await reloadBoth(lab, (side) => still(side) + (side === 'A' ? hub(first) : spoke));
    await assertAnswered(namespaces, rA, '10.6.0.2');
    const others = [peer('192.0.2.8', '10.6.0.8'), peer('192.0.2.9', '10.6.0.9')];
    rewrite(a, still('A') + hub(...others, first));
    await reload(a.socket);
    await assertAnswered(namespaces, rA, '10.6.0.2');
    const { peers = [], rx } = await tunnelStatus(a, 'hub');
    assert.deepEqual(peers.map((one) => [one.remote, one.rx.packets]).sort(), [
      ['192.0.2.2', 6],
      ['192.0.2.8', 0],
      ['192.0.2.9', 0],
    ]);
    assert.equal(rx.packets, 6);

    // Bound to a device, which no tunnel was before.
    const bound = (side: Side): string => `${still(side)}dev = "u0"\n`;
    assert.deepEqual(await reloadBoth(lab, bound), ['remove hub', 'move still']);
    await assertAnswered(namespaces, rA, '10.9.0.2');
  });
});
