// Lines of ip(8), run by iproute2 on a Linux kernel under QEMU: what the kernel then says of its tunnels makes the same
// config as the lines themselves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { importLines } from '../../src/import/import.js';
import { type KernelTables, kernelLines } from '../../src/import/kernel.js';
import { type KernelLab, openKernelLab } from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';

/** One tunnel each, and what belongs to it. */
const TUNNELS: readonly (readonly string[])[] = [
  [
    'ip tunnel add t1 mode gre local 192.0.2.2 remote 192.0.2.1 key 42 ttl 64',
    'ip addr add 10.9.0.1/24 dev t1',
    'ip -6 addr add fd00:9::1/64 dev t1',
    'ip link set t1 up mtu 1400',
    'ip route add 10.20.0.0/16 dev t1',
    'ip -6 route add fd00:20::/32 dev t1',
  ],
  [
    'ip tunnel add t2 mode gre remote 192.0.2.3 ikey 1 okey 0.0.0.2 icsum oseq tos inherit',
    'ip addr add 10.8.0.1 peer 10.8.0.2 dev t2',
    'ip link set t2 up',
  ],
  ['ip l a t3 type gre r 192.0.2.4 l 192.0.2.2 k 7 c s ttl 9 tos 10 dev eth0'],
  ['ip link add t4 type gre remote 192.0.2.5 nopmtudisc ignore-df'],
  ['ip link add t5 type gretap local 192.0.2.2 remote 192.0.2.6 key 0 ttl 255'],
  ['ip link add t6 type gre local 192.0.2.2 remote 239.1.1.1 dev eth0'],
  [
    'ip link add t7 type gre remote 192.0.2.7 local 192.0.2.2 encap fou encap-sport auto encap-dport 4754',
  ],
  ['ip tunnel add t8 mode ipip remote 192.0.2.8 nopmtudisc', 'ip link set t8 up'],
  [
    'ip tunnel add t9 mode sit remote 192.0.2.9 local 192.0.2.2 ttl 64',
    'ip link set t9 up',
    'ip -6 addr add fd00:19::1/64 dev t9',
    'ip -6 route add 2000::/3 dev t9',
  ],
  ['ip link add t10 type sit mode ip6ip remote 192.0.2.10'],
  [
    'ip tunnel add t11 mode gre local 192.0.2.2 key 9',
    'ip addr add 10.55.0.1/24 dev t11',
    'ip link set t11 up',
    'ip neigh add 10.55.0.2 lladdr 203.0.113.7 dev t11',
    'ip route add 10.30.0.0/16 via 10.55.0.2 dev t11',
  ],
  ['ip -6 tunnel add t12 mode ip6gre local 2001:db8::1 remote 2001:db8::2 key 5'],
  [
    'ip link add t13 type ip6gre local 2001:db8::1 remote 2001:db8::3 encaplimit none hoplimit inherit tclass inherit flowlabel inherit dscp inherit',
  ],
  ['ip link add t14 type ip6gretap local 2001:db8::1 remote 2001:db8::4 tclass 0x20'],
  [
    'ip -6 tunnel add t15 mode ip4ip6 local 2001:db8::1 remote 2001:db8::5 encaplimit 9',
    'ip addr add 10.15.0.1/24 dev t15',
    'ip link set t15 up',
  ],
  ['ip link add t16 type ip6tnl mode ip6ip6 remote 2001:db8::6 flowlabel 0x12345 hoplimit 7'],
];

const obstacle = missingForKernelPeer() ?? false;

describe('import beside a Linux kernel', { skip: obstacle, timeout: 5 * 60_000 }, () => {
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
  });
  after(() => lab?.close());

  test('the config of the lines is the config of what the kernel made of them', async () => {
    const { peer } = lab;
    for (const lines of TUNNELS) for (const line of lines) await peer.ask(line);
    const ask = async <T>(words: string): Promise<T> =>
      JSON.parse(await peer.ask(`ip -j ${words}`));
    const tables: KernelTables = {
      links: await ask('-d link show'),
      addresses: await ask('address show'),
      routes: await ask('-4 route show'),
      routes6: await ask('-6 route show'),
      neighbours: await ask('neigh show'),
    };
    const { lines, names } = kernelLines(tables);
    const fromKernel = configOf(lines.join('\n'), true);
    const fromLines = configOf(TUNNELS.flat().join('\n'), false);
    assert.deepEqual(names.length, TUNNELS.length);
    assert.deepEqual(fromKernel, fromLines);
  });
});

function configOf(lines: string, isMeasured: boolean): readonly unknown[] {
  const { toml, refused, lost, notes } = importLines(lines, { isMeasured });
  assert.deepEqual([refused, lost, notes], [[], [], []], lines);
  const { config, diagnostics } = parseConfig(Buffer.from(toml), 'import');
  assert.ok(config, diagnostics.map(({ message }) => message).join('\n'));
  // The kernel measures the way to a remote that it knows, and counts otherwise than grebe: what nobody set is left out.
  return config.tunnels.map(({ mtu, ...rest }) => (rest.name === 't1' ? { mtu, ...rest } : rest));
}
