// What would go in circles does not go into a tunnel, and what the router itself sends still does (RFC 2003, 3.2).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus } from '../../src/demo/router-process.js';
import {
  dropsOf,
  eventually,
  HOST4,
  lacking,
  OUTER,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { ipv4 } from '../support/packets.js';

function tunnels(...lines: string[]): (side: Side) => string {
  return (side) => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const words = [`address = ["10.9.0.${ours}/24"]`, `routes = ["10.${theirs}.0.0/24"]`];
    return tunnelTable('tun1', side, 'mode = "ipip"', ...words, 'allow = ["any"]', ...lines);
  };
}

test('the router pings through its tunnel from the inner address, and from the outer one', {
  skip: lacking('ping'),
}, async () => {
  await withLab('ownsrc', { tunnels: tunnels(), hosts: true, ipv6: false }, async (lab) => {
    const { namespaces, rA, hA, hB, a, b } = lab;
    const few = ['-c', '3', '-i', '0.05', '-W', '2'];
    const inner = await ping(rA, ...few, '-I', '10.9.0.1', HOST4.B);
    assert.equal(inner.received, 3, inner.output);
    // The far router takes its own outer address for a forgery from within a tunnel; the request gets that far.
    ip('-n', hB, 'route', 'replace', `${OUTER.A}/32`, 'via', '10.2.0.1');
    await ping(rA, ...few, '-I', OUTER.A, HOST4.B);
    // From elsewhere nothing comes with our address: the kernel of the router does not forward it.
    const forged = { source: OUTER.A, destination: HOST4.B, identification: 1 };
    injectPackets(namespaces, hA, [ipv4(forged), ipv4({ ...forged, source: '10.9.0.1' })]);
    await ping(hA, ...few, HOST4.B);
    assert.deepEqual(await dropsOf(a), {});
    assert.equal((await tunnelStatus(a, 'tun1')).tx.packets, 9);
    const { rx, drops } = await tunnelStatus(b, 'tun1');
    assert.deepEqual({ packets: rx.packets, drops }, { packets: 9, drops: {} });
  });
});

test('a packet that claims to be from the far end is dropped before the tunnel', {
  skip: lacking(),
}, async () => {
  await withLab('farsrc', { tunnels: tunnels(), ipv6: false }, async ({ namespaces, rA, a, b }) => {
    const forged = ipv4({ source: OUTER.B, destination: '10.2.0.9', identification: 1 });
    injectPackets(namespaces, rA, [forged, forged]);
    const isCounted = async (): Promise<boolean> => (await readStatus(a)).received.device === 2;
    assert.ok(await eventually(isCounted), JSON.stringify(await readStatus(a)));
    assert.deepEqual(await dropsOf(a), { 'inner-src-spoof': 2 });
    assert.equal((await tunnelStatus(a, 'tun1')).tx.packets, 0);
    assert.equal((await readStatus(b)).received.underlay, 0);
  });
});

test('two tunnels that lead into each other carry each packet once, not as often as it fits', {
  skip: lacking('ping'),
}, async () => {
  // The way to the far end of each leads through the other: all of this is one router's mistake.
  const circle = (side: Side): string => {
    if (side === 'B') return tunnelTable('idle1', side, 'mode = "ipip"', 'allow = ["any"]');
    const table = (name: string, remote: string, through: string, net: number): string =>
      [
        `[tunnel.${name}]`,
        'mode = "gre"',
        `local = "${OUTER.A}"`,
        `remote = "${remote}"`,
        `address = ["10.8.${net}.1/24"]`,
        `routes = ["${through}/32"]`,
        'allow = ["any"]',
        'mtu = 1400',
        '',
      ].join('\n');
    return (
      table('one', '203.0.113.1', '203.0.113.2', 1) + table('two', '203.0.113.2', '203.0.113.1', 2)
    );
  };
  await withLab('circle', { tunnels: circle, ipv6: false }, async ({ rA, a }) => {
    await ping(rA, '-c', '5', '-i', '0.05', '-W', '1', '10.8.1.2');
    const isDone = async (): Promise<boolean> => (await tunnelStatus(a, 'one')).tx.packets === 5;
    assert.ok(await eventually(isDone), JSON.stringify(await readStatus(a)));
    const { tunnels: found, received } = await readStatus(a);
    const drops = Object.fromEntries(found.map(({ name, drops: own }) => [name, own]));
    assert.deepEqual(drops, { one: {}, two: { 'nesting-limit': 5 } });
    assert.equal(received.device, 10);
  });
});
