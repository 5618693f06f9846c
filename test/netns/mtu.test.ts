// Packets up to the tunnel MTU pass; larger ones are answered by the host that must make them smaller.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import {
  dropsOf,
  GREBE,
  HOST4,
  HOST6,
  lacking,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  UNDERLAY,
  withLab,
  withWire,
} from '../support/lab.js';

/** ICMP and IPv4 headers of a ping; with IPv6 it is 48. */
const PING_HEADERS = 28;

interface Case {
  readonly name: string;
  readonly lines: readonly string[];
  /** What 1500 bytes of path leave, as contract.md lists it. */
  readonly mtu: number;
}

const CASES: readonly Case[] = [
  { name: 'plain GRE', lines: ['mode = "gre"'], mtu: 1476 },
  { name: 'keyed GRE', lines: ['mode = "gre"', 'key = 7'], mtu: 1472 },
  {
    name: 'GRE with key, checksum and sequence',
    lines: ['mode = "gre"', 'key = 7', 'csum = true', 'seq = true'],
    mtu: 1464,
  },
  { name: 'IPIP', lines: ['mode = "ipip"'], mtu: 1480 },
];

const PROHIBITED = ['-M', 'do'];

function tunnels(lines: readonly string[]): (side: Side) => string {
  return (side) => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const words = [`address = ["10.9.0.${ours}/24"]`, `routes = ["10.${theirs}.0.0/24"]`];
    return tunnelTable('tun1', side, ...lines, ...words);
  };
}

for (const { name, lines, mtu } of CASES) {
  test(`${name} on a 1500-byte path carries ${mtu} bytes with DF and refuses one more`, {
    skip: lacking('ping'),
  }, async () => {
    const options = { tunnels: tunnels(lines), hosts: true, ipv6: false };
    await withLab('mtu', options, async ({ hA, rA, a, b }) => {
      assert.equal((await tunnelStatus(a, 'tun1')).mtu, mtu);
      const size = (length: number): string[] => ['-s', `${length - PING_HEADERS}`, '-c', '2'];
      const fits = await ping(rA, ...PROHIBITED, ...size(mtu), '-i', '0.2', '10.9.0.2');
      assert.equal(fits.received, 2, fits.output);
      const tooLong = await ping(rA, ...PROHIBITED, ...size(mtu + 1), '-i', '0.2', '10.9.0.2');
      assert.equal(tooLong.received, 0);
      assert.match(tooLong.output, new RegExp(`mtu=${mtu}`));

      // A host knows only its own 1500 bytes; its router tells it about the tunnel.
      const told = await ping(hA, ...PROHIBITED, ...size(mtu + 1), '-i', '0.2', HOST4.B);
      assert.match(told.output, new RegExp(`Frag needed and DF set \\(mtu = ${mtu}\\)`));
      const after = await ping(hA, ...PROHIBITED, ...size(mtu), '-i', '0.2', HOST4.B);
      assert.equal(after.received, 2, after.output);
      const split = await ping(hA, '-M', 'dont', ...size(4000), '-i', '0.2', HOST4.B);
      assert.equal(split.received, 2, split.output);
      assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
    });
  });
}

test('a too large IPv6 packet is answered with Packet Too Big', {
  skip: lacking('ping'),
}, async () => {
  const sit = (side: Side): string => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const words = [`address = ["fd00:9::${ours}/64"]`, `routes = ["fd00:${theirs}::/64"]`];
    return tunnelTable('tun1', side, 'mode = "sit"', ...words);
  };
  await withLab('mtu6', { tunnels: sit, hosts: true }, async ({ hA }) => {
    const told = await ping(hA, ...PROHIBITED, '-s', '1452', '-c', '1', '-W', '1', HOST6.B);
    assert.match(told.output, /Packet too big: mtu=1480/);
    const fits = await ping(hA, ...PROHIBITED, '-s', '1432', '-c', '1', '-W', '1', HOST6.B);
    assert.equal(fits.received, 1, fits.output);
  });
});

test('the MTU of a tunnel follows from the device that its packets take', {
  skip: lacking(),
}, async () => {
  await withWire('path', {}, async ({ namespaces, rA }) => {
    ip('-n', rA, 'link', 'set', UNDERLAY, 'mtu', '1400');
    ip('-n', rA, 'link', 'add', 'u1', 'mtu', '1300', 'type', 'veth');
    ip('-n', rA, 'link', 'set', 'u1', 'up');
    const config = join(namespaces.folder, 'path.toml');
    const free = tunnelTable('free1', 'A', 'mode = "ipip"');
    const bound = tunnelTable('bound1', 'A', 'mode = "gre"', 'dev = "u1"');
    writeFileSync(config, free + bound);
    const words = ['run', '--dry-run', '-j', '--config', config];
    const plan = JSON.parse(namespaces.run(rA, process.execPath, [GREBE, ...words]));
    const mtus = plan.tunnels.map(({ mtu }: { readonly mtu: number }) => mtu);
    assert.deepEqual(mtus, [1400 - 20, 1300 - 24]);
  });
});
