// GRE-in-UDP between two routers: pings and TCP both ways, strangers, and what is on the wire.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { sendFrom, startReceiver } from '../../src/demo/host-process.js';
import { readStatus } from '../../src/demo/router-process.js';
import {
  ANSWERED,
  assertAnswered,
  command,
  dropsOf,
  eventually,
  HOST4,
  HOST6,
  type Lab,
  lacking,
  OUTER,
  other,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { injectPackets, seeFrames } from '../support/packet-task.js';
import { type GreUdpFields, gre, greUdp, type Ipv4Fields, ipv4 } from '../support/packets.js';

const UDP = 17;
const ICMP = 1;
const PORT = 5001;
const TRANSFER_SIZE = 16 << 20;
/** Data bytes of pings that need three packets. */
const LARGE = 3000;
const LIMIT_MS = 20_000;

interface Case {
  readonly name: string;
  readonly lines: readonly string[];
  readonly mtu: number;
}

const CASES: readonly Case[] = [
  { name: 'plain', lines: [], mtu: 1468 },
  { name: 'with a key each way', lines: ['key = 7'], mtu: 1464 },
  { name: 'with checksum and sequence', lines: ['csum = true', 'seq = true'], mtu: 1460 },
];

function tunnels(lines: readonly string[], version: 4 | 6): (side: Side) => string {
  return (side) => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const address = version === 4 ? `10.9.0.${ours}/24` : `fd00:9::${ours}/64`;
    const route = version === 4 ? `10.${theirs}.0.0/24` : `fd00:${theirs}::/64`;
    const words = [`address = ["${address}"]`, `routes = ["${route}"]`];
    return tunnelTable('tun1', side, 'mode = "gre-udp"', ...lines, ...words);
  };
}

for (const { name, lines, mtu } of CASES) {
  test(`gre-udp ${name} carries pings of one packet and of three, each counted once`, {
    skip: lacking('ping'),
  }, async () => {
    await withLab('gu', { tunnels: tunnels(lines, 4), ipv6: false }, async (lab) => {
      await assertAnswered(lab.namespaces, lab.rA, '10.9.0.2');
      await assertAnswered(lab.namespaces, lab.rB, '10.9.0.1', LARGE);
      const expected = {
        packets: ANSWERED + 3 * ANSWERED,
        bytes: ANSWERED * (20 + 64) + ANSWERED * (LARGE + 8 + 3 * 20),
      };
      for (const router of [lab.a, lab.b]) {
        const { rx, tx, mtu: actual } = await tunnelStatus(router, 'tun1');
        assert.deepEqual(await dropsOf(router), {});
        assert.deepEqual({ rx, tx, mtu: actual }, { rx: expected, tx: expected, mtu });
      }
    });
  });
}

for (const version of [4, 6] as const) {
  for (const { name, lines } of CASES) {
    test(`gre-udp ${name} carries TCP around IPv${version} whole, whatever the underlay merges`, {
      skip: lacking('ethtool'),
    }, async () => {
      const options = { tunnels: tunnels(lines, version), hosts: true, offloads: true };
      await withLab('gutcp', options, async (lab) => {
        const offloads = (...words: string[]): void => {
          for (const router of [lab.rA, lab.rB]) {
            lab.namespaces.run(router, 'ethtool', ['-K', 'u0', ...words]);
          }
        };
        offloads('gro', 'off', 'tso', 'off', 'gso', 'off', 'tx', 'off');
        await assertTransfers(lab, version);
        offloads('tx', 'on', 'gro', 'on');
        await assertTransfers(lab, version);
        offloads('tso', 'on', 'gso', 'on');
        await assertTransfers(lab, version);
        await assertEveryPacketCounted(lab);
      });
    });
  }
}

for (const version of [4, 6] as const) {
  for (const { name, lines } of CASES.filter((entry) => !entry.lines.includes('seq = true'))) {
    test(`gre-udp ${name} carries IPv${version} superpackets that the kernel segments behind the tunnel`, {
      skip: lacking('ethtool', 'ping'),
    }, async () => {
      const router = 'offload = { gso = true }';
      const options = { tunnels: tunnels(lines, version), hosts: true, offloads: true, router };
      await withLab('gugso', options, async (lab) => {
        const inside = version === 4 ? '10.9.0.' : 'fd00:9::';
        await assertAnswered(lab.namespaces, lab.rA, `${inside}2`, LARGE);
        await assertAnswered(lab.namespaces, lab.rB, `${inside}1`);
        const offloads = (...words: string[]): void => {
          for (const one of [lab.rA, lab.rB]) {
            lab.namespaces.run(one, 'ethtool', ['-K', 'u0', ...words]);
          }
        };
        await assertTransfers(lab, version);
        // What the kernel merged or never split is one packet to the receiver.
        const [sent, whole] = await Promise.all([
          tunnelStatus(lab.a, 'tun1'),
          tunnelStatus(lab.b, 'tun1'),
        ]);
        assert.ok(
          whole.rx.packets < sent.tx.packets / 2,
          `${sent.tx.packets} sent, ${whole.rx.packets} arrived`,
        );
        offloads('tx-udp_tnl-segmentation', 'off', 'tso', 'off', 'gso', 'off');
        await assertTransfers(lab, version);
        offloads('tx', 'off', 'gro', 'on');
        await assertTransfers(lab, version);
        assert.deepEqual([await dropsOf(lab.a), await dropsOf(lab.b)], [{}, {}]);
      });
    });
  }
}

/** Sends from either host to the other; every byte arrives, and every byte is right. */
async function assertTransfers({ namespaces, hA, hB }: Lab, version: 4 | 6): Promise<void> {
  const host: Readonly<Record<Side, string>> = { A: hA, B: hB };
  for (const from of ['A', 'B'] as const) {
    const to = other(from);
    const address = (version === 4 ? HOST4 : HOST6)[to];
    const receiver = await startReceiver(namespaces, host[to], address, PORT);
    const result = await sendFrom(namespaces, host[from], address, PORT, 20, TRANSFER_SIZE);
    assert.equal(result.bytes, TRANSFER_SIZE);
    assert.ok(result.intact);
    await namespaces.stop(receiver);
  }
}

/** What one side sent, the other received, packet by packet, and nothing was dropped. */
async function assertEveryPacketCounted({ a, b }: Lab): Promise<void> {
  const agree = async (): Promise<boolean> => {
    const [ofA, ofB] = [await tunnelStatus(a, 'tun1'), await tunnelStatus(b, 'tun1')];
    return ofA.tx.packets === ofB.rx.packets && ofB.tx.packets === ofA.rx.packets;
  };
  assert.ok(await eventually(agree));
  const [ofA, ofB] = [await tunnelStatus(a, 'tun1'), await tunnelStatus(b, 'tun1')];
  assert.deepEqual(ofA.tx, ofB.rx);
  assert.deepEqual(ofB.tx, ofA.rx);
  assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
}

const INNER = { source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 };

/** A packet to router B, whose tunnel has the key 42. */
function packet(
  udp: Partial<GreUdpFields> = {},
  key: number | undefined = 42,
  outer: Partial<Ipv4Fields> = {},
): Uint8Array {
  const { source = OUTER.A, destination = OUTER.B } = outer;
  const payload = gre({ payload: ipv4(INNER), ...(key === undefined ? {} : { key }) });
  return ipv4({
    source,
    destination,
    protocol: UDP,
    identification: 1,
    payload: greUdp({ source, destination, payload, ...udp }),
    ...outer,
  });
}

test('a stranger to gre-udp is dropped, counted once under its reason, and never answered', {
  skip: lacking(),
}, async () => {
  const lines = ['key = 42'];
  const options = { tunnels: tunnels(lines, 4), ipv6: false };
  await withLab('gustranger', options, async ({ namespaces, rA, rB, b }) => {
    const seen = await seeFrames(namespaces, rB, 'u0');
    const strangers = [
      packet({}, 42, { source: '192.0.2.99' }),
      packet({}, 43),
      packet({ payload: gre({ payload: ipv4(INNER) }) }),
      packet({ payload: new Uint8Array(0) }),
      packet({ payload: Uint8Array.of(0x60, 0) }),
    ];
    const expected = { 'no-tunnel': 3, 'gre-truncated': 2 };
    injectPackets(namespaces, rA, strangers);
    const isCounted = async (): Promise<boolean> =>
      (await readStatus(b)).received.underlay === strangers.length;
    assert.ok(await eventually(isCounted), JSON.stringify(await dropsOf(b)));
    assert.deepEqual(await dropsOf(b), expected);

    // The kernel takes a wrong checksum off before it gets to the socket; no checksum at all is as good.
    const long = gre({ key: 42, payload: ipv4({ ...INNER, payload: new Uint8Array(100) }) });
    const wrong = [packet({ checksum: 0x1234 }), packet({ checksum: 0x1234, payload: long })];
    injectPackets(namespaces, rA, [...wrong, packet({ checksum: 0 })]);
    assert.ok(await eventually(async () => (await tunnelStatus(b, 'tun1')).rx.packets === 1));
    assert.deepEqual(await dropsOf(b), expected);
    // It counts the long one alone: the other it drops before it looks for a socket to count it with.
    assert.deepEqual((await readStatus(b)).kernelDrops, { udpSocket: 1 });

    // Not even those ports answer that B itself sends from.
    await command(rB, 'ping', '-c', '1', '-W', '1', '10.9.0.1').catch(() => {});
    const ports = new Set(seen.filter((frame) => isFrom(frame, OUTER.B, UDP)).map(sourcePort));
    assert.ok(ports.size > 0);
    injectPackets(
      namespaces,
      rA,
      [...ports].map((port) => packet({ port })),
    );
    injectPackets(namespaces, rA, [packet({ checksum: 0 })]);
    assert.ok(await eventually(async () => (await tunnelStatus(b, 'tun1')).rx.packets >= 2));
    assert.deepEqual(
      seen.filter((frame) => isFrom(frame, OUTER.B, ICMP)),
      [],
    );
  });
});

/** Whether a frame, in hex from its Ethernet header on, is IPv4 of this protocol from `source`. */
function isFrom(frame: string, source: string, protocol: number): boolean {
  const bytes = Buffer.from(frame, 'hex');
  if (bytes.readUInt16BE(12) !== 0x0800 || bytes[23] !== protocol) return false;
  return [...bytes.subarray(26, 30)].join('.') === source;
}

function sourcePort(frame: string): number {
  return Buffer.from(frame, 'hex').readUInt16BE(34);
}

test('tshark finds gre-udp well-formed: checksums, TTL, TOS with ECN, DF of the packet inside', {
  skip: lacking('tshark', 'ping', 'ethtool'),
}, async () => {
  const few = ['-q', '-c', '2', '-i', '0.02'];
  const lines = ['csum = true', 'seq = true', 'key = 42', 'ttl = "inherit"', 'pmtudisc = false'];
  const options = { tunnels: tunnels(lines, 4), ipv6: false };
  await withLab('guwire', options, async ({ namespaces, rA, rB }) => {
    // Otherwise a checksum is left to a network card that is not there.
    for (const router of [rA, rB]) namespaces.run(router, 'ethtool', ['-K', 'u0', 'tx', 'off']);
    const file = join(namespaces.folder, 'wire.pcapng');
    const capture = namespaces.start(
      rB,
      'tshark',
      ['-i', 'u0', '-f', 'udp port 4754', '-w', file, '-c', '24'],
      { stdio: 'ignore' },
    );
    const isDone = (): boolean => capture.exitCode !== null;
    for (const end = Date.now() + LIMIT_MS; !isDone() && Date.now() < end; ) {
      await ping(rA, ...few, '-t', '77', '-Q', '0x2a', '-M', 'do', '10.9.0.2');
      await ping(rA, ...few, '-t', '77', '-Q', '0', '-M', 'dont', '10.9.0.2');
    }
    assert.ok(isDone());
    const rows = await readBack(rB, file);
    assert.equal(rows.length, 24);
    for (const row of rows) {
      assert.equal(row['udp.checksum.status'], '1', 'UDP checksum good');
      assert.equal(row['gre.checksum.status'], '1', 'GRE checksum good');
      assert.equal(row['ip.checksum.status'], '1', 'IP checksum good');
      assert.equal(row['_ws.malformed'], '');
      assert.equal(row['ip.ttl'], row['ip.src'] === OUTER.A ? '77' : '64', 'TTL inside');
      assert.equal(Number(row['gre.key']), 42);
      assert.equal(row['udp.dstport'], '4754');
      assert.ok(Number(row['udp.srcport']) >= 49152);
    }
    const requests = rows.filter((row) => row['ip.src'] === OUTER.A);
    const shapes = requests.map((row) => `${row['ip.dsfield']} ${row['ip.flags.df']}`);
    assert.deepEqual([...new Set(shapes)].sort(), ['0x00 0', '0x2a 1']);
    assert.equal(new Set(requests.map((row) => row['udp.srcport'])).size, 1, 'a port for the flow');
  });
});

async function readBack(namespace: string, file: string): Promise<Record<string, string>[]> {
  const names = [
    ...['ip.src', 'ip.ttl', 'ip.dsfield', 'ip.flags.df', 'ip.checksum.status'],
    ...['udp.srcport', 'udp.dstport', 'udp.checksum.status'],
    ...['gre.checksum.status', 'gre.key', '_ws.malformed'],
  ];
  const output = await command(
    namespace,
    'tshark',
    ...['-r', file, '-o', 'udp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'],
    ...['-T', 'fields', '-E', 'occurrence=f', ...names.flatMap((name) => ['-e', name])],
  );
  return output
    .trimEnd()
    .split('\n')
    .map((line) => {
      const values = line.split('\t');
      return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
    });
}

test('a router with gre and gre-udp to one peer keeps them apart', {
  skip: lacking('ping'),
}, async () => {
  const both = (side: Side): string => {
    const ours = side === 'A' ? 1 : 2;
    return [
      tunnelTable('plain1', side, 'mode = "gre"', `address = ["10.8.0.${ours}/24"]`),
      tunnelTable('udp1', side, 'mode = "gre-udp"', `address = ["10.9.0.${ours}/24"]`),
    ].join('\n');
  };
  await withLab('guboth', { tunnels: both, ipv6: false }, async (lab) => {
    await assertAnswered(lab.namespaces, lab.rA, '10.8.0.2');
    await assertAnswered(lab.namespaces, lab.rA, '10.9.0.2', LARGE);
    for (const router of [lab.a, lab.b]) {
      assert.equal((await tunnelStatus(router, 'plain1')).rx.packets, ANSWERED);
      assert.equal((await tunnelStatus(router, 'udp1')).rx.packets, 3 * ANSWERED);
      assert.deepEqual(await dropsOf(router), {});
    }
  });
});
