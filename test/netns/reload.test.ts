// Reloads of a router while packets pass: nothing is lost where nothing was to change, and counters go on.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fetchDiff, reload } from '../../src/control/reload-client.js';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import {
  assertAnswered,
  command,
  dropsOf,
  lacking,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';

/** Two tunnels, told apart by their keys. */
const still = (side: Side): string =>
  tunnelTable(
    'still',
    side,
    ...['mode = "gre"', 'key = 1', 'seq = true', `address = ["10.9.0.${ours(side)}/24"]`],
  );
const changing = (side: Side, ...lines: string[]): string =>
  tunnelTable(
    'changing',
    side,
    ...['mode = "gre"', 'key = 2', `address = ["10.8.0.${ours(side)}/24"]`, ...lines],
  );

function ours(side: Side): number {
  return side === 'A' ? 1 : 2;
}

/** Puts other tunnels into the config file of a router; its [router] table stays. */
function rewrite(router: RouterProcess, tunnels: string): void {
  const [head = ''] = readFileSync(router.config, 'utf8').split('\n[tunnel.');
  writeFileSync(router.config, `${head}\n${tunnels}`);
}

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

test('tunnels are added, rebuilt, renamed and removed at run time, and another loses nothing by it', {
  skip: lacking('ping'),
}, async () => {
  const added = (side: Side, mode: string): string =>
    tunnelTable('added', side, `mode = "${mode}"`, `address = ["10.7.0.${ours(side)}/24"]`);
  await withLab('reload', { ipv6: false, tunnels: still }, async ({ namespaces, rA, a, b }) => {
    const steady = ping(rA, '-q', '-i', '0.005', '-c', '1500', '-W', '2', '10.9.0.2');
    const both = async (tunnels: (side: Side) => string): Promise<string[]> => {
      rewrite(b, tunnels('B'));
      rewrite(a, tunnels('A'));
      await reload(b.socket);
      return (await reload(a.socket)).tunnels.map(({ kind, name }) => `${kind} ${name}`);
    };
    for (const mode of ['gre', 'ipip', 'gre-udp', 'gre']) {
      const done = await both((side) => still(side) + added(side, mode));
      assert.deepEqual(done, [
        mode === 'gre' && done[0] === 'add added' ? 'add added' : 'rebuild added',
      ]);
      await assertAnswered(namespaces, rA, '10.7.0.2');
      assert.equal((await tunnelStatus(a, 'added')).mode, mode);
    }
    // Its record stays, and so do its counters.
    assert.equal((await tunnelStatus(a, 'added')).rx.packets, 12);
    const renamed = await both(
      (side) => still(side) + added(side, 'gre').replace('added', 'other'),
    );
    assert.deepEqual(renamed, ['rename added']);
    await assertAnswered(namespaces, rA, '10.7.0.2');
    assert.equal((await tunnelStatus(a, 'other')).rx.packets, 3);
    assert.deepEqual(await both(still), ['remove other']);
    assert.doesNotMatch(await command(rA, 'ip', 'link'), /other|added/);
    const { sent, received, output } = await steady;
    assert.deepEqual([sent, received], [1500, 1500], output);
    const status = await readStatus(a);
    assert.equal(status.tunnels[0]?.rx.packets, 1500);
    assert.deepEqual(status.tunnels[0]?.drops, {});
    // What the others had is still counted.
    assert.equal(status.gone?.rx.packets, 15);
    const all = [status.drops, status.gone?.drops ?? {}].flatMap((one) => Object.values(one));
    const counted = 1500 + 15 + all.reduce((sum, count) => sum + count, 0);
    assert.equal(status.received.underlay + status.received.device, counted + 1500 + 15);
  });
});
