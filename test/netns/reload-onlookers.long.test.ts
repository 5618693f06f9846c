// What looks on while packets pass goes by the tunnels as they are: reloads change what it is about.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { reload } from '../../src/control/reload-client.js';
import { ip } from '../../src/demo/namespaces.js';
import {
  assertAnswered,
  dropsOf,
  grebe,
  lacking,
  ping,
  type Side,
  startRouters,
  tunnelStatus,
  tunnelTable,
  withLab,
  withWire,
} from '../support/lab.js';
import { ours, reloadBoth, rewrite, still } from '../support/reloads.js';

const numbered = (side: Side): string =>
  tunnelTable('numbered', side, 'mode = "gre"', 'key = 2', 'seq = true', addressOf(side, 8));

function addressOf(side: Side, network: number): string {
  return `address = ["10.${network}.0.${ours(side)}/24"]`;
}

test('a tunnel that goes and comes again goes on with its sequence numbers: its peer takes none for old', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = (side: Side): string => still(side) + numbered(side);
  await withLab('onlookers', { ipv6: false, tunnels }, async ({ rA, a, b }) => {
    const few = ['-q', '-i', '0.01', '-c', '50', '-W', '2', '10.8.0.2'];
    assert.equal((await ping(rA, ...few)).received, 50);
    for (const lines of [still('A'), still('A') + numbered('A')]) {
      rewrite(a, lines);
      await reload(a.socket);
    }
    const { received, output } = await ping(rA, ...few);
    assert.equal(received, 50, output);
    assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
  });
});

test('the recorder shows of a tunnel its own packets, not those of one that had its record before', {
  skip: lacking('ping'),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-onlookers-'));
  const added = (name: string, key: number) => (side: Side) =>
    still(side) + tunnelTable(name, side, 'mode = "gre"', `key = ${key}`, addressOf(side, 7));
  const recorded = async (socket: string, name: string): Promise<number> => {
    const file = join(folder, `${name}.pcapng`);
    const text = await grebe('recorder', 'dump', name, '-j', '-w', file, '--socket', socket);
    return JSON.parse(text).packets;
  };
  try {
    const tunnels = added('first', 3);
    await withLab('onlookers', { ipv6: false, tunnels }, async (lab) => {
      const { namespaces, rA, a } = lab;
      await assertAnswered(namespaces, rA, '10.7.0.2');
      const both = await recorded(a.socket, 'first');
      assert.ok(both > 0);
      assert.deepEqual(await reloadBoth(lab, still), ['remove first']);
      assert.deepEqual(await reloadBoth(lab, added('second', 4)), ['add second']);
      assert.equal(await recorded(a.socket, 'second'), 0);
      await assertAnswered(namespaces, rA, '10.7.0.2');
      assert.equal(await recorded(a.socket, 'second'), both);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a device on a small path gets the MTU that IPv6 needs with its first IPv6 address, and loses it with the last', async () => {
  const SMALL = 1290;
  const inner = (side: Side, ...addresses: string[]): string =>
    tunnelTable('small', side, 'mode = "gre"', `address = ${JSON.stringify(addresses)}`);
  const tunnels = (side: Side): string => inner(side, `10.6.0.${ours(side)}/24`);
  await withWire('onlookers', { ipv6: true }, async (wire) => {
    const { rA, rB } = wire;
    for (const router of [rA, rB]) ip('-n', router, 'link', 'set', 'u0', 'mtu', String(SMALL));
    const { a } = await startRouters(wire, { tunnels });
    const mtu = (): number => JSON.parse(ip('-n', rA, '-j', 'link', 'show', 'small'))[0].mtu;
    assert.equal(mtu(), SMALL - 24);
    rewrite(a, inner('A', '10.6.0.1/24', 'fd00:6::1/64'));
    await reload(a.socket);
    assert.equal(mtu(), 1280);
    assert.match(ip('-n', rA, 'address', 'show', 'small'), /fd00:6::1\/64/);
    assert.equal((await tunnelStatus(a, 'small')).mtu, SMALL - 24);
    rewrite(a, tunnels('A'));
    await reload(a.socket);
    assert.equal(mtu(), SMALL - 24);
  });
});
