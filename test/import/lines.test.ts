// Lines as manuals and scripts have them, and what becomes of each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { importLines } from '../../src/import/import.js';

/** From ip-tunnel(8), ip-link(8), ip-fou(8), kernel documents and howtos; addresses of those who wrote them replaced. */
const LINES: readonly (readonly [line: string, expected: string])[] = [
  [
    'ip tunnel add netb mode gre remote 172.19.20.21 local 172.16.17.18 ttl 255',
    'mode = "gre" local = "172.16.17.18" remote = "172.19.20.21" ttl = 255 tos = 0x00',
  ],
  [
    'ip tunnel add softtap mode gre remote 192.0.2.7 ttl 255',
    'mode = "gre" remote = "192.0.2.7" ttl = 255 tos = 0x00',
  ],
  [
    'ip tunnel add gre1 mode gre local 192.0.2.2 remote 192.0.2.1 key 42 ttl 64',
    'mode = "gre" local = "192.0.2.2" remote = "192.0.2.1" key = 42 ttl = 64 tos = 0x00',
  ],
  [
    'ip tunnel add ptun mode ipip local 192.168.61.130 remote 192.168.61.129',
    'mode = "ipip" local = "192.168.61.130" remote = "192.168.61.129" ttl = "inherit" tos = 0x00',
  ],
  [
    'ip tunnel add ramp mode ipip remote 192.0.2.9 dev eth0',
    'mode = "ipip" remote = "192.0.2.9" ttl = "inherit" tos = 0x00 dev = "eth0"',
  ],
  [
    'ip tunnel add tun0 mode ipip local 192.0.2.1',
    'mode = "ipip" local = "192.0.2.1" remote = "any" ttl = "inherit" tos = 0x00',
  ],
  [
    'sudo ip tunnel add gre-msk mode gre remote 10.7.7.2 local 10.7.7.1 ttl 255',
    'mode = "gre" local = "10.7.7.1" remote = "10.7.7.2" ttl = 255 tos = 0x00',
  ],
  [
    'ip tunnel add he-ipv6 mode sit remote 203.0.113.6 local 192.0.2.1 ttl 255',
    'mode = "sit" local = "192.0.2.1" remote = "203.0.113.6" ttl = 255 tos = 0x00',
  ],
  [
    'ip tunnel add tunR0 mode sit remote 200.0.0.1 local 200.0.0.2',
    'mode = "sit" local = "200.0.0.2" remote = "200.0.0.1" ttl = "inherit" tos = 0x00',
  ],
  [
    '/sbin/ip tunnel add sixbone mode sit remote 203.0.113.1 local 192.0.2.1 ttl 255 2>/dev/null || true',
    'mode = "sit" local = "192.0.2.1" remote = "203.0.113.1" ttl = 255 tos = 0x00',
  ],
  [
    'ip tunnel show he6in4 >/dev/null 2>&1 || ip tunnel add he6in4 mode sit remote 203.0.113.3 local 192.0.2.10 ttl 64',
    'mode = "sit" local = "192.0.2.10" remote = "203.0.113.3" ttl = 64 tos = 0x00',
  ],
  [
    'ip tunnel add 6rd mode sit remote any local 192.0.2.4 ttl 64',
    'mode = "sit" local = "192.0.2.4" remote = "any" ttl = 64 tos = 0x00',
  ],
  [
    'ip tunnel add tun1 mode ipv6/ip remote 192.0.2.1 local 192.0.2.2 tos inherit/10',
    'mode = "sit" local = "192.0.2.2" remote = "192.0.2.1" ttl = "inherit" tos = "inherit"',
  ],
  [
    'ip tun add gre1 remote 192.0.2.2 local 192.0.2.1 ikey 1 okey 0.0.0.2 icsum oseq',
    'mode = "gre" local = "192.0.2.1" remote = "192.0.2.2" key = { in = 1, out = 2 } csum = { in = true } seq = { out = true } ttl = "inherit" tos = 0x00',
  ],
  [
    'ip tunnel add mode gre name lan remote 192.0.2.2 tos c0 nopmtudisc',
    'mode = "gre" remote = "192.0.2.2" ttl = "inherit" tos = 0xc0 pmtudisc = false',
  ],
  [
    'ip tunnel add mgre0 mode gre local 192.0.2.1 remote 224.66.66.66 ttl 255 dev eth0',
    'mode = "gre" local = "192.0.2.1" remote = "224.66.66.66" key = 3762438722 ttl = 255 tos = 0x00 dev = "eth0"',
  ],
  [
    'ip -6 tunnel add gre6tun mode ip6gre remote fc00:1:1::253 local fc00:1:1::254',
    'mode = "ip6gre" local = "fc00:1:1::254" remote = "fc00:1:1::253" ttl = 64 tos = 0x00 encaplimit = 4',
  ],
  [
    'ip -6 tunnel add ip6tnl1 mode ip6ip6 remote 2001:db8:ffff:100::2 local 2001:db8:ffff:100::1 hoplimit 1 tclass 0x0 dev dummy0',
    'mode = "ip6ip6" local = "2001:db8:ffff:100::1" remote = "2001:db8:ffff:100::2" ttl = 1 tos = 0x00 encaplimit = 4 dev = "dummy0"',
  ],
  [
    'ip -6 tunnel add dslite mode ip4ip6 remote 2001:db8::1 local 2001:db8::2 dev wan0 encaplimit none',
    'mode = "ip4ip6" local = "2001:db8::2" remote = "2001:db8::1" ttl = 64 tos = 0x00 dev = "wan0"',
  ],
  [
    'ip -f inet6 tunnel add tun6 remote 2001:db8::1 local 2001:db8::2 flowlabel inherit tclass inherit dscp inherit',
    'mode = "ip6ip6" local = "2001:db8::2" remote = "2001:db8::1" ttl = 64 tos = { out = "inherit", in = "inherit" } encaplimit = 4 flowlabel = "inherit"',
  ],
  [
    'ip link add name tun1 type ipip remote 192.0.2.1 local 192.0.2.2',
    'mode = "ipip" local = "192.0.2.2" remote = "192.0.2.1" ttl = "inherit" tos = 0x00',
  ],
  [
    'ip link add gre1 type gre remote 192.0.2.1 local 192.0.2.2 seq key 1000 csum',
    'mode = "gre" local = "192.0.2.2" remote = "192.0.2.1" key = 1000 csum = true seq = true ttl = "inherit" tos = 0x00',
  ],
  [
    'ip link add name gre1 type gre local 192.0.2.1 remote 192.0.2.2 nopmtudisc ignore-df ttl inherit',
    'mode = "gre" local = "192.0.2.1" remote = "192.0.2.2" ttl = "inherit" tos = 0x00 pmtudisc = false ignore-df = true',
  ],
  [
    'ip link add gre1 up mtu 1400 type gre local 192.0.2.1 remote 192.0.2.2 dev eth1 tos AF11',
    'mode = "gre" local = "192.0.2.1" remote = "192.0.2.2" ttl = "inherit" tos = 0x28 mtu = 1400 dev = "eth1"',
  ],
  [
    'ip l add gre1 type gre r 192.0.2.2 l 192.0.2.1 ik 0x10 ok 020 t 64 n',
    'mode = "gre" local = "192.0.2.1" remote = "192.0.2.2" key = 16 ttl = 64 tos = 0x00',
  ],
  [
    'ip link add s3-gre1 type gretap local 192.168.56.102 remote 192.168.56.101 ttl 64',
    'mode = "gretap" local = "192.168.56.102" remote = "192.168.56.101" ttl = 64 tos = 0x00',
  ],
  [
    'ip li ad s44-gre1 type gretap local 192.0.2.1 remote 192.0.2.2 key 7 dev eth0',
    'mode = "gretap" local = "192.0.2.1" remote = "192.0.2.2" key = 7 ttl = "inherit" tos = 0x00 dev = "eth0"',
  ],
  [
    'ip -n ns1 link add name gretap1 up arp off type gretap local 192.0.2.1 remote 192.0.2.2',
    'mode = "gretap" local = "192.0.2.1" remote = "192.0.2.2" ttl = "inherit" tos = 0x00',
  ],
  [
    'ip link add sit1 type sit remote 192.0.2.1 local 192.0.2.2 mode ip6ip',
    'mode = "sit" local = "192.0.2.2" remote = "192.0.2.1" ttl = "inherit" tos = 0x00',
  ],
  [
    'ip link add four type sit mode ipip remote 192.0.2.1 local 192.0.2.2 fwmark 0x10',
    'mode = "ipip" local = "192.0.2.2" remote = "192.0.2.1" ttl = "inherit" tos = 0x00',
  ],
  [
    'ip link add name tun0 type ip6gre remote 2001:db8:1000::1 local 2001:db8:1000::2',
    'mode = "ip6gre" local = "2001:db8:1000::2" remote = "2001:db8:1000::1" ttl = 64 tos = 0x00 encaplimit = 4',
  ],
  [
    'ip link add name gre1 type ip6gre local 2000::3 remote 2000::fffe tos inherit ttl inherit',
    'mode = "ip6gre" local = "2000::3" remote = "2000::fffe" ttl = "inherit" tos = "inherit" encaplimit = 4',
  ],
  [
    'ip link add ip6gre1 type ip6gre local 2001:db8:1::1 remote 2001:db8:1::2 encaplimit 100',
    'mode = "ip6gre" local = "2001:db8:1::1" remote = "2001:db8:1::2" ttl = 64 tos = 0x00 encaplimit = 100',
  ],
  [
    'ip link add t1 type ip6gre remote 2001:db8::2 local 2001:db8::1 ikey 5 okey 5 encaplimit none',
    'mode = "ip6gre" local = "2001:db8::1" remote = "2001:db8::2" key = 5 ttl = 64 tos = 0x00',
  ],
  [
    'ip link add lan6 type ip6gretap local 2001:db8::1 remote 2001:db8::2 key 7 flowlabel 0x12345 hoplimit 255',
    'mode = "ip6gretap" local = "2001:db8::1" remote = "2001:db8::2" key = 7 ttl = 255 tos = 0x00 encaplimit = 4 flowlabel = 0x12345',
  ],
  [
    'ip link add ds-dslite type ip6tnl mode ip4ip6 remote 2001:db8::1 local 2001:db8::2 dev lo0',
    'mode = "ip4ip6" local = "2001:db8::2" remote = "2001:db8::1" ttl = 64 tos = 0x00 encaplimit = 4 dev = "lo0"',
  ],
  [
    'ip link add name ds-lite-open mtu 1500 type ip6tnl local 2001:db8::5 mode ip4ip6 encaplimit none dev eth-isp',
    'mode = "ip4ip6" local = "2001:db8::5" remote = "any" ttl = 64 tos = 0x00 mtu = 1500 dev = "eth-isp"',
  ],
  [
    'ip -net nsr2 link add name tun6 type ip6tnl local fee1:2::2 remote fee1:2::1 || ret=1',
    'mode = "ip6ip6" local = "fee1:2::2" remote = "fee1:2::1" ttl = 64 tos = 0x00 encaplimit = 4',
  ],
  [
    'ip link add name tun1 type gre remote 192.0.2.1 local 192.0.2.2 ttl 225 encap fou encap-sport auto encap-dport 4754',
    'mode = "gre-udp" local = "192.0.2.2" remote = "192.0.2.1" ttl = 225 tos = 0x00',
  ],
  [
    'ip link add gre6u type ip6gre local 2001:db8::1 remote 2001:db8::2 encaplimit none encap fou encap-sport auto encap-dport 4754',
    'mode = "gre-udp" local = "2001:db8::1" remote = "2001:db8::2" ttl = 64 tos = 0x00',
  ],
  [
    'ip link add dev tun1 \\\n  type gre \\\n  local 192.0.2.1 \\\n  remote 192.0.2.2',
    'mode = "gre" local = "192.0.2.1" remote = "192.0.2.2" ttl = "inherit" tos = 0x00',
  ],
];

/** The keys of the first table, without allow. */
function keysOf(toml: string): string {
  const lines = toml.split('\n');
  const start = lines.findIndex((line) => line.startsWith('['));
  const end = lines.indexOf('', start);
  const keys = lines.slice(start + 1, end < 0 ? undefined : end);
  return keys.filter((line) => !/^(#|allow = )/.test(line)).join(' ');
}

for (const [line, expected] of LINES) {
  test(`${line.replace(/\s+/g, ' ')}`, () => {
    const { toml, refused, lost, tunnels } = importLines(line);
    assert.deepEqual([refused, lost], [[], []]);
    assert.equal(tunnels.length, 1);
    assert.equal(keysOf(toml), expected);
    const { config, diagnostics } = parseConfig(Buffer.from(toml), 'import');
    assert.ok(config, diagnostics.map(({ message }) => message).join('; '));
  });
}

test('addresses, routes, link settings and neighbours become part of their tunnel', () => {
  const { toml, notes } = importLines(`
    ip tunnel add gre1 mode gre local 192.0.2.1 remote 192.0.2.2
    ip addr add 10.9.0.1/30 dev gre1
    ip -6 addr add fd00:9::1/64 dev gre1
    ip addr add 10.9.1.1 peer 10.9.1.2 dev gre1
    ip link set gre1 mtu 1400 up
    ip route add 10/8 dev gre1
    ip -6 route add default dev gre1
    ip r a 172.16.0.0/12 via 10.9.0.2
    ip tunnel add nbma mode gre local 192.0.2.1 key 9
    ip neigh add 10.55.0.2 lladdr 203.0.113.7 dev nbma
    ip route add 10.30.0.0/16 via 10.55.0.2 dev nbma
    ip route add 10.31.0.0/16 via 203.0.113.8 dev nbma onlink
    ip tunnel change gre1 ttl 9`);
  const { config } = parseConfig(Buffer.from(toml), 'import');
  const [gre1, nbma] = config?.tunnels ?? [];
  const shown = (list: readonly { address: string; bits: number }[] | undefined): unknown =>
    list?.map(({ address, bits }) => `${address}/${bits}`);
  assert.deepEqual(shown(gre1?.address), ['10.9.0.1/30', 'fd00:9::1/64', '10.9.1.1/32']);
  assert.deepEqual(shown(gre1?.routes), ['10.9.1.2/32', '10.0.0.0/8', '::/0', '172.16.0.0/12']);
  assert.equal(gre1?.mtu, 1400);
  assert.equal(gre1?.ttl, 9);
  assert.deepEqual(
    nbma?.peers.map(({ remote, routes }) => [remote, shown(routes)]),
    [
      ['203.0.113.7', ['10.55.0.2/32', '10.30.0.0/16']],
      ['203.0.113.8', ['10.31.0.0/16']],
    ],
  );
  assert.deepEqual(
    notes.map(({ line }) => line),
    [9], // the route whose device was found by its gateway
  );
});

test('change goes on from what is there, replace of a link begins anew, del takes away', () => {
  const { toml, notes, tunnels } = importLines(`
    ip t a gre1 mode gre remote 192.0.2.2 key 7 ttl 9
    ip t c gre1 ttl 10
    ip tunnel replace gre1 tos 4
    ip link add gre2 type gre remote 192.0.2.3 key 7
    ip a a 10.9.0.1/24 dev gre2
    ip l s gre2 mtu 1300
    ip link replace gre2 type gre remote 192.0.2.4
    ip link set gre2 type gre ttl 5
    ip tunnel add gone mode ipip remote 192.0.2.5
    ip tunnel del gone
    ip tunnel change late mode sit remote 192.0.2.6`);
  assert.deepEqual(tunnels, ['gre1', 'gre2', 'late']);
  assert.equal(keysOf(toml), 'mode = "gre" remote = "192.0.2.2" key = 7 ttl = 10 tos = 0x04');
  assert.equal(
    keysOf(toml.slice(toml.indexOf('[tunnel.gre2]'))),
    'mode = "gre" remote = "192.0.2.4" ttl = 5 tos = 0x00 mtu = 1300 address = ["10.9.0.1/24"]',
  );
  assert.deepEqual(
    notes.map(({ line, why }) => [line, why]),
    [[12, "no line adds this tunnel: what these words leave out has the kernel's defaults"]],
  );
});

test('whatever is not carried over has its line and its reason, in the config too', () => {
  const { toml, notes, lost } = importLines(`modprobe ip_gre
ip link add gre1 address 02:00:00:00:00:01 type gretap remote 192.0.2.2 local 192.0.2.1 fwmark 5 ttl 64 nopmtudisc
ip addr add 127.0.0.1/8 dev gre1
ip addr add 10.0.0.1/24 dev gre1 label gre1:1
ip route add blackhole 10.1.0.0/16
ip route add 10.2.0.0/16 dev eth0
ip route add 10.3.0.0/16 dev gre1 table 7
ip link add gue1 type gre remote 192.0.2.3 encap gue encap-sport auto encap-dport 6080
ip link add meta type gre external
ip link add isa type sit local 192.0.2.1 isatap; ip link add both type sit mode any remote 192.0.2.5
ip link add vx0 type vxlan id 5 remote 192.0.2.3
ip tunnel add twice mode gre remote 192.0.2.9
ip tunnel add again mode gre remote 192.0.2.9
ip rule add fwmark 5 table 7
sysctl -w net.ipv4.ip_forward=1
# ip tunnel add old mode gre remote 192.0.2.77
ip tunnel add vti1 mode vti remote 192.0.2.6 key 5; ip -6 tunnel add vti2 mode vti6 remote 2001:db8::6
ip xfrm state add src 192.0.2.1 dst 192.0.2.6 proto esp spi 1 mode tunnel
ip netns exec blue ip tunnel add far mode gre remote 192.0.2.10`);
  const found = notes.map(({ line, words }) => `${line} ${words}`);
  assert.deepEqual(found, [
    '1 modprobe ip_gre',
    '2 address 02:00:00:00:00:01',
    '2 fwmark 5',
    '2 pmtudisc = false',
    '3 address "127.0.0.1/8"',
    '4 label gre1:1',
    '5 ip route add blackhole 10.1.0.0/16',
    '6 ip route add 10.2.0.0/16 dev eth0',
    '7 ip route add 10.3.0.0/16 dev gre1 table 7',
    '10 mode any',
    '11 ip link add vx0 type vxlan id 5 remote 192.0.2.3',
    '14 ip rule add fwmark 5 table 7',
    '15 sysctl -w net.ipv4.ip_forward=1',
    '16 # ip tunnel add old mode gre remote 192.0.2.77',
    '17 ip tunnel add vti1 mode vti remote 192.0.2.6 key 5',
    '17 ip -6 tunnel add vti2 mode vti6 remote 2001:db8::6',
    '18 ip xfrm state add src 192.0.2.1 dst 192.0.2.6 proto esp spi 1 mode tunnel',
    '19 netns exec blue',
  ]);
  assert.deepEqual(
    lost.map(({ tunnel, words }) => `${tunnel}: ${words}`),
    ['gue1: encap gue', 'meta: external', 'isa: isatap', 'again: again'],
  );
  for (const { words, why } of [...notes, ...lost]) {
    assert.ok(why.length > 10, words);
    assert.ok(toml.includes(`${words}: ${why}`), words);
  }
  const { config } = parseConfig(Buffer.from(toml), 'import');
  assert.deepEqual(
    config?.tunnels.map(({ name }) => name),
    ['gre1', 'both', 'twice', 'far'],
  );
});

test('what ip itself refuses is refused, all lines at once', () => {
  const lines: readonly (readonly [line: string, message: RegExp])[] = [
    ['ip tunnel add gre1 mode gre remote example.net', /remote must be an IPv4 address/],
    [
      'ip tunnel add gre1 mode gre remote $PEER',
      /"\$PEER", a variable of the shell: write its value$/,
    ],
    ['ip tunnel add gre1 mode gre remote 2001:db8::1', /must be an IPv4 address/],
    ['ip tunnel add gre1 mode vit remote 192.0.2.1', /no tunnels of mode "vit"/],
    ['ip tunnel add lan remote 192.0.2.1', /lan has no mode/],
    ['ip tunnel add mode gre remote 192.0.2.1', /no name/],
    ['ip tunnel add gre1 mode gre remote 192.0.2.1 ttl 256', /a TTL must be a number up to 255/],
    ['ip tunnel add gre1 mode gre remote 192.0.2.1 frobnicate', /is no word of ip tunnel/],
    ['ip tunnel add ipip1 mode ipip remote 192.0.2.1 key 5', /key belongs to GRE/],
    ['ip tunnel add gre1 mode gre remote', /remote needs a value/],
    ['ip tunnel add gre1 mode gre encaplimit 4', /encaplimit is no word of gre/],
    ['ip link add gre1 type gre remote 192.0.2.1 mtu 1400', /"mtu" is no word of a tunnel/],
    ['ip link add gre1 type ip6gre remote 2001:db8::1 pmtudisc', /pmtudisc is no word of ip6gre/],
    ['ip link add type gre remote 192.0.2.1', /no name/],
    ['ip link add gre1 type gre key 4294967296', /a key must be a number/],
    ['ip tunnel add gre1 mode constructor', /no tunnels of mode "constructor"/],
    ['ip link add t6 type ip6tnl mode gre', /no mode of type ip6tnl/],
    ['ip link add t6 type ip6tnl mode constructor', /no mode of type ip6tnl/],
    ['ip link add gre1 type gre tos constructor', /tos must be a number/],
    ['ip tunel add gre1', /no object/],
    ['ip tunnel ad gre1 mode gre\nip tunnel add gre1 mode gre', /gre1 is there already, from line/],
  ];
  for (const [line, message] of lines) {
    const { refused, toml } = importLines(line);
    assert.equal(refused.length, 1, line);
    assert.match(refused[0]?.message ?? '', message, line);
    assert.equal(toml, '');
  }
  const all = importLines(lines.map(([line]) => line).join('\n'));
  assert.ok(all.refused.length >= lines.length - 2);
});
