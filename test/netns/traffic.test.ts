// Every mode carries pings and TCP, and every packet is counted exactly once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ANSWERED,
  assertAnswered,
  dropsOf,
  eventually,
  type Lab,
  lacking,
  ping,
  tunnelStatus,
  withLab,
} from '../support/lab.js';
import {
  assertNothingDropped,
  assertTransfers,
  TUNNEL,
  type TunnelKind,
  tunnelOf,
  tunnelPeer,
} from '../support/traffic.js';

const FLOOD_COUNT = 2000;
/** Data bytes of pings that need three packets. */
const LARGE = 3000;
const TRANSFER_SIZE = 16 << 20;
const FULL_GRE = ['key = { in = 7, out = 7 }', 'csum = true', 'seq = true'];

const CASES: readonly TunnelKind[] = [
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

for (const entry of CASES) {
  test(`${entry.name} carries a flood of pings and counts every packet once`, {
    skip: lacking('ping'),
  }, async () => {
    const ipv6 = entry.version === 6;
    await withLab('flood', { tunnels: tunnelOf(entry), ipv6 }, async (lab) => {
      const peer = tunnelPeer('A', entry.version);
      await assertAnswered(lab.namespaces, lab.rA, peer);
      await assertAnswered(lab.namespaces, lab.rA, peer, LARGE);
      const { sent, output } = await ping(lab.rA, '-q', '-f', '-c', `${FLOOD_COUNT}`, peer);
      assert.equal(sent, FLOOD_COUNT, output);
      // ping gives a late answer up after some milliseconds; the router has counted it.
      const last = async (): Promise<boolean> =>
        (await tunnelStatus(lab.a, TUNNEL)).rx.packets >= FLOOD_COUNT + ANSWERED * 4;
      assert.ok(await eventually(last), output);
      await assertOnlyThesePackets(lab, entry.version);
    });
  });
}

/** Nobody but ping has sent anything: the counters are known to the byte. */
async function assertOnlyThesePackets(
  { a, b }: Lab,
  version: TunnelKind['version'],
): Promise<void> {
  const small = version === 4 ? 20 + 64 : 40 + 64;
  // Three packets, each with an IP header; IPv6 adds a fragment header to each.
  const large = LARGE + 8 + 3 * (version === 4 ? 20 : 40 + 8);
  const expected = {
    packets: FLOOD_COUNT + ANSWERED + 3 * ANSWERED,
    bytes: (FLOOD_COUNT + ANSWERED) * small + ANSWERED * large,
  };
  for (const router of [a, b]) {
    const { rx, tx } = await tunnelStatus(router, TUNNEL);
    assert.deepEqual(await dropsOf(router), {});
    assert.deepEqual({ rx, tx }, { rx: expected, tx: expected });
  }
}

for (const entry of CASES) {
  test(`${entry.name} carries TCP both ways between hosts that know of no tunnel`, {
    skip: lacking(),
  }, async () => {
    const ipv6 = entry.version === 6;
    await withLab('tcp', { tunnels: tunnelOf(entry), hosts: true, ipv6 }, async (lab) => {
      await assertTransfers(lab, { size: TRANSFER_SIZE, version: entry.version });
      await assertNothingDropped(lab);
    });
  });
}

for (const entry of CASES) {
  test(`${entry.name} carries TCP whole when the underlay merges and segments packets`, {
    skip: lacking('ethtool'),
  }, async () => {
    const options = { tunnels: tunnelOf(entry), hosts: true, offloads: true };
    await withLab('offload', options, async (lab) => {
      const offloads = (...words: string[]): void => {
        for (const router of [lab.rA, lab.rB]) {
          lab.namespaces.run(router, 'ethtool', ['-K', 'u0', ...words]);
        }
      };
      offloads('gro', 'on', 'tso', 'on', 'gso', 'on');
      await assertTransfers(lab, { size: TRANSFER_SIZE, version: entry.version });
      // Single packets on the wire, merged where they arrive.
      offloads('tso', 'off', 'gso', 'off');
      await assertTransfers(lab, { size: TRANSFER_SIZE, version: entry.version });
      assert.deepEqual([await dropsOf(lab.a), await dropsOf(lab.b)], [{}, {}]);
    });
  });
}
