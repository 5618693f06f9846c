// Who scans for open tunnels hears nothing, neither of the router nor of the kernel under it: real packets on a cable,
// and every frame that the router's namespace sends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { close, NativeBlock, recvfrom } from '../../src/sys/libc.js';
import { AF_INET6, openSocket, SOCK_NONBLOCK, SOCK_RAW } from '../../src/sys/socket.js';
import { readHostileCases } from '../support/cases.js';
import { enterNamespace, namespacePath } from '../support/enter-namespace.js';
import { dropsOf, eventually, lacking, XDP } from '../support/lab.js';
import { scanProbes } from '../support/probes.js';
import { ROUTER4, ROUTER6, withScanner } from '../support/scanner.js';
import { WITHOUT_IPV6 } from '../support/without-ipv6.js';

const PEER4 = '198.51.100.2';
const PEER6 = '2001:db8:0:2::2';
const PEER6_HEX = '20010db8000000020000000000000002';
/** IPv4 and IPv6 in IP, GRE. */
const PROTOCOLS = [4, 41, 47];
/** More than a probe has. */
const ROOM = 2048;

/** The packets of the list, and every scan of every protocol. */
const PROBES = [
  ...readHostileCases().flatMap(({ id, bytes }) => (id.startsWith('tt-') ? [bytes] : [])),
  ...scanProbes(),
];
const probesOver = (version: number): Uint8Array[] =>
  PROBES.filter((bytes) => (bytes[0] ?? 0) >>> 4 === version);

/** A tunnel to a peer that is not the scanner; `number` makes its addresses its own. */
function table(mode: string, number: number, version: 4 | 6): string {
  const [local, remote] = version === 4 ? [ROUTER4, PEER4] : [ROUTER6, PEER6];
  const isOnly6 = mode === 'sit' || mode === 'ip6ip6';
  const [address, route] = isOnly6
    ? [`fd00:${number}::1/64`, `fd00:9${number}::/64`]
    : [`10.9.${number}.1/24`, `10.10.${number}.0/24`];
  return [
    ...[`[tunnel.t${number}]`, `mode = "${mode}"`, `local = "${local}"`, `remote = "${remote}"`],
    ...[`address = ["${address}"]`, `routes = ["${route}"]`, ''],
  ].join('\n');
}

const OVER4 = [table('gre', 1, 4), table('ipip', 2, 4), table('sit', 3, 4)].join('\n');
const OVER6 = [table('ip6gre', 4, 6), table('ip4ip6', 5, 6), table('ip6ip6', 6, 6)].join('\n');
const OVER_UDP = table('gre-udp', 7, 4);
const skip = lacking();

test('a kernel without a router answers every probe: the watcher sees it', { skip }, async () => {
  await withScanner('probed', async ({ scan }) => {
    for (const version of [4, 6] as const) {
      const probes = probesOver(version);
      assert.ok(probes.length >= 15);
      const types = scan(probes).map((frame) => frame[version === 4 ? 34 : 54]);
      // Protocol unreachable; parameter problem.
      assert.deepEqual(
        types,
        probes.map(() => (version === 4 ? 3 : 4)),
      );
    }
  });
});

/** Routers, and which version of IP their tunnels of these protocols are over. */
const ROUTERS = [
  { what: 'over IPv4 alone', tunnels: OVER4, versions: [4] },
  { what: 'over IPv6 alone', tunnels: OVER6, versions: [6] },
  { what: 'over UDP alone', tunnels: OVER_UDP, versions: [] },
  {
    what: 'over both, with two lanes',
    tunnels: `${OVER4}${OVER6}`,
    versions: [4, 6],
    lines: 'lanes = 2',
  },
  { what: 'over IPv4 alone, past the IP stack', tunnels: OVER4, versions: [4], lines: XDP },
];

for (const { what, tunnels, versions, lines = '' } of ROUTERS) {
  test(`no probe is answered by a router with tunnels ${what}`, { skip }, async () => {
    await withScanner('probes', async ({ namespaces, router: namespace, scan }) => {
      const router = await startRouter(namespaces, namespace, tunnels, lines);
      assert.deepEqual(scan(PROBES).map(toHex), []);
      const count = versions.flatMap(probesOver).length;
      assert.ok(
        await eventually(async () => (await readStatus(router)).received.underlay === count),
      );
      const drops = count === 0 ? {} : { 'no-tunnel': count };
      assert.deepEqual((await readStatus(router)).drops, drops);
      assert.deepEqual(await dropsOf(router), drops);
    });
  });
}

test('nor are probes that the peer of a tunnel sends, with inner sources that are not its own', {
  skip,
}, async () => {
  await withScanner('spoofed', async ({ namespaces, router: namespace, scan }) => {
    const router = await startRouter(namespaces, namespace, `${OVER4}${OVER6}`);
    const probes = scanProbes(PEER4, PEER6_HEX);
    assert.deepEqual(scan(probes).map(toHex), []);
    const isDone = async () => (await readStatus(router)).received.underlay === probes.length;
    assert.ok(await eventually(isDone));
    const { tunnels, drops, icmp } = await readStatus(router);
    assert.deepEqual(drops, {});
    assert.equal(icmp.answers, 0);
    for (const { rx, drops: own, name } of tunnels) {
      assert.deepEqual(rx, { packets: 0, bytes: 0 }, name);
      const sum = Object.values(own).reduce((left, right) => left + right, 0);
      assert.equal(sum, 5, name);
    }
    // A ping is from the peer itself, but to the end of the tunnel.
    assert.deepEqual(await dropsOf(router), { 'inner-src-spoof': 24, 'inner-dst-policy': 6 });
  });
});

test('a router without tunnels of a protocol takes nothing from other programs that receive it', {
  skip,
}, async () => {
  await withScanner('beside', async ({ namespaces, router: namespace, scan }) => {
    const others = enterNamespace(namespacePath(namespace), () =>
      PROTOCOLS.map((protocol) =>
        openSocket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, protocol, 'another program'),
      ),
    );
    try {
      await startRouter(namespaces, namespace, OVER4);
      const probes = probesOver(6);
      assert.deepEqual(scan(probes).map(toHex), []);
      assert.deepEqual(
        others.map(countReceived),
        PROTOCOLS.map((protocol) => probes.filter((bytes) => bytes[6] === protocol).length),
      );
    } finally {
      for (const fd of others) close(fd);
    }
  });
});

test('on a kernel without IPv6 a router over IPv4 is as silent', { skip }, async () => {
  await withScanner('only4', async ({ namespaces, router: namespace, scan }) => {
    await assert.rejects(
      startRouter(namespaces, namespace, OVER6, '', WITHOUT_IPV6),
      /the kernel refused: EAFNOSUPPORT/,
    );
    await startRouter(namespaces, namespace, OVER_UDP, '', WITHOUT_IPV6);
    const probes = probesOver(4);
    assert.deepEqual(scan(probes).map(toHex), []);
  });
});

test('when the router stops the kernel answers again', { skip }, async () => {
  await withScanner('stopped', async ({ namespaces, router: namespace, scan }) => {
    const { child } = await startRouter(namespaces, namespace, OVER4);
    await namespaces.stop(child);
    assert.equal(scan(scanProbes()).length, scanProbes().length);
  });
});

/** Packets that wait in a raw socket. */
function countReceived(fd: number): number {
  const block = new NativeBlock(ROOM);
  let count = 0;
  while (recvfrom(fd, block.address, ROOM, 0, 0, 0) >= 0) count++;
  return count;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
