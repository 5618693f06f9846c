// The kernel's tunnels, as `ip -j -d link` of iproute2 6.1 prints them (link_gre.c, link_gre6.c, link_ip6tnl.c, link_iptnl.c).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { importLines } from '../../src/import/import.js';
import { type KernelTables, kernelLines } from '../../src/import/kernel.js';

const GRE1 = {
  ifname: 'gre1',
  mtu: 1472,
  linkinfo: {
    info_kind: 'gre',
    info_data: {
      ...{ remote: '192.0.2.2', local: '192.0.2.1', link: 'eth0', ttl: 64, tos: '0x1' },
      ...{ pmtudisc: true, ikey: '0.0.0.42', okey: '0.0.0.42', ocsum: true, fwmark: '0x5' },
    },
  },
};
const FALLBACK = {
  ifname: 'gre0',
  mtu: 1476,
  linkinfo: {
    info_kind: 'gre',
    info_data: { remote: 'any', local: 'any', ttl: 0, pmtudisc: false },
  },
};
const UDP1 = {
  ifname: 'udp1',
  mtu: 1400,
  linkinfo: {
    info_kind: 'gre',
    info_data: {
      ...{ remote: '198.51.100.2', local: '198.51.100.1', ttl: 0, pmtudisc: true },
      encap: { type: 'fou', sport: 0, dport: 4754, csum: false, csum6: false, remcsum: false },
    },
  },
};
const TNL6 = {
  ifname: 'tnl6',
  mtu: 1452,
  linkinfo: {
    info_kind: 'ip6tnl',
    info_data: {
      ...{ proto: 'ip6ip6', remote: '2001:db8::2', local: '2001:db8::1', ttl: 64 },
      ...{ encap_limit: 4, tclass: '0x20', flowlabel: '0x00000', ip6_tnl_f_rcv_dscp_copy: true },
    },
  },
};
const SIT1 = {
  ifname: 'sit1',
  mtu: 1480,
  linkinfo: {
    info_kind: 'sit',
    info_data: {
      ...{ proto: 'ip6ip', remote: '203.0.113.2', local: '203.0.113.1', ttl: 255, pmtudisc: true },
      ...{ prefix: '2002::', prefixlen: 16 },
    },
  },
};
const TABLES: KernelTables = {
  links: [{ ifname: 'lo', mtu: 65536 }, FALLBACK, GRE1, UDP1, TNL6, SIT1],
  addresses: [
    { ifname: 'lo', addr_info: [{ local: '127.0.0.1', prefixlen: 8 }] },
    { ifname: 'gre1', addr_info: [{ local: '10.9.0.1', prefixlen: 30 }] },
    { ifname: 'udp1', addr_info: [{ local: '10.8.0.1', address: '10.8.0.2', prefixlen: 32 }] },
    { ifname: 'tnl6', addr_info: [{ local: 'fe80::1', prefixlen: 64, scope: 'link' }] },
  ],
  routes: [
    { dst: '10.9.0.0/30', dev: 'gre1', protocol: 'kernel' },
    { dst: '10.20.0.0/16', dev: 'gre1', gateway: '10.9.0.2' },
    { dst: 'default', dev: 'eth0', gateway: '192.0.2.254' },
  ],
  routes6: [
    { dst: 'fd00:20::/32', dev: 'tnl6' },
    { dst: 'fe80::/64', dev: 'tnl6', protocol: 'kernel' },
  ],
  neighbours: [],
};

test("the kernel's tunnels become tables; its fallback devices and its own routes do not", () => {
  const { lines, names } = kernelLines(TABLES);
  assert.deepEqual(names, ['gre1', 'udp1', 'tnl6', 'sit1']);
  const { toml, notes, lost } = importLines(lines.join('\n'), { isMeasured: true });
  assert.deepEqual(lost, []);
  assert.deepEqual(
    notes.map(({ words }) => words),
    ['fwmark 0x5'],
  );
  const tables = toml
    .split('\n\n')
    .slice(1)
    .map((table) => table.trim().split('\n'));
  assert.deepEqual(tables, [
    [
      '[tunnel.gre1]',
      '# line 1: fwmark 0x5: grebe sets no marks on outer packets',
      ...['mode = "gre"', 'local = "192.0.2.1"', 'remote = "192.0.2.2"', 'key = 42'],
      ...['csum = { out = true }', 'ttl = 64', 'tos = "inherit"', 'mtu = 1472', 'dev = "eth0"'],
      ...['address = ["10.9.0.1/30"]', 'routes = ["10.20.0.0/16"]', 'allow = ["any"]'],
    ],
    [
      '[tunnel.udp1]',
      ...['mode = "gre-udp"', 'local = "198.51.100.1"', 'remote = "198.51.100.2"'],
      ...['ttl = "inherit"', 'tos = 0x00', 'mtu = 1400'],
      ...['address = ["10.8.0.1/32"]', 'routes = ["10.8.0.2/32"]', 'allow = ["any"]'],
    ],
    [
      '[tunnel.tnl6]',
      ...['mode = "ip6ip6"', 'local = "2001:db8::1"', 'remote = "2001:db8::2"', 'ttl = 64'],
      ...['tos = { out = 0x20, in = "inherit" }', 'encaplimit = 4'],
      ...['routes = ["fd00:20::/32"]', 'allow = ["any"]'],
    ],
    [
      '[tunnel.sit1]',
      ...['mode = "sit"', 'local = "203.0.113.1"', 'remote = "203.0.113.2"'],
      ...['ttl = 255', 'tos = 0x00', 'allow = ["any"]'],
    ],
  ]);
  assert.ok(parseConfig(Buffer.from(toml), 'import').config);
});
