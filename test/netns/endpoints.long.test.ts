// Endpoints of every kind: link-local addresses and gateways, multicast groups, addresses that are not ours or not
// yet, and what the devices of a tunnel get from theirs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { startRouter } from '../../src/demo/router-process.js';
import { hardwareAddress, readMachineId } from '../../src/router/hardware-address.js';
import {
  ANSWERED,
  assertAnswered,
  dropsOf,
  eventually,
  killRouter,
  type Lab,
  lacking,
  OUTER,
  OUTER6,
  other,
  type Side,
  startRouters,
  tunnelStatus,
  tunnelTable6,
  UNDERLAY,
  withLab,
  withWire,
  XDP,
} from '../support/lab.js';
import { injectPackets, seeFrames } from '../support/packet-task.js';
import { gre, ipv4, ipv6 } from '../support/packets.js';
import {
  assertAlive,
  assertNoDrops,
  assertNothingDropped,
  assertTransfers,
  introduce,
  PEER,
  TUNNEL,
  tunnelOf,
  tunnelPeer,
} from '../support/traffic.js';
import { redirected } from '../support/wire-count.js';

const skip = lacking('ping', 'ethtool');
const LARGE = 3000;
const LINK_LOCAL: Readonly<Record<Side, string>> = { A: 'fe80::a', B: 'fe80::b' };
const RAW = 'underlay = "raw"';

/** A `[tunnel.tun1]` table between any two addresses, for IPv4. */
function table(
  side: Side,
  mode: string,
  local: string,
  remote: string,
  ...lines: string[]
): string {
  const ours = side === 'A' ? 1 : 2;
  const theirs = side === 'A' ? 2 : 1;
  return [
    `[tunnel.${TUNNEL}]`,
    ...[`mode = "${mode}"`, `local = "${local}"`, `remote = "${remote}"`, ...lines],
    ...[`address = ["10.9.0.${ours}/24"]`, `routes = ["10.${theirs}.0.0/24"]`],
    '',
  ].join('\n');
}

/** Pings of both sizes both ways; each packet is counted once at either end. */
async function assertPings({ namespaces, rA, rB, a, b }: Lab): Promise<void> {
  await assertAnswered(namespaces, rA, PEER);
  await assertAnswered(namespaces, rB, tunnelPeer('B'), LARGE);
  await assertNoDrops({ a, b });
  for (const router of [a, b]) {
    const { rx, tx } = await tunnelStatus(router, TUNNEL);
    assert.deepEqual([rx.packets, tx.packets], [4 * ANSWERED, 4 * ANSWERED]);
  }
}

for (const [mode, router] of [
  ['ip6gre', RAW],
  ['ip6gre', XDP],
  ['ip4ip6', RAW],
  ['gre-udp', RAW],
] as const) {
  test(`${mode} between link-local addresses, ${router}`, { skip }, async () => {
    const tunnels = (side: Side): string =>
      table(side, mode, LINK_LOCAL[side], LINK_LOCAL[other(side)], `dev = "${UNDERLAY}"`);
    const options = { ipv6: false, outer: 6, hosts: true } as const;
    await withWire('local', options, async (wire) => {
      for (const [side, namespace] of [
        ['A', wire.rA],
        ['B', wire.rB],
      ] as const) {
        const address = `${LINK_LOCAL[side]}/64`;
        ip('-n', namespace, 'address', 'add', address, 'dev', UNDERLAY, 'nodad');
      }
      const lab = await startRouters(wire, { tunnels, router });
      assertAlive(lab);
      await assertPings(lab);
      await assertTransfers(lab, { size: 4 << 20 });
      await assertNothingDropped(lab);
    });
  });
}

test('a remote behind a link-local gateway is reached past the IP stack', { skip }, async () => {
  const far = '2001:db8:9::1';
  const tunnels = (side: Side): string =>
    side === 'A' ? table(side, 'ip6gre', OUTER6.A, far) : table(side, 'ip6gre', far, OUTER6.A);
  await withWire('gateway', { ipv6: false, outer: 6 }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    ip('-n', rB, 'address', 'add', `${LINK_LOCAL.B}/64`, 'dev', UNDERLAY, 'nodad');
    ip('-n', rB, 'address', 'add', `${far}/128`, 'dev', 'lo', 'nodad');
    ip('-n', rA, 'route', 'add', `${far}/128`, 'via', LINK_LOCAL.B, 'dev', UNDERLAY);
    const lab = await startRouters(wire, { tunnels, router: XDP });
    await assertPings(lab);
    // A program in the driver at B's end takes what A sends, whichever way A sent it; frames leave with B's address.
    const before = redirected(namespaces, rB, UNDERLAY);
    await assertAnswered(namespaces, rA, PEER, LARGE);
    assert.equal(redirected(namespaces, rB, UNDERLAY) - before, 3 * ANSWERED);
    await assertNothingDropped(lab);
  });
});

for (const [mode, group, outer] of [
  ['gre', '239.1.2.3', 4],
  ['ipip', '239.1.2.3', 4],
  ['gretap', '239.1.2.3', 4],
  ['gre-udp', '239.1.2.3', 4],
  ['ip6gre', 'ff15::1:2', 6],
  ['ip6gretap', 'ff02::1:2', 6],
  ['gre-udp', 'ff15::1:2', 6],
] as const) {
  for (const router of [RAW, `${XDP}\nlanes = 2`]) {
    test(`${mode} to the group ${group} reaches its members once, ${router.replace('\n', ', ')}`, {
      skip,
    }, async () => {
      const ends = outer === 4 ? OUTER : OUTER6;
      const tunnels = (side: Side): string =>
        table(side, mode, ends[side], group, `dev = "${UNDERLAY}"`);
      const isEthernet = mode.endsWith('tap');
      const options = { tunnels, ipv6: false, outer, router };
      await withLab('group', options, async (lab) => {
        assertAlive(lab);
        if (isEthernet) introduce(lab, 4);
        await assertPings(lab);
      });
    });
  }
}

test('a TAP device has the address that follows from machine, name and end, also after a crash', {
  skip,
}, async () => {
  const tunnels = tunnelOf({ mode: 'gretap', lines: [], version: 4, isEthernet: true });
  await withWire('mac', { ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    const addressIn = (namespace: string): string =>
      JSON.parse(ip('-n', namespace, '-j', 'link', 'show', 'dev', TUNNEL))[0].address;
    const lab = await startRouters(wire, { tunnels });
    const machine = readMachineId();
    const first = addressIn(rA);
    if (machine !== undefined) {
      assert.equal(first, hardwareAddress({ name: TUNNEL, local: OUTER.A }, machine));
      assert.equal(addressIn(rB), hardwareAddress({ name: TUNNEL, local: OUTER.B }, machine));
    }
    assert.notEqual(first, addressIn(rB), 'the ends differ, on one machine too');
    await killRouter(lab.a);
    const again = await startRouter(namespaces, rA, tunnels('A'));
    if (machine !== undefined) assert.equal(addressIn(rA), first);
    await assertAnswered(namespaces, rB, tunnelPeer('B'));
    await assertNoDrops({ a: again, b: lab.b });
  });
});

test('a device that carries IPv4 alone has no IPv6, all others have', { skip }, async () => {
  const modes = { ipip: 1, gre: 0, gretap: 0, ip4ip6: 1, ip6gre: 0, ip6ip6: 0 };
  const tunnels = (side: Side): string =>
    Object.keys(modes)
      .map((mode) => {
        const isOver6 = mode.includes('ip6');
        const ends = isOver6 ? OUTER6 : OUTER;
        const words = [`local = "${ends[side]}"`, `remote = "${ends[other(side)]}"`];
        return [`[tunnel.t-${mode}]`, `mode = "${mode}"`, ...words, ''].join('\n');
      })
      .join('\n');
  await withLab('carried', { tunnels, outer: 6 }, async ({ namespaces, rA, a, b }) => {
    for (const [mode, disabled] of Object.entries(modes)) {
      const file = `/proc/sys/net/ipv6/conf/t-${mode}/disable_ipv6`;
      assert.equal(Number(namespaces.run(rA, 'cat', [file])), disabled, mode);
    }
    // What the kernel says on a device that carries IPv4 alone is not there to be dropped.
    for (const router of [a, b]) assert.deepEqual(await dropsOf(router), {});
  });
});

test('the MTU follows from the route to an IPv6 remote', { skip }, async () => {
  const tunnels = (side: Side): string =>
    tunnelTable6(TUNNEL, side, 'mode = "ip6gre"', 'key = 7', 'address = ["10.9.0.1/24"]');
  await withWire('mtu6', { ipv6: false, outer: 6 }, async (wire) => {
    const { namespaces, rA } = wire;
    ip('-n', rA, 'route', 'add', `${OUTER6.B}/128`, 'dev', UNDERLAY, 'mtu', '1400');
    const a = await startRouter(namespaces, rA, tunnels('A'));
    assert.equal((await tunnelStatus(a, TUNNEL)).mtu, 1400 - 40 - 8);
  });
});

test('a local address that is not ours is refused by name; one that is being probed is waited for', {
  skip,
}, async () => {
  const tunnels = (side: Side): string =>
    tunnelTable6(
      TUNNEL,
      side,
      'mode = "ip6gre"',
      `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`,
    );
  await withWire('probe', { ipv6: false, outer: 6 }, async (wire) => {
    const { namespaces, rA } = wire;
    ip('-n', rA, 'address', 'del', `${OUTER6.A}/64`, 'dev', UNDERLAY);
    await assert.rejects(
      startRouter(namespaces, rA, tunnels('A')),
      /tunnel tun1: local 2001:db8::1 is not an address of this machine: EADDRNOTAVAIL/,
    );
    const file = `/proc/sys/net/ipv6/conf/${UNDERLAY}/accept_dad`;
    namespaces.run(rA, 'sh', ['-c', `echo 1 > ${file}`]);
    ip('-n', rA, 'address', 'add', `${OUTER6.A}/64`, 'dev', UNDERLAY);
    const tentative = (): string =>
      ip('-n', rA, '-6', 'address', 'show', 'dev', UNDERLAY, 'tentative');
    assert.match(tentative(), /2001:db8::1/);
    const lab = await startRouters(wire, { tunnels });
    assert.doesNotMatch(tentative(), /2001:db8::1/);
    await assertPings(lab);
  });
});

test('the underlay raw-socket refuses what it cannot carry', { skip }, async () => {
  await withWire('refuse', { ipv6: false, outer: 6 }, async ({ namespaces, rA }) => {
    const tunnels = table('A', 'ip6gre', OUTER6.A, OUTER6.B);
    await assert.rejects(
      startRouter(namespaces, rA, tunnels, 'underlay = "raw-socket"'),
      /underlay = "raw-socket" carries no tunnel over IPv6 or UDP/,
    );
  });
});

for (const router of [RAW, XDP]) {
  test(`strangers over IPv6 are counted and get no answer, ${router}`, { skip }, async () => {
    const tunnels = tunnelOf({ mode: 'ip6gre', lines: ['key = 42'], version: 4, outer: 6 });
    await withLab('stranger6', { tunnels, ipv6: false, outer: 6, router }, async (lab) => {
      const { namespaces, rA, rB, b } = lab;
      await assertAnswered(namespaces, rA, PEER);
      const seen = await seeFrames(namespaces, rB, UNDERLAY);
      const inner = ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 });
      const toB = { destination: '20010db8000000000000000000000002', nextHeader: 47 };
      const fromA = { ...toB, source: '20010db8000000000000000000000001' };
      const stranger = { ...toB, source: '20010db8000000000000000000000099' };
      injectPackets(namespaces, rA, [
        ipv6({ ...stranger, payload: gre({ key: 42, payload: inner }) }),
        ipv6({ ...fromA, payload: gre({ key: 43, payload: inner }) }),
        ipv6({ ...fromA, payload: gre({ payload: inner }) }),
        ipv6({ ...fromA, payload: Uint8Array.of(0x20) }),
        ipv6({ ...fromA, payload: gre({ key: 42, payload: inner }) }),
      ]);
      const expected = { 'no-tunnel': 3, 'gre-truncated': 1 };
      assert.ok(await eventually(async () => (await dropsOf(b))['no-tunnel'] === 3));
      assert.deepEqual(await dropsOf(b), expected);
      assert.equal((await tunnelStatus(b, TUNNEL)).rx.packets, ANSWERED + 1);
      await assertAnswered(namespaces, rA, PEER);
      // ICMPv6 that B sent, neighbour discovery aside.
      const errors = seen.filter((line) => {
        const frame = Buffer.from(line, 'hex');
        const isFromB = frame.readUInt16BE(12) === 0x86dd && frame[14 + 6] === 58;
        return (
          isFromB && frame.toString('hex', 22, 38) === toB.destination && (frame[54] ?? 0) < 128
        );
      });
      assert.deepEqual(errors, []);
      // What a program in the driver takes, those of a known peer, nobody else sees.
      assert.ok(seen.length >= (router === RAW ? 5 : 1), 'the watcher saw the strangers');
    });
  });
}
