// A path that takes less than the tunnel was told: the first packet that is too long finds it, its sender is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendFrom, startReceiver } from '../../src/demo/host-process.js';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import { FAR, farTunnel, NARROW, withHops } from '../support/hops.js';
import {
  command,
  dropsOf,
  eventually,
  HOST4,
  HOST6,
  lacking,
  ping,
  tunnelStatus,
} from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';

interface Case {
  readonly mode: string;
  readonly outer: 4 | 6;
  readonly inner: 4 | 6;
  readonly overhead: number;
  readonly lines?: readonly string[];
}

const CASES: readonly Case[] = [
  { mode: 'gre', outer: 4, inner: 4, overhead: 24 },
  { mode: 'gre', outer: 4, inner: 6, overhead: 28, lines: ['key = 7'] },
  { mode: 'ipip', outer: 4, inner: 4, overhead: 20 },
  { mode: 'sit', outer: 4, inner: 6, overhead: 20 },
  { mode: 'gre-udp', outer: 4, inner: 4, overhead: 32 },
  { mode: 'ip6gre', outer: 6, inner: 4, overhead: 44 },
  { mode: 'ip6ip6', outer: 6, inner: 6, overhead: 40 },
];

/** IP and ICMP header of a ping. */
const HEADERS = { 4: 28, 6: 48 } as const;

for (const { mode, outer, inner, overhead, lines = [] } of CASES) {
  test(`${mode} over IPv${outer}: the sender over IPv${inner} is told of a narrow path by its first packet, both ways`, {
    skip: lacking('ping'),
  }, async () => {
    const options = { tunnels: farTunnel(mode, outer, { lines }) };
    await withHops('path', options, async ({ hA, hB, a, b }) => {
      const hosts = inner === 4 ? HOST4 : HOST6;
      const wide = 1500 - overhead;
      const narrow = NARROW - overhead;
      assert.equal((await tunnelStatus(a, 'tun1')).mtu, wide);
      for (const [host, router, target] of [
        [hA, a, hosts.B],
        [hB, b, hosts.A],
      ] as const) {
        const size = (length: number): string => String(length - HEADERS[inner]);
        await ping(host, '-c', '1', '-W', '1', '-s', '100', target); // neighbours on the way find each other
        const told = await ping(host, '-M', 'do', '-c', '1', '-W', '1', '-s', size(wide), target);
        assert.match(
          told.output,
          inner === 4 ? new RegExp(`mtu = ${narrow}`) : new RegExp(`mtu=${narrow}`),
        );
        assert.equal((await tunnelStatus(router, 'tun1')).pathMtu, narrow);
        const fits = await ping(
          host,
          '-M',
          'do',
          '-c',
          '2',
          '-i',
          '0.2',
          '-s',
          size(narrow),
          target,
        );
        assert.equal(fits.received, 2, fits.output);
        const { icmp, generated } = await readStatus(router);
        assert.deepEqual(icmp, { answers: 1, answersLimited: 0, errors: 1, errorsLimited: 0 });
        assert.equal(generated, 0);
      }
      assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
    });
  });
}

/** MTU of the device `tun1`. */
async function deviceMtu(namespace: string): Promise<number> {
  const text = await command(namespace, 'ip', '-j', 'link', 'show', 'dev', 'tun1');
  return JSON.parse(text)[0].mtu;
}

/** Every packet that came in or was made went out, in, or has its reason. */
async function assertCounted(router: RouterProcess): Promise<void> {
  const { received, generated, tunnels, drops, icmp } = await readStatus(router);
  const sum = (counts: object): number =>
    Object.values(counts).reduce((total: number, count: number) => total + count, 0);
  const passed = tunnels.reduce(
    (total, { rx, tx, drops: own }) => total + rx.packets + tx.packets + sum(own),
    0,
  );
  const { 'icmp-no-tunnel': strange = 0, 'icmp-malformed': malformed = 0, ...others } = drops;
  assert.equal(received.device + received.underlay + generated, passed + sum(others));
  assert.ok(icmp.errors >= strange + malformed);
}

test('TCP gets through a path that is narrower than the tunnel, and the device follows', {
  skip: lacking(),
}, async () => {
  const tunnels = farTunnel('gre', 4, { inner: 4, lines: ['mss = "off"'] });
  await withHops(
    'pathtcp',
    { tunnels, ipv6: false },
    async ({ namespaces, hA, hB, rA, rB, a, b }) => {
      const size = 4_000_000;
      const receiver = await startReceiver(namespaces, hB, HOST4.B, 5001);
      const result = await sendFrom(namespaces, hA, HOST4.B, 5001, 20, size);
      await namespaces.stop(receiver);
      assert.equal(result.bytes, size);
      assert.ok(result.intact);
      assert.equal((await tunnelStatus(a, 'tun1')).pathMtu, 1376);
      assert.equal((await tunnelStatus(b, 'tun1')).pathMtu, undefined);
      assert.ok(await eventually(async () => (await deviceMtu(rA)) === 1376));
      assert.equal(await deviceMtu(rB), 1476);
      for (const router of [a, b]) await assertCounted(router);
    },
  );
});

test('a path below 1280 bytes: IPv4 goes in fragments or is answered, IPv6 passes in fragments', {
  skip: lacking('ping'),
}, async () => {
  await withHops('pathlow', { tunnels: farTunnel('gre', 4) }, async ({ m, n, hA, rA, a, b }) => {
    ip('-n', m, 'link', 'set', 'n0', 'mtu', '1000');
    ip('-n', n, 'link', 'set', 'm0', 'mtu', '1000');
    const narrow = 1000 - 24;
    const split = (size: number, count: number): string[] => [
      ...['-M', 'dont', '-c', String(count), '-i', '0.2', '-W', '1', '-s', String(size - 28)],
      HOST4.B,
    ];
    // The first of each way is lost, and shows what the path takes.
    await ping(hA, ...split(1200, 3));
    assert.equal((await tunnelStatus(a, 'tun1')).pathMtu, narrow);
    assert.equal((await tunnelStatus(b, 'tun1')).pathMtu, narrow);
    assert.ok(await eventually(async () => (await deviceMtu(rA)) === 1280));
    const before = await readStatus(a);
    const passed = await ping(hA, ...split(1200, 3));
    assert.equal(passed.received, 3, passed.output);
    const after = await readStatus(a);
    assert.equal(after.received.device - before.received.device, 6, 'two fragments each');
    const told = await ping(hA, '-M', 'do', '-c', '1', '-W', '1', '-s', '1172', HOST4.B);
    assert.match(told.output, new RegExp(`mtu = ${narrow}`));
    const six = await ping(hA, '-c', '3', '-i', '0.2', '-W', '1', '-s', String(1280 - 48), HOST6.B);
    assert.equal(six.received, 3, six.output);
    for (const router of [a, b]) await assertCounted(router);
    assert.deepEqual(await dropsOf(b), {});
  });
});

test('without pmtudisc a packet that its device does not take leaves in fragments', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = farTunnel('gre', 4, { inner: 4, lines: ['pmtudisc = false'] });
  await withHops('pathout', { tunnels, ipv6: false }, async ({ rA, m, hA, a, b }) => {
    ip('-n', rA, 'link', 'set', 'u0', 'mtu', '1300');
    ip('-n', m, 'link', 'set', 'a0', 'mtu', '1300');
    const split = await ping(
      hA,
      '-M',
      'dont',
      '-c',
      '3',
      '-i',
      '0.2',
      '-s',
      String(1476 - 28),
      HOST4.B,
    );
    assert.equal(split.received, 3, split.output);
    const { tx } = await tunnelStatus(a, 'tun1');
    assert.equal(tx.packets, 3);
    // With DF, which is copied, its sender is told what the device takes now.
    const told = await ping(hA, '-M', 'do', '-c', '1', '-W', '1', '-s', String(1476 - 28), HOST4.B);
    assert.match(told.output, /mtu = 1276/);
    assert.deepEqual(await dropsOf(a), { 'too-big': 1 });
    for (const router of [a, b]) await assertCounted(router);
  });
});

test('over IPv6, IPv6 of 1280 bytes passes a path of 1280, in fragments of the router', {
  skip: lacking('ping'),
}, async () => {
  await withHops('pathsix', { tunnels: farTunnel('ip6ip6', 6) }, async ({ m, n, hA, a, b }) => {
    ip('-n', m, 'link', 'set', 'n0', 'mtu', '1280');
    ip('-n', n, 'link', 'set', 'm0', 'mtu', '1280');
    const sized = (count: number): string[] => [
      ...['-c', String(count), '-i', '0.2', '-W', '1', '-s', String(1280 - 48)],
      HOST6.B,
    ];
    await ping(hA, '-c', '1', '-W', '1', HOST6.B);
    await ping(hA, ...sized(3));
    assert.equal((await tunnelStatus(a, 'tun1')).pathMtu, 1240);
    const passed = await ping(hA, ...sized(3));
    assert.equal(passed.received, 3, passed.output);
    for (const router of [a, b]) await assertCounted(router);
  });
});

test('a frame that is too long for the path is answered by a frame', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = farTunnel('gretap', 4);
  await withHops('pathtap', { tunnels }, async ({ rA, hA, a, b }) => {
    const [wide, narrow] = [1500 - 38, NARROW - 38];
    await ping(rA, '-c', '1', '-W', '1', '10.9.0.2');
    const size = ['-s', String(wide - 28)];
    ip('-n', rA, 'route', 'replace', '10.2.0.0/24', 'via', '10.9.0.2', 'dev', 'tun1');
    const told = await ping(hA, '-M', 'do', '-c', '1', '-W', '1', ...size, HOST4.B);
    assert.match(told.output, new RegExp(`mtu = ${narrow}`));
    assert.equal((await tunnelStatus(a, 'tun1')).pathMtu, narrow);
    for (const router of [a, b]) await assertCounted(router);
  });
});

test('the far router shows on the way through the tunnel', { skip: lacking('ping') }, async () => {
  await withHops('trace', { tunnels: farTunnel('gre', 4) }, async ({ hA, a, b }) => {
    for (const [target, seen] of [
      [HOST4.B, ['10.1.0.1', '10.9.0.2', HOST4.B]],
      [HOST6.B, ['fd00:1::1', 'fd00:9::2', HOST6.B]],
    ] as const) {
      for (const [index, hop] of seen.entries()) {
        const { output } = await ping(hA, '-t', String(index + 1), '-c', '1', '-W', '1', target);
        assert.match(output, new RegExp(`[Ff]rom ${hop}:? `), `hop ${index + 1}`);
      }
    }
    assert.deepEqual(await dropsOf(b), { 'inner-ttl': 2 });
    const { generated, icmp } = await readStatus(b);
    assert.equal(generated, 2);
    assert.deepEqual(icmp, { answers: 2, answersLimited: 0, errors: 0, errorsLimited: 0 });
    for (const router of [a, b]) await assertCounted(router);
  });
});

test('forged errors lower a path no further than its floor, however many there are', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = farTunnel('gre', 4, { inner: 4, lines: ['key = 7'] });
  await withHops('forged', { tunnels, ipv6: false }, async ({ namespaces, n, hA, a }) => {
    const about = (key: number, mtu: number): Uint8Array => {
      const inner = ipv4({ source: HOST4.A, destination: HOST4.B, payload: new Uint8Array(1000) });
      const outer = ipv4({
        ...{ source: FAR[4].A, destination: FAR[4].B, protocol: 47, fragment: 0x4000 },
        payload: gre({ key, payload: inner }),
      });
      const payload = Buffer.concat([Buffer.of(3, 4, 0, 0, 0, 0, 0, 0), outer.subarray(0, 100)]);
      payload.writeUInt16BE(mtu, 6);
      payload.writeUInt16BE(checksumOf(payload), 2);
      return ipv4({ source: '203.0.113.2', destination: FAR[4].A, protocol: 1, payload });
    };
    injectPackets(
      namespaces,
      n,
      Array.from({ length: 5 }, () => about(8, 68)),
    );
    const strange = await eventually(async () => (await dropsOf(a))['icmp-no-tunnel'] === 5);
    assert.ok(strange, JSON.stringify(await dropsOf(a)));
    assert.equal((await tunnelStatus(a, 'tun1')).pathMtu, undefined);
    injectPackets(
      namespaces,
      n,
      Array.from({ length: 100 }, (_, index) => about(7, 68 + index)),
    );
    assert.ok(await eventually(async () => (await readStatus(a)).icmp.errors === 105));
    const { icmp } = await readStatus(a);
    assert.ok(icmp.errorsLimited >= 80, JSON.stringify(icmp));
    assert.equal((await tunnelStatus(a, 'tun1')).pathMtu, 552 - 28);
    const still = await ping(hA, '-M', 'dont', '-c', '2', '-i', '0.2', '-s', '1000', HOST4.B);
    assert.equal(still.received, 2, still.output);
  });
});

function checksumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
