// Paths that take less of a tunnel than the 1280 bytes of IPv6 (RFC 7676, 3.2 and 3.3; RFC 2473, 7.1; RFC 4213, 3.2.2):
// known when the router starts, or found out by probes of that size.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import { farTunnel, NARROW, withHops } from '../support/hops.js';
import {
  command,
  dropsOf,
  eventually,
  lacking,
  ping,
  type Side,
  startRouters,
  tunnelStatus,
  tunnelTable,
  tunnelTable6,
  withWire,
} from '../support/lab.js';

const SMALL = 1280;
/** IPv6 and ICMP header of a ping. */
const HEADERS = 48;

const CASES = [
  { mode: 'gre', outer: 4, mtu: SMALL - 24 },
  { mode: 'sit', outer: 4, mtu: SMALL - 20 },
  { mode: 'gre-udp', outer: 4, mtu: SMALL - 32 },
  { mode: 'gre-udp', outer: 6, mtu: SMALL - 52 },
  { mode: 'ip6gre', outer: 6, mtu: SMALL - 44 },
  { mode: 'ip6ip6', outer: 6, mtu: SMALL - 40 },
] as const;

for (const { mode, outer, mtu } of CASES) {
  test(`${mode} over IPv${outer} on a path of ${SMALL} bytes carries IPv6 of ${SMALL} in fragments, and no more`, {
    skip: lacking('ping'),
  }, async () => {
    const table = outer === 4 ? tunnelTable : tunnelTable6;
    const tunnels = (side: Side): string =>
      table('tun1', side, `mode = "${mode}"`, `address = ["fd00:9::${side === 'A' ? 1 : 2}/64"]`);
    await withWire('small', { outer }, async (wire) => {
      const { rA, rB } = wire;
      for (const router of [rA, rB]) ip('-n', router, 'link', 'set', 'u0', 'mtu', String(SMALL));
      const { a, b } = await startRouters(wire, { tunnels });
      const text = await command(rA, 'ip', '-j', 'link', 'show', 'dev', 'tun1');
      assert.equal(JSON.parse(text)[0].mtu, SMALL);
      assert.equal((await tunnelStatus(a, 'tun1')).mtu, mtu);
      const few = ['-c', '3', '-i', '0.05', '-W', '2'];
      for (const length of [100, mtu, mtu + 1, SMALL]) {
        const found = await ping(rA, ...few, '-s', String(length - HEADERS), 'fd00:9::2');
        assert.equal(found.received, 3, `${length}: ${found.output}`);
      }
      const large = await ping(rA, ...few, '-M', 'do', '-s', String(SMALL), 'fd00:9::2');
      assert.equal(large.received, 0);
      for (const router of [a, b]) assert.deepEqual(await dropsOf(router), {});
    });
  });
}

async function becomes(router: RouterProcess, state: 'up' | 'down'): Promise<void> {
  const found = async () => (await tunnelStatus(router, 'tun1')).state === state;
  assert.ok(await eventually(found, 10_000), JSON.stringify(await readStatus(router)));
}

test('probes of 1280 bytes take a tunnel down whose path loses them, and up again', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = (side: Side): string => {
    const size =
      side === 'A' ? ['probe = { target = "fd00:9::2", interval = "100ms", size = 1280 }'] : [];
    return farTunnel('ip6gre', 6, { inner: 6, lines: size })(side);
  };
  await withHops('trial', { tunnels }, async ({ n, rA, a, b }) => {
    const answered = async () => (await tunnelStatus(a, 'tun1')).localPackets >= 5;
    assert.ok(await eventually(answered, 10_000));
    await becomes(a, 'up'); // where A was long alone, it had been down
    const before = (await tunnelStatus(b, 'tun1')).rx;
    assert.equal(before.bytes, before.packets * 1280);
    // A cable takes without a word what is longer than its far end has for an MTU: a black hole.
    ip('-n', n, 'link', 'set', 'm0', 'mtu', '1280');
    await becomes(a, 'down');
    assert.equal((await tunnelStatus(a, 'tun1')).downReason, 'probe');
    ip('-n', n, 'link', 'set', 'm0', 'mtu', String(NARROW));
    await becomes(a, 'up');
    const through = await ping(rA, '-c', '2', '-i', '0.05', '-W', '2', '-s', '1232', 'fd00:9::2');
    assert.equal(through.received, 2, through.output);
  });
});
