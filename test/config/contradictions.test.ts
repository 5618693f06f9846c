// Configs whose keys are right one by one and wrong together, and values no key can have. A » stands in front of what the
// diagnostic must point at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';

interface Broken {
  readonly what: string;
  /** Everything behind `[tunnel.t1]`. */
  readonly toml: string;
  /** Code of each », in their order. */
  readonly codes: readonly string[];
  /** Of the first one. */
  readonly message: RegExp;
  readonly hint?: RegExp;
}

const ENDS = 'local = "192.0.2.1"\nremote = "192.0.2.2"';
const ENDS6 = 'local = "2001:db8::1"\nremote = "2001:db8::2"';
const GRE = `mode = "gre"\n${ENDS}\nallow = ["any"]`;
const UDP = `mode = "gre-udp"\n${ENDS}\nallow = ["any"]`;
const IPIP = `mode = "ipip"\n${ENDS}\nallow = ["any"]`;
const GRETAP = `mode = "gretap"\n${ENDS}`;
const GRE6 = `mode = "ip6gre"\n${ENDS6}\nallow = ["any"]`;
const OPEN = 'mode = "gre"\nlocal = "192.0.2.1"\nremote = "any"\nallow = ["any"]';

const ENDPOINTS: readonly Broken[] = [
  {
    what: 'IPv6 ends of gre',
    toml: 'mode = "gre"\nlocal = »"2001:db8::1"\nremote = »"2001:db8::2"\nallow = ["any"]',
    codes: ['E121', 'E121'],
    message: /^local = "2001:db8::1" is IPv6, and mode = "gre" goes over IPv4$/,
    hint: /^mode = "ip6gre" goes over IPv6$/,
  },
  {
    what: 'an IPv4 remote of ip6gre',
    toml: 'mode = "ip6gre"\nremote = »"192.0.2.2"\nallow = ["any"]',
    codes: ['E121'],
    message: /^remote = "192\.0\.2\.2" is IPv4, and mode = "ip6gre" goes over IPv6$/,
    hint: /^mode = "gre" goes over IPv4$/,
  },
  {
    what: 'an IPv6 remote of gretap',
    toml: 'mode = "gretap"\nremote = »"2001:db8::2"',
    codes: ['E121'],
    message: /mode = "gretap" goes over IPv4$/,
    hint: /"ip6gretap"/,
  },
  {
    what: 'an IPv4 local of ip6ip6',
    toml: 'mode = "ip6ip6"\nlocal = »"192.0.2.1"\nremote = "2001:db8::2"\nallow = ["any"]',
    codes: ['E121'],
    message: /^local = /,
    hint: /"sit"/,
  },
  {
    what: 'gre-udp between two families',
    toml: 'mode = "gre-udp"\nlocal = "192.0.2.1"\nremote = »"2001:db8::2"\nallow = ["any"]',
    codes: ['E121'],
    message: /^2001:db8::2 is IPv6 and 192\.0\.2\.1 IPv4: the ends of a tunnel have one family$/,
    hint: /^write both in the same family$/,
  },
  {
    what: 'peers of gre-udp of two families',
    toml: `mode = "gre-udp"\nremote = "any"\nallow = ["any"]
peers = [{ remote = "2001:db8::2", routes = [] }, { remote = »"192.0.2.2", routes = [] }]`,
    codes: ['E121'],
    message: /^192\.0\.2\.2 is IPv4 and 2001:db8::2 IPv6/,
    hint: /family/,
  },
  {
    what: 'an IPv6 address twice',
    toml: 'mode = "ip6gre"\nlocal = "2001:db8::1"\nremote = »"2001:DB8:0::1"\nallow = ["any"]',
    codes: ['E113'],
    message: /^remote is the same address as local, 2001:db8::1/,
    hint: /^remote is the address of the other machine$/,
  },
  {
    what: 'a multicast remote without local',
    toml: 'mode = "gre"\nremote = »"239.1.2.3"\ndev = "eth0"\nallow = ["any"]',
    codes: ['E124'],
    message: /^remote = "239\.1\.2\.3" is a multicast group: .* there is no local$/,
    hint: /^local = "ADDRESS of this machine"$/,
  },
  {
    what: 'an IPv6 multicast remote with local any',
    toml: 'mode = "ip6gretap"\nlocal = "::"\nremote = »"ff0e::1"\ndev = "eth0"',
    codes: ['E124'],
    message: /multicast group/,
    hint: /^local = /,
  },
  {
    what: 'a multicast remote without a device',
    toml: 'mode = "gretap"\nlocal = "192.0.2.1"\nremote = »"239.1.2.3"',
    codes: ['W210'],
    message: /no dev says on which link/,
    hint: /^dev = /,
  },
  {
    what: 'a multicast local',
    toml: 'mode = "ip6gre"\nlocal = »"ff0e::1"\nremote = "2001:db8::2"\nallow = ["any"]',
    codes: ['E114'],
    message: /^local cannot be the multicast address ff0e::1$/,
    hint: /^an address of this machine: ip address$/,
  },
  {
    what: 'a link-local remote without a device',
    toml: 'mode = "ip6gre"\nremote = »"fe80::2"\nallow = ["any"]',
    codes: ['E132'],
    message: /^remote = "fe80::2" is on every link/,
    hint: /^dev = /,
  },
  {
    what: 'a group of one link without a device',
    toml: 'mode = "ip6gre"\nlocal = "2001:db8::1"\nremote = »"ff02::1"\nallow = ["any"]',
    codes: ['E132'],
    message: /^remote = "ff02::1" is on every link/,
    hint: /^dev = /,
  },
  {
    what: 'a zone behind an address',
    toml: 'mode = "ip6gre"\nremote = »"fe80::2%eth0"\nallow = ["any"]',
    codes: ['E108'],
    message: /^remote must be an IPv6 address, a host name or "any", not "fe80::2%eth0"$/,
    hint: /"fe80::2" and dev = "eth0"/,
  },
  {
    what: 'IPv6 addresses that no packet may have',
    toml: 'mode = "ip6gre"\nlocal = »"::1"\nremote = »"::ffff:192.0.2.1"\nallow = ["any"]',
    codes: ['E114', 'E114'],
    message: /^local cannot be ::1: packets with a loopback address are dropped \(outer-martian\)$/,
    hint: /^an address of this machine: ip address$/,
  },
  {
    what: 'a name as local',
    toml: 'mode = "gre"\nlocal = »"router.example.net"\nremote = "192.0.2.2"\nallow = ["any"]',
    codes: ['E106'],
    message: /^local = "router\.example\.net": a DNS name is not supported here$/,
    hint: /^write the IPv4 address it stands for$/,
  },
  {
    what: 'a remote that is no name either',
    toml: 'mode = "gre"\nremote = »"router..example.net"\nallow = ["any"]',
    codes: ['E108'],
    message: /^remote must be an IPv4 address, a host name or "any", not "router\.\.example\.net"$/,
  },
  {
    what: 'a remote that some resolvers read as an address',
    toml: 'mode = "gre"\nremote = »"0x7f.1"\nallow = ["any"]',
    codes: ['E108'],
    message: /not "0x7f\.1"$/,
  },
  {
    what: 'a misspelt any',
    toml: 'mode = "gre"\nremote = »"ayn"\nallow = ["any"]',
    codes: ['E108'],
    message: /did you mean "any"\?$/,
    hint: /^a host of this name: "ayn\."$/,
  },
  {
    what: 'frames for everyone',
    toml: 'mode = "gretap"\nremote = »"any"',
    codes: ['E125'],
    message: /^remote = "any" leaves the frames of mode = "gretap" without a way out$/,
    hint: /multicast group$/,
  },
  {
    what: 'frames over IPv6 for everyone',
    toml: 'mode = "ip6gretap"\nremote = »"::"',
    codes: ['E125'],
    message: /"ip6gretap"/,
    hint: /^name the peer/,
  },
];

const HEADERS: readonly Broken[] = [
  {
    what: 'a fixed ttl without DF',
    toml: `${GRE}\nttl = 64\npmtudisc = »false`,
    codes: ['E122'],
    message: /^pmtudisc = false and a fixed ttl, 64, do not go together/,
    hint: /^pmtudisc = true, or ttl = "inherit"$/,
  },
  {
    what: 'a fixed ttl in a pair without DF',
    toml: `${GRETAP}\nttl = { out = 255, in = "keep" }\npmtudisc = »false`,
    codes: ['E122'],
    message: /a fixed ttl, 255/,
    hint: /"inherit"/,
  },
  {
    what: 'ignore-df alone',
    toml: `${GRE}\n»ignore-df = true`,
    codes: ['E123'],
    message: /^ignore-df has nothing to ignore/,
    hint: /^pmtudisc = false, and ttl = "inherit"$/,
  },
  {
    what: 'ignore-df beside pmtudisc',
    toml: `${IPIP}\npmtudisc = true\n»ignore-df = true`,
    codes: ['E123'],
    message: /^ignore-df has nothing to ignore/,
    hint: /^pmtudisc = false/,
  },
  {
    what: 'no DF over IPv6',
    toml: `${GRE6}\nttl = 64\n»pmtudisc = false\n»ignore-df = true`,
    codes: ['E127', 'E127'],
    message: /^pmtudisc = false is about DF, which only IPv4 has/,
    hint: /^drop it/,
  },
  {
    what: 'no DF in UDP over IPv6',
    toml: `mode = "gre-udp"\n${ENDS6}\nallow = ["any"]\n»pmtudisc = false`,
    codes: ['E127'],
    message: /^pmtudisc = false is about DF/,
    hint: /mtu/,
  },
  {
    what: 'IPv6 options over IPv4',
    toml: `${GRE}\n»encaplimit = 4\n»flowlabel = "inherit"`,
    codes: ['E126', 'E126'],
    message: /^encaplimit belongs to IPv6: outer packets are IPv4 here$/,
    hint: /^drop it, or use a mode over IPv6$/,
  },
  {
    what: 'a flow label in UDP over IPv4',
    toml: `${UDP}\n»flowlabel = 7`,
    codes: ['E126'],
    message: /^flowlabel belongs to IPv6/,
    hint: /IPv6/,
  },
  {
    what: 'an encapsulation limit that does not fit',
    toml: `${GRE6}\nencaplimit = »256`,
    codes: ['E107'],
    message: /^encaplimit must be 0\.\.255 or "none", not 256$/,
    hint: /^the largest is 255$/,
  },
  {
    what: 'a quoted encapsulation limit',
    toml: `${GRE6}\nencaplimit = »"4"`,
    codes: ['E107'],
    message: /^encaplimit must be/,
    hint: /^a number has no quotes: 4$/,
  },
  {
    what: 'a flow label of 21 bits',
    toml: `${GRE6}\nflowlabel = »0x100000`,
    codes: ['E107'],
    message: /^flowlabel must be 0\.\.0xfffff, "inherit" or "flow", not 1048576$/,
    hint: /^the largest is 0xfffff$/,
  },
  {
    what: 'a source port of a mode without UDP',
    toml: `${GRE}\n»sport = 50000`,
    codes: ['E138'],
    message: /^sport is the source port of UDP: mode = "gre" has none$/,
    hint: /^drop it, or use mode = "gre-udp"$/,
  },
  {
    what: 'a source port that there is not',
    toml: `${UDP}\nsport = »65536`,
    codes: ['E107'],
    message: /^sport must be 1\.\.65535, "random" or "auto", not 65536$/,
    hint: /^the largest is 65535$/,
  },
  {
    what: 'a quoted source port',
    toml: `${UDP}\nsport = »"50000"`,
    codes: ['E107'],
    message: /^sport must be/,
    hint: /^a number has no quotes: 50000$/,
  },
  {
    what: 'a way for each flow, and one order for all',
    toml: `${GRE6}\nseq = true\nflowlabel = »"flow"`,
    codes: ['E119'],
    message: /^flowlabel = "flow" gives each flow a way of its own, and seq numbers all packets/,
    hint: /^a number for flowlabel, or seq = \{ in = true \}$/,
  },
  {
    what: 'a word for ecn that is none',
    toml: `${GRE}\necn = »"compatibilty"`,
    codes: ['E105'],
    message:
      /^ecn must be one of "normal", "compatibility", not "compatibilty"; did you mean "compatibility"\?$/,
  },
  {
    what: 'a ttl in a pair that is out of range',
    toml: `${GRE}\nttl = { out = »0, in = »"copy" }`,
    codes: ['E107', 'E105'],
    message: /^ttl\.out must be 1\.\.255 or "inherit", not 0$/,
    hint: /write "inherit"$/,
  },
  {
    what: 'a way in for tos that is misspelt',
    toml: `${GRE}\ntos = { in = »"inherti" }`,
    codes: ['E105'],
    message: /^tos\.in must be "keep" or "inherit", not "inherti"; did you mean "inherit"\?$/,
  },
  {
    what: 'a tos in a pair with ECN bits',
    toml: `${GRE}\ntos = { out = »0x89 }`,
    codes: ['E107'],
    message: /^tos\.out must be/,
    hint: /without them: 0x88$/,
  },
  {
    what: 'a pair with nothing in it',
    toml: `${GRE}\nttl = »{}`,
    codes: ['E107'],
    message: /^ttl must be \{ out = 64, in = "keep" \} with at least one of them, not a table$/,
    hint: /^for instance "inherit"$/,
  },
  {
    what: 'an unknown key in a pair',
    toml: `${GRE}\ntos = { out = 0x88, »inn = "keep" }`,
    codes: ['E102'],
    message: /^unknown key "inn" in tos of \[tunnel\.t1\]; did you mean "in"\?$/,
  },
];

const OPTIONS: readonly Broken[] = [
  {
    what: 'GRE options of ip4ip6',
    toml: `mode = "ip4ip6"\n${ENDS6}\nallow = ["any"]\n»key = 1\n»csum = true\n»seq = true\n»reorder = {}`,
    codes: ['E115', 'E115', 'E115', 'E115'],
    message: /^key belongs to GRE: mode = "ip4ip6" has no room for it$/,
    hint: /^drop it, or use mode = "ip6gre"$/,
  },
  {
    what: 'reorder of ipip',
    toml: `${IPIP}\n»reorder = { packets = 8 }`,
    codes: ['E115'],
    message: /^reorder belongs to GRE/,
    hint: /mode = "gre"$/,
  },
  {
    what: 'reorder without numbers',
    toml: `${GRE}\nseq = { in = false, out = true }\n»reorder = { packets = 32, time = "20ms" }`,
    codes: ['E130'],
    message: /^reorder goes by the sequence numbers of received packets, and seq is off for them$/,
    hint: /^seq = true, or seq = \{ in = true \}$/,
  },
  {
    what: 'a reorder buffer for no packets and for too long',
    toml: `${GRE}\nseq = true\nreorder = { packets = »0, time = »"1m" }`,
    codes: ['E107', 'E107'],
    message: /^reorder\.packets must be 1\.\.1024, not 0$/,
    hint: /^the smallest is 1$/,
  },
  {
    what: 'a keepalive in UDP',
    toml: `${UDP}\n»keepalive = {}`,
    codes: ['E128'],
    message: /\(RFC 8086, 4\)$/,
    hint: /^to ask by ICMP echo: probe = /,
  },
  {
    what: 'a keepalive beside Ethernet frames',
    toml: `${GRETAP}\n»keepalive = { interval = "10s" }`,
    codes: ['E128'],
    message: /^keepalive needs mode = "gre" or "ip6gre": in mode = "gretap" no peer sends it back$/,
    hint: /probe/,
  },
  {
    what: 'a keepalive to everyone',
    toml: `${OPEN}\n»keepalive = { count = 3 }`,
    codes: ['E128'],
    message: /^keepalive needs one peer that sends it back, and remote is "any"$/,
    hint: /probe/,
  },
  {
    what: 'a keepalive to a group',
    toml: `mode = "gre"\nlocal = "192.0.2.1"\nremote = "239.1.2.3"\ndev = "eth0"\nallow = ["any"]\n»keepalive = {}`,
    codes: ['E128'],
    message: /remote is "239\.1\.2\.3"$/,
    hint: /probe/,
  },
  {
    what: 'a keepalive without an address to come back to',
    toml: `mode = "gre"\nremote = "192.0.2.2"\nallow = ["any"]\n»keepalive = {}`,
    codes: ['E128'],
    message: /^keepalive needs local: the peer is to send it back to that address$/,
    hint: /^local = "ADDRESS"/,
  },
  {
    what: 'a probe from nowhere',
    toml: `${GRE}\naddress = ["10.9.0.1/24"]\nprobe = { target = »"fd00:9::2" }`,
    codes: ['W211'],
    message: /^probe asks nobody: address has no IPv6 address to ask from$/,
  },
  {
    what: 'a probe that the tunnel does not take',
    toml: `${GRE}\nmtu = 1400\naddress = ["10.9.0.1/24"]\nprobe = { target = "10.9.0.2", size = »1401 }`,
    codes: ['E119'],
    message: /^probe\.size = 1401 is more than mtu = 1400: every probe would be dropped/,
    hint: /^size = 1400 or less, or a larger mtu$/,
  },
  {
    what: 'a probe that has no room for what it asks',
    toml: `${GRE}\naddress = ["10.9.0.1/24"]\nprobe = { target = "10.9.0.2", size = »59 }`,
    codes: ['E107'],
    message: /^probe\.size must be 60\.\.65535, not 59$/,
    hint: /^the smallest is 60$/,
  },
  {
    what: 'a probe through a segment',
    toml: `${GRETAP}\naddress = ["10.9.0.1/24"]\nprobe = { target = »"10.9.0.2" }`,
    codes: ['W211'],
    message: /^probe asks nobody: mode = "gretap" carries frames, and no packets$/,
    hint: /^ping from its device$/,
  },
  {
    what: 'intervals that are no time to wait',
    toml: `${GRE}\nkeepalive = { interval = »"0s" }\nprobe = { target = "10.9.0.2", interval = »"25h", count = »256 }\naddress = ["10.9.0.1/24"]`,
    codes: ['E107', 'E107', 'E107'],
    message: /^keepalive\.interval must be a time from "10ms" to "24h", not "0s"$/,
    hint: /^the shortest is "10ms", the longest "24h"$/,
  },
  {
    what: 'a probe of nothing',
    toml: `${GRE}\n»probe = { interval = "1s" }`,
    codes: ['E104'],
    message: /^probe\.target is missing: it must be an inner address in quotes$/,
    hint: /^probe = \{ target = "10\.9\.0\.2", interval = "1s", count = 3 \}$/,
  },
  {
    what: 'a probe of a name',
    toml: `${GRE}\nprobe = { target = »"router.example.net" }`,
    codes: ['E108'],
    message: /^probe\.target must be an address inside the tunnel, not "router\.example\.net"$/,
  },
  {
    what: 'a probe of what the mode does not carry',
    toml: `mode = "ip6ip6"\n${ENDS6}\naddress = ["fd00:9::1/64"]\nprobe = { target = »"10.9.0.2" }`,
    codes: ['E116'],
    message: /^probe\.target = "10\.9\.0\.2": mode = "ip6ip6" carries IPv6 only$/,
  },
  {
    what: 'a probe of a group',
    toml: `${GRE}\nprobe = { target = »"224.0.0.1" }`,
    codes: ['E108'],
    message: /multicast/,
  },
  {
    what: 'a probe outside of the tunnel',
    toml: `mode = "gre"\n${ENDS}\naddress = ["10.9.0.1/24"]\nprobe = { target = »"10.8.0.2" }`,
    codes: ['W211'],
    message: /^probe\.target 10\.8\.0\.2 is in no network of this tunnel$/,
    hint: /^an address of the peer/,
  },
  {
    what: 'a probe whose answers are dropped',
    toml: `mode = "gre"\n${ENDS}\naddress = ["10.9.0.1/24"]\nallow = ["10.20.0.0/16"]\nprobe = { target = »"10.9.0.2" }`,
    codes: ['W211'],
    message: /\(inner-src-spoof\): it is not in allow$/,
  },
  {
    what: 'a probe of oneself',
    toml: `mode = "gre"\n${ENDS}\naddress = ["10.9.0.1/24"]\nprobe = { target = »"10.9.0.1" }`,
    codes: ['W211'],
    message: /is our own address$/,
    hint: /peer/,
  },
  {
    what: 'a probe of everyone',
    toml: `${OPEN}\naddress = ["10.9.0.1/24"]\nprobe = { target = »"10.9.0.2" }`,
    codes: ['W211'],
    message: /^probe asks nobody/,
    hint: /^name the peer$/,
  },
];

const NETWORKS: readonly Broken[] = [
  {
    what: 'IPv6 networks of ip4ip6',
    toml: `mode = "ip4ip6"\n${ENDS6}\naddress = [»"fd00:9::1/64"]\nroutes = [»"fd00:20::/32"]\nallow = ["10.0.0.0/8", »"::/0"]`,
    codes: ['E116', 'E116', 'E116'],
    message: /^address\[0\] = "fd00:9::1\/64": mode = "ip4ip6" carries IPv4 only$/,
    hint: /^mode = "ip6gre" carries both versions, "ip6ip6" IPv6 alone$/,
  },
  {
    what: 'IPv4 networks of ip6ip6',
    toml: `mode = "ip6ip6"\n${ENDS6}\nroutes = ["fd00:20::/32", »"10.20.0.0/16"]`,
    codes: ['E116'],
    message: /^routes\[1\] = "10\.20\.0\.0\/16": mode = "ip6ip6" carries IPv6 only$/,
    hint: /^mode = "ip6gre" carries both versions, "ip4ip6" IPv4 alone$/,
  },
  {
    what: 'an MTU over IPv6 too small for the IPv6 inside',
    toml: `mode = "ip6gre"\n${ENDS6}\naddress = ["fd00:9::1/64"]\nmtu = »1279`,
    codes: ['E135'],
    message: /^mtu = 1279 is below 1280/,
    hint: /RFC 7676, 3\.2/,
  },
  {
    what: 'an MTU of ip6ip6 below 1280',
    toml: `mode = "ip6ip6"\n${ENDS6}\nallow = ["any"]\nmtu = »1200`,
    codes: ['E135'],
    message: /below 1280/,
    hint: /^mtu = 1280 or more/,
  },
  {
    what: 'an MTU over IPv4 too small for the IPv6 of a peer',
    toml: `${OPEN}\npeers = [{ remote = "192.0.2.2", routes = ["fd00:20::/32"] }]\nmtu = »1000`,
    codes: ['W204'],
    message: /^mtu = 1000 is below 1280: the kernel takes no IPv6 address on such a device$/,
    hint: /^mtu = 1280, or no IPv6 inside$/,
  },
  {
    what: 'an MTU that leaves no room for the Ethernet header',
    toml: `${GRETAP}\nmtu = »65510`,
    codes: ['E107'],
    message: /^mtu must be at most 65497 here, not 65510: the outer headers add 38 bytes$/,
    hint: /^mtu = 65497, or none: it follows from the path$/,
  },
  {
    what: 'a default route into a tunnel over IPv6',
    toml: `mode = "ip6gre"\n${ENDS6}\nroutes = ["fd00:20::/32", »"::/0"]`,
    codes: ['W207'],
    message: /^::\/0 leads packets for the remote 2001:db8::2 of t1 into the tunnel itself/,
    hint: /^ip route add 2001:db8::2\/128 via GATEWAY$/,
  },
  {
    what: 'an inner IPv6 address that is the outer one too',
    toml: `mode = "ip6gre"\n${ENDS6}\naddress = [»"2001:DB8::1/128"]`,
    codes: ['W206'],
    message: /^address 2001:db8::1 of t1 is also a tunnel's local/,
  },
];

const PEERS: readonly Broken[] = [
  {
    what: 'peers beside a fixed remote',
    toml: `${GRE}\n»peers = [{ remote = "192.0.2.3", routes = ["10.30.0.0/16"] }]`,
    codes: ['E129'],
    message: /^peers need remote = "any": \[tunnel\.t1\] sends everything to 192\.0\.2\.2$/,
    hint: /^remote = "any", and this address as one of the peers$/,
  },
  {
    what: 'peers of an Ethernet tunnel',
    toml: `${GRETAP}\n»peers = [{ remote = "192.0.2.3", routes = ["10.30.0.0/16"] }]`,
    codes: ['E129'],
    message: /carries frames, which have none$/,
    hint: /bridge/,
  },
  {
    what: 'one prefix behind two peers',
    toml: `${OPEN}\npeers = [
  { remote = "192.0.2.2", routes = ["10.30.0.0/16", "10.31.0.0/16"] },
  { remote = "192.0.2.3", routes = [»"10.31.0.0/16"] },
]`,
    codes: ['E131'],
    message: /^10\.31\.0\.0\/16 is behind two peers, 192\.0\.2\.2 \(line 7\) and 192\.0\.2\.3/,
    hint: /^drop it at one of them/,
  },
  {
    what: 'a peer twice',
    toml: `${OPEN}\npeers = [{ remote = "192.0.2.2", routes = [] }, { remote = »"192.0.2.2", routes = [] }]`,
    codes: ['W209'],
    message: /^peer 192\.0\.2\.2 is there twice, first in line 6$/,
    hint: /^one entry/,
  },
  {
    what: 'peers that are everyone, a group and another family',
    toml: `${OPEN}\npeers = [
  { remote = »"any", routes = [] },
  { remote = »"239.1.2.3", routes = [] },
  { remote = »"2001:db8::2", routes = [] },
]`,
    codes: ['E114', 'E114', 'E121'],
    message: /^peers\[0\]\.remote cannot be "any": it is one peer$/,
    hint: /^the address of that peer$/,
  },
  {
    what: 'a link-local peer without a device',
    toml: `mode = "ip6gre"\nremote = "any"\nallow = ["any"]\npeers = [{ remote = »"fe80::2", routes = [] }]`,
    codes: ['E132'],
    message: /^peers\[0\]\.remote = "fe80::2" is on every link/,
    hint: /^dev = /,
  },
  {
    what: 'routes of a peer that are none',
    toml: `${OPEN}\npeers = [{ remote = "192.0.2.2", routes = [»"10.30.0.1/16", »"all"] }]`,
    codes: ['E110', 'E109'],
    message: /^peers\[0\]\.routes\[0\] has host bits set: "10\.30\.0\.1\/16"$/,
    hint: /^the network is "10\.30\.0\.0\/16"$/,
  },
  {
    what: 'a misspelt key of a peer',
    toml: `${OPEN}\npeers = [{ remote = "192.0.2.2", routes = [], »remoet = "192.0.2.3" }]`,
    codes: ['E102'],
    message: /^unknown key "remoet" in peers\[0\] of \[tunnel\.t1\]; did you mean "remote"\?$/,
  },
  {
    what: 'a route that leads to the peers behind it',
    toml: `${OPEN}\npeers = [
  { remote = "192.0.2.2", routes = [»"192.0.0.0/16"] },
  { remote = "192.0.2.3", routes = ["10.30.0.0/16"] },
]`,
    codes: ['W207'],
    message:
      /^192\.0\.0\.0\/16 leads packets for the remote 192\.0\.2\.2 of t1, and for 1 more, into the/,
    hint: /^ip route add 192\.0\.2\.2\/32 via GATEWAY$/,
  },
];

/** Said of many of these configs, and asserted elsewhere. */
const BESIDE = ['W201', 'W202'];

for (const { what, toml, codes, message, hint } of [
  ...ENDPOINTS,
  ...HEADERS,
  ...OPTIONS,
  ...NETWORKS,
  ...PEERS,
]) {
  test(`${what}: told at its place, with what to do`, () => {
    const { text, places } = withoutMarks(`[tunnel.t1]\n${toml}\n`);
    const { diagnostics, config } = parseConfig(Buffer.from(text), 'grebe.toml');
    const found = diagnostics.filter(({ code }) => !BESIDE.includes(code));
    assert.deepEqual(
      found.map(({ line, column, code }) => `${line}:${column} ${code}`),
      places.map((place, index) => `${place} ${codes[index]}`),
      found.map((one) => `${one.line}:${one.column} ${one.code} ${one.message}`).join('\n'),
    );
    const [first] = found;
    assert(first);
    assert.match(first.message, message);
    if (hint === undefined) assert.equal(first.hint, undefined);
    else assert.match(first.hint ?? '', hint);
    assert.equal(
      config === undefined,
      codes.some((code) => code.startsWith('E')),
    );
  });
}

/** The text without its marks, and `line:column` of each. */
function withoutMarks(marked: string): { readonly text: string; readonly places: string[] } {
  const places = marked
    .split('\n')
    .flatMap((line, index) =>
      [...line.matchAll(/»/g)].map((mark, earlier) => `${index + 1}:${mark.index - earlier + 1}`),
    );
  return { text: marked.replaceAll('»', ''), places };
}
