// What each mode takes, and what becomes of its keys on the way to the packet path.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelConfig } from '../../src/config/config.js';
import { type LoadedConfig, parseConfig } from '../../src/config/load.js';
import { tunnelOf, underlayVersion } from '../../src/config/tunnel.js';
import { sourcePortOf } from '../../src/packet/udp.js';

const ENDS4 = 'local = "192.0.2.1"\nremote = "192.0.2.2"\n';
const ENDS6 = 'local = "2001:DB8::1"\nremote = "2001:db8:0::2"\n';

function parse(text: string): LoadedConfig {
  return parseConfig(Buffer.from(text), 'grebe.toml');
}

/** The tunnel of a table, of which nothing but `warnings` is said. */
function tunnel(toml: string, warnings: readonly string[] = []): TunnelConfig {
  const { config, diagnostics } = parse(`[tunnel.t1]\n${toml}\n`);
  assert.deepEqual(
    diagnostics.map(({ code }) => code),
    warnings,
    diagnostics.map(({ message }) => message).join('\n'),
  );
  const [found] = config?.tunnels ?? [];
  assert(found);
  return found;
}

/** Mode, its ends, and the MTU over a path of 1500 bytes. */
const MTUS: readonly (readonly [mode: string, ends: string, mtu: number])[] = [
  ['gre', ENDS4, 1476],
  ['gretap', ENDS4, 1462],
  ['ipip', ENDS4, 1480],
  ['sit', ENDS4, 1480],
  ['gre-udp', ENDS4, 1468],
  ['gre-udp', ENDS6, 1448],
  ['ip6gre', ENDS6, 1456],
  ['ip6gretap', ENDS6, 1442],
  ['ip4ip6', ENDS6, 1460],
  ['ip6ip6', ENDS6, 1460],
];

for (const [mode, ends, mtu] of MTUS) {
  const family = ends === ENDS4 ? 'IPv4' : 'IPv6';
  test(`mode ${mode} over ${family} is read and gets an MTU of ${mtu}`, () => {
    const config = tunnel(`mode = "${mode}"\n${ends}allow = ["any"]`);
    assert.equal(config.mode, mode);
    assert.equal(config.remote, family === 'IPv4' ? '192.0.2.2' : '2001:db8::2');
    assert.equal(tunnelOf(config).mtu, mtu);
    assert.equal(tunnelOf(config, { pathMtu: 9000 }).mtu, mtu + 7500);
    assert.equal(tunnelOf({ ...config, mtu: 1300 }).mtu, 1300);
  });
}

test('an encapsulation limit takes 8 bytes of the MTU, key, checksum and number 4 each', () => {
  const base = `mode = "ip6gre"\n${ENDS6}allow = ["any"]\n`;
  assert.equal(tunnelOf(tunnel(`${base}encaplimit = 4`)).mtu, 1448);
  assert.equal(tunnelOf(tunnel(`${base}encaplimit = "none"`)).mtu, 1456);
  const all = tunnel(`${base}key = 1\ncsum = true\nseq = true\nencaplimit = 0`);
  assert.equal(tunnelOf(all).mtu, 1436);
});

test('every option of the outer header reaches the packet path', () => {
  const config = tunnel(
    `mode = "ip6gre"\n${ENDS6}allow = ["any"]
key = 7
csum = { in = true }
seq = { in = true }
ttl = { out = 255, in = "inherit" }
tos = { out = 0x88, in = "inherit" }
ecn = "compatibility"
encaplimit = 0
flowlabel = 0xfffff
mtu = 1300
mss = 1200
profile = "linux"`,
    [],
  );
  assert.deepEqual(tunnelOf(config, { link: 3 }), {
    name: 't1',
    mode: 'ip6gre',
    local: '2001:db8::1',
    remote: '2001:db8::2',
    keyIn: 7,
    keyOut: 7,
    checksumIn: true,
    checksumOut: false,
    sequenceIn: true,
    sequenceOut: false,
    ttl: 255,
    ttlIn: 'inherit',
    tos: 0x88,
    tosIn: 'inherit',
    ecn: 'compatibility',
    pmtudisc: true,
    ignoreDf: false,
    encapLimit: 0,
    flowLabel: 0xfffff,
    mtu: 1300,
    mss: 1200,
    link: 3,
    allow: 'any',
    addresses: [],
    keepalive: false,
    reflect: false,
    profile: 'linux',
  });
});

test('gre-udp sends from one port that is given, or chosen when the router starts; otherwise a flow has its own', () => {
  const base = `mode = "gre-udp"\n${ENDS4}allow = ["any"]\n`;
  const portOf = (lines: string, known = {}): number =>
    sourcePortOf(tunnelOf(tunnel(`${base}${lines}`), known));
  assert.equal(portOf('sport = 4754'), 4754);
  assert.equal(portOf('sport = "random"', { sourcePort: 50123 }), 50123);
  assert.equal(portOf('sport = "random"'), 49152);
  for (const lines of ['', 'sport = "auto"']) {
    assert.equal(portOf(lines, { sourcePort: 50123 }), 0);
    assert.equal(portOf(`${lines}\nseq = true`, { sourcePort: 50123 }), 50123);
  }
  assert.equal(portOf('sport = 1\nseq = true', { sourcePort: 50123 }), 1);
});

test('the flow label may be made of the flow', () => {
  const over6 = tunnel(`mode = "ip6gre"\n${ENDS6}allow = ["any"]\nflowlabel = "flow"`);
  assert.equal(tunnelOf(over6).flowLabel, 'flow');
  // Of what comes the order may be asked for all the same.
  tunnel(`mode = "ip6gre"\n${ENDS6}allow = ["any"]\nflowlabel = "flow"\nseq = { in = true }`);
});

test('outer DF may be left out of IPv4 packets, with a ttl that is inherited or not written', () => {
  for (const ttl of ['ttl = "inherit"', 'ttl = { in = "inherit" }', '']) {
    const config = tunnel(`mode = "ipip"\n${ENDS4}allow = ["any"]
pmtudisc = false\nignore-df = true\n${ttl}`);
    assert.equal(config.pmtudisc, false);
    assert.equal(tunnelOf(config).ignoreDf, true);
  }
});

test('mss is auto unless it is turned off', () => {
  const base = `mode = "sit"\n${ENDS4}allow = ["any"]\n`;
  assert.equal(tunnelOf(tunnel(base)).mss, 'auto');
  assert.equal('mss' in tunnelOf(tunnel(`${base}mss = "off"`)), false);
  assert.equal(tunnelOf(tunnel(`${base}mss = 1300`)).mss, 1300);
});

test('what means nothing over the other family may be said: no limit, label 0, DF', () => {
  tunnel(`mode = "gre"\n${ENDS4}allow = ["any"]\nencaplimit = "none"\nflowlabel = 0`);
  tunnel(`mode = "ip6gre"\n${ENDS6}allow = ["any"]\npmtudisc = true\nignore-df = false`);
});

test('an Ethernet tunnel takes frames of every sender, unless allow says otherwise', () => {
  const mixed =
    'address = ["10.9.0.1/24", "fd00:9::1/64"]\nroutes = ["10.20.0.0/16", "fd00:20::/32"]';
  assert.equal(tunnel(`mode = "gretap"\n${ENDS4}`).allow, 'any');
  assert.equal(tunnel(`mode = "ip6gretap"\n${ENDS6}${mixed}`).allow, 'any');
  const chosen = tunnel(`mode = "gretap"\n${ENDS4}${mixed}\nallow = ["10.9.0.0/24"]`);
  assert.deepEqual(chosen.allow, [{ address: '10.9.0.0', bits: 24 }]);
});

test('the remote may be a group, a name or anyone', () => {
  const group = tunnel(
    'mode = "ip6gretap"\nlocal = "2001:db8::1"\nremote = "FF0E::1"\ndev = "eth0"',
  );
  assert.equal(group.remote, 'ff0e::1');
  const name = tunnel('mode = "gre"\nremote = "Router.Example.net"\nallow = ["any"]');
  assert.equal(name.remote, 'router.example.net');
  assert.equal(tunnelOf(name).remote, 'router.example.net');
  assert.equal(tunnelOf(name, { addressOf: () => '192.0.2.9' }).remote, '192.0.2.9');
  for (const any of ['any', '0.0.0.0', '::', '0::0']) {
    const open = tunnel(`mode = "ip6gre"\nlocal = "${any}"\nremote = "${any}"\nallow = ["any"]`, [
      'W202',
    ]);
    assert.equal(open.local, 'any');
    assert.equal(open.remote, 'any');
  }
});

test('a link-local end is right with its device', () => {
  const config = tunnel(
    'mode = "ip6gre"\nlocal = "fe80::1"\nremote = "fe80::2"\ndev = "eth0"\nallow = ["any"]',
  );
  assert.equal(config.remote, 'fe80::2');
});

test('a keyless Ethernet tunnel beside a gre tunnel between the same ends is no conflict', () => {
  const { diagnostics } = parse(
    `[tunnel.a]\nmode = "gre"\n${ENDS4}allow = ["any"]\n[tunnel.b]\nmode = "gretap"\n${ENDS4}`,
  );
  assert.deepEqual(diagnostics, []);
});

test('two ip6gre tunnels that take the same packets are told by their key', () => {
  const { diagnostics } = parse(
    `[tunnel.a]\nmode = "ip6gre"\n${ENDS6}allow = ["any"]\n[tunnel.b]\nmode = "ip6gre"\n${ENDS6}allow = ["any"]\n`,
  );
  assert.deepEqual(
    diagnostics.map(({ line, column, code, hint }) => ({ place: `${line}:${column}`, code, hint })),
    [{ place: '6:9', code: 'E112', hint: 'give one of them another key, or drop it' }],
  );
});

test('keepalive, probe and reorder have the intervals they are known by', () => {
  const config = tunnel(
    `mode = "gre"\n${ENDS4}address = ["10.9.0.1/24"]\nseq = true
keepalive = {}\nprobe = { target = "10.9.0.2" }\nreorder = {}`,
  );
  assert.deepEqual(config.keepalive, { intervalMs: 10_000, count: 3 });
  assert.deepEqual(config.probe, { target: '10.9.0.2', intervalMs: 1000, count: 3 });
  assert.deepEqual(config.reorder, { packets: 32, timeMs: 20 });
});

test('peers have their routes, which are not those of the tunnel nor accepted from others', () => {
  const config = tunnel(
    `mode = "gre"\nlocal = "192.0.2.1"\nremote = "any"\naddress = ["10.9.0.1/24"]
peers = [
  { remote = "203.0.113.7", routes = ["10.30.0.0/16", "fd00:30::/32"] },
  { remote = "router.example.net", routes = ["10.31.0.0/16"] },
]`,
  );
  assert.deepEqual(config.peers, [
    {
      remote: '203.0.113.7',
      routes: [
        { address: '10.30.0.0', bits: 16 },
        { address: 'fd00:30::', bits: 32 },
      ],
    },
    { remote: 'router.example.net', routes: [{ address: '10.31.0.0', bits: 16 }] },
  ]);
  assert.deepEqual(config.routes, []);
  assert.deepEqual(config.allow, [{ address: '10.9.0.0', bits: 24 }]);
});

test('a tunnel with ten thousand peers is read as fast as as many tunnels', () => {
  const peers = Array.from({ length: 10_000 }, (_, index) => {
    const [high, low] = [index >> 8, index & 255];
    return `  { remote = "198.18.${high}.${low}", routes = ["10.${high}.${low}.0/24"] },`;
  });
  const toml = `mode = "gre"\nlocal = "192.0.2.1"\nremote = "any"\npeers = [\n${peers.join('\n')}\n]`;
  assert.equal(tunnel(toml).peers.length, 10_000);
});

test('the outer family of gre-udp comes from any address, and from none it is open', () => {
  assert.equal(underlayVersion('gre-udp', ['any', '2001:db8::2']), 6);
  assert.equal(underlayVersion('gre-udp', ['192.0.2.1', 'router.example.net']), 4);
  assert.equal(underlayVersion('gre-udp', ['any', 'router.example.net']), undefined);
  assert.equal(underlayVersion('ip6gre', ['any', 'any']), 6);
});
