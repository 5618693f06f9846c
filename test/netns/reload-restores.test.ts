// What somebody, or the kernel, took from the devices of a running router comes back with a reload of the file.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchDiff, reload, undo } from '../../src/control/reload-client.js';
import { ip } from '../../src/demo/namespaces.js';
import {
  assertAnswered,
  dropsOf,
  lacking,
  type Side,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { ours, rewrite } from '../support/reloads.js';

const ROUTES = ['10.66.0.0/16', '10.67.0.1/32', 'fd66::/48'];

const table = (name: string, side: Side, net: number, routes: readonly string[] = []): string =>
  tunnelTable(
    name,
    side,
    ...['mode = "gre"', `key = ${net}`, `routes = ${JSON.stringify(routes)}`],
    `address = ["10.${net}.0.${ours(side)}/24", "fd0${net}::${ours(side)}/64"]`,
  );
const tunnels = (side: Side): string => table('one', side, 8, ROUTES) + table('two', side, 9);

/** Addresses and routes of a device, as the kernel prints them. */
function given(namespace: string, device: string): string {
  const show = (...words: string[]): string => ip('-n', namespace, ...words, 'dev', device);
  const addresses = show('-o', 'address', 'show').match(/inet6? \S+/g) ?? [];
  const routes = `${show('-4', 'route', 'show')}${show('-6', 'route', 'show')}`.split('\n');
  const words = routes.map((route) => route.split(' ')[0]);
  return [...addresses, ...words]
    .filter((one) => !/fe80|^$/.test(one ?? ''))
    .sort()
    .join('\n');
}

test('routes and addresses that a device has lost are told by diff and come back with a reload', {
  skip: lacking('ping'),
}, async () => {
  await withLab('restores', { tunnels }, async ({ namespaces, rA, a }) => {
    const all = given(rA, 'one');
    assert.deepEqual((await fetchDiff(a.socket)).tunnels, []);
    // The kernel forgets routes and IPv6 addresses of a device that goes down.
    ip('-n', rA, 'link', 'set', 'one', 'down');
    assert.deepEqual(
      (await fetchDiff(a.socket)).tunnels,
      [],
      'a device that is down has no routes',
    );
    ip('-n', rA, 'link', 'set', 'one', 'up');
    ip('-n', rA, 'address', 'del', '10.9.0.1/24', 'dev', 'two');
    assert.notEqual(given(rA, 'one'), all);

    const lost = ['address fd08::1/64', ...ROUTES.map((route) => `route ${route}`)].join(', ');
    const changes = [
      { kind: 'change', name: 'one', keys: [], why: `its device lacks ${lost}` },
      { kind: 'change', name: 'two', keys: [], why: 'its device lacks address 10.9.0.1/24' },
    ];
    assert.deepEqual((await fetchDiff(a.socket)).tunnels, changes);
    assert.deepEqual((await reload(a.socket)).tunnels, changes);
    assert.equal(given(rA, 'one'), all);
    await assertAnswered(namespaces, rA, '10.9.0.2');
    await assertAnswered(namespaces, rA, 'fd08::2');
    assert.deepEqual((await reload(a.socket)).tunnels, []);
    assert.deepEqual(await dropsOf(a), {});
  });
});

test('a route that leads elsewhere by now stays there, and one that the new config has not stays away', {
  skip: lacking('ping'),
}, async () => {
  await withLab('elsewhere', { tunnels }, async ({ rA, a }) => {
    const [moved = '', dropped = '', lost = ''] = ROUTES;
    ip('-n', rA, 'route', 'replace', moved, 'dev', 'two');
    ip('-n', rA, 'route', 'del', dropped, 'dev', 'one');
    ip('-n', rA, 'route', 'del', lost, 'dev', 'one');
    rewrite(a, table('one', 'A', 8, [moved, lost]) + table('two', 'A', 9));
    const [change] = (await reload(a.socket)).tunnels;
    assert.ok(change?.kind === 'change');
    assert.equal(change.why, `its device lacks route ${lost}`);
    assert.match(ip('-n', rA, 'route', 'show', moved), /dev two/);
    assert.equal(ip('-n', rA, 'route', 'show', dropped), '');
    assert.match(ip('-n', rA, '-6', 'route', 'show', lost), /dev one/);
    await undo(a.socket);
    assert.match(ip('-n', rA, 'route', 'show', dropped), /dev one/);
  });
});
