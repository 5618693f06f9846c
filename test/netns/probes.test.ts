// Who scans for open tunnels hears nothing, neither of the router nor of the kernel under it: real packets on a cable,
// and every frame that the router's namespace sends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, Namespaces } from '../../src/demo/namespaces.js';
import { PacketSocket } from '../../src/demo/packet-socket.js';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { close, NativeBlock, recvfrom } from '../../src/sys/libc.js';
import { AF_INET6, openSocket, SOCK_NONBLOCK, SOCK_RAW } from '../../src/sys/socket.js';
import { readHostileCases } from '../support/cases.js';
import { enterNamespace, namespacePath } from '../support/enter-namespace.js';
import { FrameSender, takeFrames } from '../support/frame-socket.js';
import { dropsOf, eventually, lacking, XDP } from '../support/lab.js';
import { type Probe, ROUTER4, scanProbes } from '../support/probes.js';
import { WITHOUT_IPV6 } from '../support/without-ipv6.js';

const ROUTER6 = '2001:db8:0:1::1';
const PEER4 = '198.51.100.2';
const PEER6 = '2001:db8:0:2::2';
const PEER6_HEX = '20010db8000000020000000000000002';
const DEVICE = 'u0';
const SNAP_LENGTH = 2048;
/** How long an answer may take: the kernel's come at once. */
const ANSWER_MS = 300;

/** The packets of the list, and every scan of every protocol. */
const PROBES: readonly Probe[] = [
  ...readHostileCases()
    .filter(({ id }) => id.startsWith('tt-'))
    .map(
      ({ id, bytes }): Probe => ({ name: id, outer: (bytes[0] ?? 0) >>> 4 === 6 ? 6 : 4, bytes }),
    ),
  ...scanProbes(),
];

interface Scanner {
  readonly namespaces: Namespaces;
  readonly router: string;
  /** Sends packets, and returns what the router's end of the cable sent since: ARP and neighbours left out. */
  readonly scan: (probes: readonly Probe[]) => Uint8Array[];
}

/** A router that forwards, has its default routes by way of the scanner, and a kernel that answers without limit. */
async function withScanner(label: string, use: (scanner: Scanner) => Promise<void>): Promise<void> {
  const namespaces = new Namespaces(label);
  try {
    const outside = namespaces.add('outside', { ipv6: false });
    const router = namespaces.add('router', { forward: true });
    namespaces.link(
      { namespace: outside, device: DEVICE, addresses: [] },
      { namespace: router, device: DEVICE, addresses: [`${ROUTER4}/24`, `${ROUTER6}/64`] },
    );
    const limits = ['ipv4/icmp_ratelimit', 'ipv6/icmp/ratelimit'];
    const lines = limits.map((name) => `echo 0 > /proc/sys/net/${name}`);
    namespaces.run(router, 'sh', ['-ec', lines.join('\n')]);
    const [mac, far] = [hardwareAddress(router), hardwareAddress(outside)];
    const hexOf = (address: string): string => address.replaceAll(':', '');
    for (const gateway of ['192.0.2.254', '2001:db8:0:1::fe']) {
      ip('-n', router, 'neigh', 'add', gateway, 'lladdr', far, 'dev', DEVICE);
      ip('-n', router, 'route', 'add', 'default', 'via', gateway);
    }
    const [sender, socket] = enterNamespace(
      namespacePath(outside),
      () => [new FrameSender(DEVICE), new PacketSocket(DEVICE, SNAP_LENGTH)] as const,
    );
    try {
      const scan = (probes: readonly Probe[]): Uint8Array[] => {
        for (const { outer, bytes } of probes) {
          const type = outer === 4 ? '0800' : '86dd';
          sender.send(Buffer.concat([Buffer.from(hexOf(mac + far) + type, 'hex'), bytes]));
        }
        const frames = takeFrames(socket, ANSWER_MS);
        return frames.filter((frame) => isAnswer(frame, hexOf(mac)));
      };
      await use({ namespaces, router, scan });
    } finally {
      sender.close();
      socket.close();
    }
  } finally {
    await namespaces.close();
  }
}

function hardwareAddress(namespace: string): string {
  const [link] = JSON.parse(ip('-n', namespace, '-j', 'link', 'show', 'dev', DEVICE));
  return link.address;
}

/** Whether the router sent a frame, and not to find its neighbours or to tell of its groups. */
function isAnswer(frame: Uint8Array, mac: string): boolean {
  const bytes = Buffer.from(frame);
  if (bytes.subarray(6, 12).toString('hex') !== mac) return false;
  const type = bytes.readUInt16BE(12);
  if (type !== 0x86dd) return type === 0x0800;
  const isNeighbours = bytes[20] === 58 && (bytes[54] ?? 0) >= 133 && (bytes[54] ?? 0) <= 137;
  return !isNeighbours && bytes[20] !== 0; // multicast listeners have a hop-by-hop header
}

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
      const probes = PROBES.filter(({ outer }) => outer === version);
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
      const count = PROBES.filter(({ outer }) => versions.includes(outer)).length;
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
      [47, 4, 41].map((protocol) =>
        openSocket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, protocol, 'another program'),
      ),
    );
    try {
      await startRouter(namespaces, namespace, OVER4);
      const probes = scanProbes().filter(({ outer }) => outer === 6);
      assert.deepEqual(scan(probes).map(toHex), []);
      assert.deepEqual(others.map(countReceived), [5, 5, 5]);
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
    const probes = scanProbes().filter(({ outer }) => outer === 4);
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
  const block = new NativeBlock(SNAP_LENGTH);
  let count = 0;
  while (recvfrom(fd, block.address, SNAP_LENGTH, 0, 0, 0) >= 0) count++;
  return count;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
