// Every mode carries pings and TCP, and every packet is counted exactly once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendFrom, startReceiver } from '../../src/demo/host-process.js';
import {
  ANSWERED,
  assertAnswered,
  dropsOf,
  eventually,
  HOST4,
  HOST6,
  type Lab,
  lacking,
  other,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';

const FLOOD_COUNT = 2000;
/** Data bytes of pings that need three packets. */
const LARGE = 3000;
const TRANSFER_SIZE = 16 << 20;
const PORT = 5001;
const FULL_GRE = ['key = { in = 7, out = 7 }', 'csum = true', 'seq = true'];

interface Case {
  readonly name: string;
  readonly mode: string;
  readonly lines: readonly string[];
  /** Version of the inner packets. */
  readonly version: 4 | 6;
}

const CASES: readonly Case[] = [
  { name: 'plain GRE', mode: 'gre', lines: [], version: 4 },
  {
    name: 'GRE with key, checksum and sequence',
    mode: 'gre',
    lines: FULL_GRE,
    version: 4,
  },
  { name: 'IPIP', mode: 'ipip', lines: [], version: 4 },
  { name: 'SIT', mode: 'sit', lines: [], version: 6 },
  { name: 'GRE around IPv6', mode: 'gre', lines: [], version: 6 },
];

/** Our end of the tunnel, and the way to the network behind the other. */
function tunnels({ mode, lines, version }: Case): (side: Side) => string {
  return (side) => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const address = version === 4 ? `10.9.0.${ours}/24` : `fd00:9::${ours}/64`;
    const route = version === 4 ? `10.${theirs}.0.0/24` : `fd00:${theirs}::/64`;
    const words = [`address = ["${address}"]`, `routes = ["${route}"]`];
    return tunnelTable('tun1', side, `mode = "${mode}"`, ...lines, ...words);
  };
}

for (const entry of CASES) {
  test(`${entry.name} carries a flood of pings and counts every packet once`, {
    skip: lacking('ping'),
  }, async () => {
    const ipv6 = entry.version === 6;
    await withLab('flood', { tunnels: tunnels(entry), ipv6 }, async (lab) => {
      const peer = ipv6 ? 'fd00:9::2' : '10.9.0.2';
      await assertAnswered(lab.namespaces, lab.rA, peer);
      await assertAnswered(lab.namespaces, lab.rA, peer, LARGE);
      const { sent, output } = await ping(lab.rA, '-q', '-f', '-c', `${FLOOD_COUNT}`, peer);
      assert.equal(sent, FLOOD_COUNT, output);
      // ping gives a late answer up after some milliseconds; the router has counted it.
      const last = async (): Promise<boolean> =>
        (await tunnelStatus(lab.a, 'tun1')).rx.packets >= FLOOD_COUNT + ANSWERED * 4;
      assert.ok(await eventually(last), output);
      await assertOnlyThesePackets(lab, entry.version);
    });
  });
}

/** What one side sent, the other received: nothing is lost without a reason. */
async function assertEveryPacketCounted({ a, b }: Lab): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const { tx } = await tunnelStatus(from, 'tun1');
    const { rx } = await tunnelStatus(to, 'tun1');
    const drops = Object.values(await dropsOf(to)).reduce((sum, count) => sum + count, 0);
    assert.equal(tx.packets, rx.packets + drops);
    if (drops === 0) assert.equal(tx.bytes, rx.bytes);
  }
}

/** Nobody but ping has sent anything: the counters are known to the byte. */
async function assertOnlyThesePackets({ a, b }: Lab, version: Case['version']): Promise<void> {
  const small = version === 4 ? 20 + 64 : 40 + 64;
  // Three packets, each with an IP header; IPv6 adds a fragment header to each.
  const large = LARGE + 8 + 3 * (version === 4 ? 20 : 40 + 8);
  const expected = {
    packets: FLOOD_COUNT + ANSWERED + 3 * ANSWERED,
    bytes: (FLOOD_COUNT + ANSWERED) * small + ANSWERED * large,
  };
  for (const router of [a, b]) {
    const { rx, tx } = await tunnelStatus(router, 'tun1');
    assert.deepEqual(await dropsOf(router), {});
    assert.deepEqual({ rx, tx }, { rx: expected, tx: expected });
  }
}

for (const entry of CASES) {
  test(`${entry.name} carries TCP both ways between hosts that know of no tunnel`, {
    skip: lacking(),
  }, async () => {
    const ipv6 = entry.version === 6;
    await withLab('tcp', { tunnels: tunnels(entry), hosts: true, ipv6 }, async (lab) => {
      await assertTransfers(lab, entry.version);
      await assertEveryPacketCounted(lab);
      assert.deepEqual(await dropsOf(lab.a), {});
      assert.deepEqual(await dropsOf(lab.b), {});
    });
  });
}

for (const entry of CASES) {
  test(`${entry.name} carries TCP whole when the underlay merges and segments packets`, {
    skip: lacking('ethtool'),
  }, async () => {
    const options = { tunnels: tunnels(entry), hosts: true, offloads: true };
    await withLab('offload', options, async (lab) => {
      const offloads = (...words: string[]): void => {
        for (const router of [lab.rA, lab.rB]) {
          lab.namespaces.run(router, 'ethtool', ['-K', 'u0', ...words]);
        }
      };
      offloads('gro', 'on', 'tso', 'on', 'gso', 'on');
      await assertTransfers(lab, entry.version);
      // Single packets on the wire, merged where they arrive.
      offloads('tso', 'off', 'gso', 'off');
      await assertTransfers(lab, entry.version);
      assert.deepEqual([await dropsOf(lab.a), await dropsOf(lab.b)], [{}, {}]);
    });
  });
}

/** Sends from either host to the other; every byte arrives, and every byte is right. */
async function assertTransfers(
  { namespaces, hA, hB }: Lab,
  version: Case['version'],
): Promise<void> {
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
