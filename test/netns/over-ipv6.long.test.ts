// Tunnels over IPv6, and Ethernet tunnels over either version: pings of both sizes and TCP both ways, every packet
// counted once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ANSWERED,
  assertAnswered,
  eventually,
  type Lab,
  lacking,
  tunnelStatus,
  withLab,
} from '../support/lab.js';
import {
  assertAlive,
  assertNoDrops,
  assertTransfers,
  introduce,
  TUNNEL,
  type TunnelKind,
  tunnelOf,
  tunnelPeer,
} from '../support/traffic.js';

/** Data bytes of pings that need three packets. */
const LARGE = 3000;
const TRANSFER_SIZE = 16 << 20;
/** Longer than a packet is on its way, on a busy machine too. */
const QUIET_MS = 100;
const EVERYTHING = ['key = { in = 7, out = 7 }', 'csum = true', 'seq = true'];

interface Kind extends TunnelKind {
  readonly mtu: number;
}

const over6 = (
  name: string,
  mode: string,
  version: 4 | 6,
  mtu: number,
  ...lines: string[]
): Kind => ({
  ...{ name, mode, version, mtu, lines, outer: 6, isEthernet: mode.endsWith('tap') },
});

const KINDS: readonly Kind[] = [
  over6('ip6gre', 'ip6gre', 4, 1456),
  over6('ip6gre around IPv6', 'ip6gre', 6, 1456),
  over6('ip6gre with key, checksum and sequence', 'ip6gre', 4, 1444, ...EVERYTHING),
  over6(
    'ip6gre with an encapsulation limit and a flow label',
    'ip6gre',
    4,
    1448,
    'encaplimit = 4',
    'flowlabel = 0x12345',
  ),
  over6('ip4ip6', 'ip4ip6', 4, 1460),
  over6('ip6ip6', 'ip6ip6', 6, 1460),
  over6(
    'ip6ip6 with an encapsulation limit and inner flow labels',
    'ip6ip6',
    6,
    1452,
    'encaplimit = 4',
    'flowlabel = "inherit"',
  ),
  over6('ip6gretap', 'ip6gretap', 4, 1442),
  over6(
    'ip6gretap around IPv6 with key, checksum and sequence',
    'ip6gretap',
    6,
    1430,
    ...EVERYTHING,
  ),
  over6('gre-udp over IPv6', 'gre-udp', 4, 1448),
  over6('gre-udp over IPv6 around IPv6 with a key', 'gre-udp', 6, 1444, 'key = 7'),
  over6('gre-udp over IPv6 with a flow label', 'gre-udp', 4, 1448, 'flowlabel = 0x12345'),
  over6('gre-udp over IPv6 with an encapsulation limit', 'gre-udp', 4, 1440, 'encaplimit = 2'),
  { ...over6('gretap', 'gretap', 4, 1462), outer: 4 },
  {
    ...over6(
      'gretap around IPv6 with key, checksum and sequence',
      'gretap',
      6,
      1450,
      ...EVERYTHING,
    ),
    outer: 4,
  },
];

async function withTunnel(
  kind: Kind,
  options: { readonly hosts?: boolean; readonly offloads?: boolean; readonly router?: string },
  use: (lab: Lab) => Promise<void>,
): Promise<void> {
  const ipv6 = kind.version === 6;
  const lab = { tunnels: tunnelOf(kind), ipv6, outer: kind.outer ?? 4, ...options };
  await withLab('over6', lab, async (lab) => {
    assertAlive(lab);
    if (kind.isEthernet) introduce(lab, kind.version);
    await use(lab);
  });
}

/** Packets and bytes that one router sent and the other has not received, each way. */
async function onTheWay({ a, b }: Lab): Promise<number[]> {
  const [ofA, ofB] = [await tunnelStatus(a, TUNNEL), await tunnelStatus(b, TUNNEL)];
  return [
    [ofA.tx, ofB.rx],
    [ofB.tx, ofA.rx],
  ].flatMap(([sent, received]) => [
    (sent?.packets ?? 0) - (received?.packets ?? 0),
    (sent?.bytes ?? 0) - (received?.bytes ?? 0),
  ]);
}

/** What is on the way when nothing has moved for a while. */
async function settled(lab: Lab): Promise<number[]> {
  let last = await onTheWay(lab);
  const isStill = await eventually(async () => {
    await sleep(QUIET_MS);
    const now = await onTheWay(lab);
    const same = `${now}` === `${last}`;
    last = now;
    return same;
  });
  assert.ok(isStill, `it goes on: ${last}`);
  return last;
}

/** Does something, after which all that was sent meanwhile has arrived and nothing was dropped. */
async function withoutLoss(lab: Lab, act: () => Promise<void>): Promise<void> {
  // A kernel reports the multicast groups of an Ethernet device when it likes, also before the other end is there: what
  // was lost then stays on the way for good.
  const before = await settled(lab);
  await act();
  assert.ok(await eventually(async () => `${await onTheWay(lab)}` === `${before}`));
  await assertNoDrops(lab);
}

for (const kind of KINDS) {
  test(`${kind.name} carries pings of one packet and of three, each counted once`, {
    skip: lacking('ping'),
  }, async () => {
    await withTunnel(kind, {}, async (lab) => {
      const { namespaces, rA, rB, a, b } = lab;
      await withoutLoss(lab, async () => {
        await assertAnswered(namespaces, rA, tunnelPeer('A', kind.version));
        await assertAnswered(namespaces, rB, tunnelPeer('B', kind.version), LARGE);
      });
      const header = kind.version === 4 ? 20 : 40;
      const fragment = kind.version === 4 ? 20 : 40 + 8;
      const frame = kind.isEthernet ? 14 : 0;
      const expected = {
        packets: ANSWERED + 3 * ANSWERED,
        bytes: ANSWERED * (frame + header + 64) + ANSWERED * (LARGE + 8 + 3 * (frame + fragment)),
      };
      const isReporting = kind.isEthernet && kind.version === 6;
      for (const router of [a, b]) {
        const { rx, tx, mtu } = await tunnelStatus(router, TUNNEL);
        assert.equal(mtu, kind.mtu);
        if (!isReporting) assert.deepEqual({ rx, tx }, { rx: expected, tx: expected });
      }
    });
  });

  test(`${kind.name} carries TCP both ways between hosts that know of no tunnel`, {
    skip: lacking(),
  }, async () => {
    await withTunnel(kind, { hosts: true }, async (lab) => {
      await withoutLoss(lab, () =>
        assertTransfers(lab, { size: TRANSFER_SIZE, version: kind.version }),
      );
    });
  });

  test(`${kind.name} carries TCP whole, whatever the underlay merges and segments`, {
    skip: lacking('ethtool'),
  }, async () => {
    await withTunnel(kind, { hosts: true, offloads: true }, async (lab) => {
      const offloads = (...words: string[]): void => {
        for (const router of [lab.rA, lab.rB]) {
          lab.namespaces.run(router, 'ethtool', ['-K', 'u0', ...words]);
        }
      };
      offloads('gro', 'on', 'tso', 'on', 'gso', 'on');
      await assertTransfers(lab, { size: TRANSFER_SIZE, version: kind.version });
      offloads('tso', 'off', 'gso', 'off');
      await assertTransfers(lab, { size: TRANSFER_SIZE, version: kind.version });
      await assertNoDrops(lab);
    });
  });
}
