// Offloads of the network devices at either end and our own, over each underlay and mode: TCP is right in all
// combinations. There are 432; of those are run as few as let every two settings meet (see pairwise).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatus } from '../../src/demo/router-process.js';
import { dropsOf, lacking, type Side, UNDERLAY, withLab } from '../support/lab.js';
import { type Choice, pairsOf, pairwise } from '../support/pairwise.js';
import { assertTransfers, retransmitted, tunnelOf } from '../support/traffic.js';

const SIZE = 6 << 20;
/** Of the 8,600 that both transfers have. A dozen it takes to find the path's MTU; the rest is for a busy machine. */
const RETRANSMITTED_MAX = 150;

/** What ethtool is told of a device of the underlay. */
const DEVICE: Readonly<Record<string, readonly string[]>> = {
  on: ['tx', 'on', 'tso', 'on', 'gso', 'on', 'gro', 'on', 'tx-udp-segmentation', 'on'],
  off: ['tx', 'on', 'tso', 'off', 'gso', 'off', 'gro', 'off', 'tx-udp-segmentation', 'off'],
  'no checksums': ['tx', 'off', 'gro', 'on'],
};
const SWITCH = ['on', 'off'] as const;
const FACTORS = {
  deviceA: Object.keys(DEVICE),
  deviceB: Object.keys(DEVICE),
  mode: ['gre', 'ipip', 'gre-udp'],
  underlay: ['raw', 'xdp'],
  gro: SWITCH,
  tso: SWITCH,
  gso: SWITCH,
};
const CHOICES = pairwise(FACTORS);

test('every two settings meet in one of the combinations', () => {
  const met = new Set(CHOICES.flatMap(pairsOf));
  const factors = Object.entries(FACTORS);
  for (const [n, [one, values]] of factors.entries()) {
    for (const [other, others] of factors.slice(n + 1)) {
      for (const value of values) {
        for (const second of others) assert.ok(met.has(`${one}=${value} ${other}=${second}`));
      }
    }
  }
  assert.ok(CHOICES.length < 20);
});

function routerLines({ underlay, gro, tso, gso }: Choice): string {
  const isOn = (word: string | undefined): boolean => word === 'on';
  const tcp = `tso4 = ${isOn(tso)}, tso6 = ${isOn(tso)}`;
  return `underlay = "${underlay}"\noffload = { ${tcp}, gro = ${isOn(gro)}, gso = ${isOn(gso)} }`;
}

for (const choice of CHOICES) {
  const { deviceA = '', deviceB = '', mode = '', underlay, gro, tso, gso } = choice;
  const name = `${mode} over ${underlay}, devices ${deviceA} and ${deviceB}, gro ${gro}, tso ${tso}, gso ${gso}`;
  test(`TCP is right both ways: ${name}`, { skip: lacking('ethtool') }, async (context) => {
    const tunnels = tunnelOf({ mode, lines: [], version: 4 });
    const router = routerLines(choice);
    const options = { tunnels, router, hosts: true, ipv6: false, offloads: true };
    await withLab('matrix', options, async (lab) => {
      const { namespaces, rA, rB, hA, hB, a, b } = lab;
      const set = (side: Side, words: readonly string[] = []): unknown =>
        namespaces.run(side === 'A' ? rA : rB, 'ethtool', ['-K', UNDERLAY, ...words]);
      set('A', DEVICE[deviceA]);
      set('B', DEVICE[deviceB]);
      await assertTransfers(lab, { size: SIZE });
      assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
      assert.equal((await readStatus(a)).underlay, underlay);
      const again = retransmitted(namespaces, hA) + retransmitted(namespaces, hB);
      context.diagnostic(`${again} segments sent again`);
      assert.ok(again <= RETRANSMITTED_MAX, `${again} segments sent again`);
      for (const { messages } of [a, b]) assert.doesNotMatch(messages(), /refused|fault/);
      assert.equal(lab.a.child.exitCode ?? lab.b.child.exitCode, null);
    });
  });
}
