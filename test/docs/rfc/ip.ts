// IP in IP: RFC 2003, 4213, 2473.
import {
  answer,
  done,
  packet,
  type Rfc,
  requirement as r,
  row,
  type State,
  test,
} from './requirement.js';

const FIELDS = test(
  'property/encap',
  'encap agrees with the reference: TOS, TTL, DF, identification, key, sequence, checksum',
);
const RELAYED = test('lane/answers', 'about an outer packet');
const TOLD = test(
  'lane/answers',
  'an error about a packet on its way: the path is learned, the sender told',
);
const NARROW = test(
  'netns/path-mtu.long',
  'is told of a narrow path by its first packet, both ways',
);
const KEPT = test(
  'router/path-mtus',
  'what was learned counts for ten minutes, for the tunnel and for its device, and then the old MTU again',
);
const BELOW = test(
  'netns/path-mtu.long',
  'a path below 1280 bytes: IPv4 goes in fragments or is answered, IPv6 passes in fragments',
);
const SMALL = test('netns/small-path.long', 'in fragments, and no more');
const STACK: State = { other: 'the host’s IP stack does' };

export const RFC_2003: Rfc = {
  number: 2003,
  title: 'IP Encapsulation within IP',
  requirements: [
    r(
      '3.1',
      '–',
      'TOS of the outer header is that of the inner',
      done(
        test(
          'packet/encap-options',
          'TTL and TOS are fixed or inherited; the ECN bits always follow the inner packet',
        ),
      ),
    ),
    r(
      '3.1',
      'MUST',
      'set outer DF when inner DF is set',
      done(
        answer('gre copies DF from the inner header'),
        FIELDS,
        test(
          'packet/encap-options',
          'DF is set, or follows the inner packet and leaves room for an identification',
        ),
      ),
    ),
    r(
      '3.1',
      'MAY',
      'set outer DF when inner DF is not set',
      done(answer('gre carries IPv4, outer DF from pmtudisc, ECN copied')),
    ),
    r(
      '3.1',
      '–',
      'inner options are not copied',
      done(
        test(
          'packet/encap-options',
          'encapIpip and encapSit put nothing but an IPv4 header in front',
        ),
      ),
    ),
    r('3.1', 'MUST NOT', 'encapsulate a packet whose TTL is 0', done(answer('TTL 0'))),
    r(
      '3.1',
      '–',
      'take the inner TTL down by one when the packet is forwarded into the tunnel',
      STACK,
    ),
    r(
      '3.1',
      '–',
      'leave the inner TTL as it is when the packet leaves the tunnel',
      done(
        answer('gre carries IPv4'),
        test('property/encap', 'what encap sends, the far end takes out of its tunnel unchanged'),
      ),
    ),
    r(
      '3.1',
      'MUST',
      'discard what has TTL 0 then',
      done(answer('TTL 1 to be forwarded'), packet('inner-ttl1')),
    ),
    r(
      '3.2',
      'MUST NOT',
      'tunnel a packet that comes back: a tunnel packet from an outer address of the router itself',
      done(
        row('a tunnel packet from our own outer address (a tunnel of ours has just sent it)'),
        answer('a packet that a tunnel of ours has sent'),
        answer('a packet that a gre-udp tunnel of ours has sent'),
        test(
          'netns/loops',
          'two tunnels that lead into each other carry each packet once, not as often as it fits',
        ),
      ),
    ),
    r('3.2', 'MUST NOT', 'tunnel what else arrives with an address of the router for its source', {
      other:
        'the host’s IP stack drops it on arrival (IPv4: as a martian); what the router sends itself arrives nowhere, and may go',
    }),
    r(
      '3.2',
      'MUST NOT',
      'tunnel a packet whose source is the far end of the tunnel',
      done(
        row('inner source is the far end of the tunnel, over IPv4'),
        row('inner source is the far end of the tunnel, IPv6 in IPv6'),
        answer('from the far end itself'),
        test(
          'netns/loops',
          'a packet that claims to be from the far end is dropped before the tunnel',
        ),
      ),
    ),
    r(
      '3.2',
      '–',
      'tunnel no packet to the far end of the tunnel itself',
      done(answer('to the far end itself'), FIELDS),
    ),
    r('4.1', 'SHOULD', 'relay network and host unreachable to the inner sender', done(RELAYED)),
    r('4.1', 'SHOULD', 'relay protocol unreachable as host or network unreachable', done(RELAYED)),
    r('4.1', 'MUST NOT', 'relay port unreachable', done(RELAYED)),
    r('4.1', 'MUST', 'relay datagram too big', done(TOLD, NARROW)),
    r('4.1', 'MUST NOT', 'relay source route failed', done(RELAYED)),
    r('4.2', 'SHOULD NOT', 'relay source quench', done(RELAYED)),
    r('4.3', 'MUST NOT', 'relay redirects', done(RELAYED)),
    r('4.4', 'MUST', 'relay time exceeded as host unreachable', done(RELAYED)),
    r('4.5', 'MUST NOT', 'relay parameter problem about the header of the tunnel', done(RELAYED)),
    r('4.5', 'MAY', 'relay parameter problem, when it points into the inner header', {
      not: 'no router on the way looks into what is inside',
    }),
    r('5', 'SHOULD', 'keep what ICMP told of the tunnel: its MTU', done(KEPT, TOLD)),
    r(
      '5',
      'SHOULD',
      'keep what ICMP told of the tunnel: its length, and whether the peer is there',
      {
        not: 'each error is relayed as it comes; `keepalive` and `probe` tell whether the peer is there',
      },
    ),
    r('5.1', 'MUST', 'keep the path’s MTU', done(KEPT, NARROW)),
    r(
      '5.1',
      'SHOULD',
      'report the path’s MTU less the outer header',
      done(test('netns/mtu', 'on a 1500-byte path carries')),
    ),
    r('5.1', 'SHOULD', 'normally set DF', done(answer('ipip carries IPv4, fixed TOS'))),
  ],
};

export const RFC_4213: Rfc = {
  number: 4213,
  title: 'Basic Transition Mechanisms for IPv6 Hosts and Routers (6in4)',
  requirements: [
    r(
      '3.2',
      'MUST NOT',
      'take the tunnel for a link with an MTU of 64 KB',
      done(test('netns/mtu', 'on a 1500-byte path carries'), answer('longer than the MTU')),
    ),
    r(
      '3.2.1',
      'MUST',
      'a default MTU between 1280 and 1480, over a path of Ethernet',
      done(test('config/modes', 'is read and gets an MTU of')),
    ),
    r(
      '3.2',
      'SHOULD',
      'let each tunnel choose between a static MTU and the path’s',
      done(test('config/load', 'every key of a tunnel reaches its config'), NARROW),
    ),
    r('3.2.1', 'SHOULD', 'default to 1280', {
      not: 'the default is what the path’s device carries less 20, as in Linux; `mtu = 1280` sets it',
    }),
    r(
      '3.2.1',
      'MUST',
      'with another default: let the MTU be configured',
      done(
        test('config/load', 'every key of a tunnel reaches its config'),
        test('config/modes', 'is read and gets an MTU of'),
      ),
    ),
    r('3.2.1', 'MUST NOT', 'set DF with a static MTU', {
      not: 'DF is set by default, as in Linux; `pmtudisc = false` leaves it out',
    }),
    r(
      '3.2.2',
      'SHOULD',
      'when the path’s MTU is followed: Packet Too Big of 1280 at least, and no DF below that',
      done(
        BELOW,
        SMALL,
        test(
          'property/encap',
          'what a path is known to take bounds encap as the tunnel does, and IPv6 of 1280 bytes passes',
        ),
      ),
    ),
    r('3.3', '–', 'to IPv6 the tunnel is one hop', STACK),
    r(
      '3.3',
      'MAY',
      'let the outer TTL be configured',
      done(answer('ipip carries IPv4, fixed TOS'), FIELDS),
    ),
    r(
      '3.4',
      'MAY',
      'send ICMPv6 address unreachable to the inner sender, where its packet is quoted',
      done(RELAYED, test('packet/icmp', 'over IPv6, ')),
    ),
    r(
      '3.5',
      '–',
      'no options in the outer header, total length 60 more than the inner payload',
      done(answer('sit carries IPv6')),
    ),
    r('3.5', '–', 'outer TOS 0 by default', {
      not: 'the default is to inherit: DSCP is the operator’s, and ECN needs its bits (RFC 6040)',
    }),
    r(
      '3.5',
      'SHOULD',
      'let the outer source be configured',
      done(test('config/load', 'every key of a tunnel reaches its config')),
    ),
    r(
      '3.6',
      'MUST',
      'discard packets from anyone but the peer',
      done(
        packet('outer-src-stranger-6in4'),
        test(
          'netns/strangers',
          'a stranger is dropped, counted once under its reason, and answered by nobody but a tunnel',
        ),
      ),
    ),
    r(
      '3.6',
      'SHOULD NOT',
      'answer them with ICMP',
      done(
        test(
          'netns/strangers',
          'a stranger is dropped, counted once under its reason, and answered by nobody but a tunnel',
        ),
        test('netns/probes.long', 'no probe is answered by a router with tunnels'),
      ),
    ),
    r('3.6', 'MAY', 'verify outer sources more strictly, off by default', {
      other: '`rp_filter` of the host',
    }),
    r(
      '3.6',
      'MUST',
      'put together and take packets of 1500 bytes, or of the largest interface’s MTU',
      done(
        test(
          'netns/xdp.long',
          'outer fragments pass to the kernel, which puts them together for the raw socket',
        ),
      ),
    ),
    r(
      '3.6',
      'MUST',
      'take the length from the IPv6 header: padding is cut off',
      done(
        packet('inner-trailing-pad'),
        answer('gre behind outer options, bytes after the packet'),
      ),
    ),
    r(
      '3.6',
      'MUST',
      'silently discard packets with an invalid inner source',
      done(packet('sit-src-loop'), answer('inner source mapped IPv4')),
    ),
    r(
      '3.6',
      'SHOULD',
      'count as such multicast, ::1, ::/96 but for ::, and ::ffff:0:0/96',
      done(
        packet('sit-src-loop'),
        packet('sit-src-any'),
        packet('sit-src-v4mapped'),
        answer('inner source mapped IPv4'),
      ),
    ),
    r(
      '3.6',
      'SHOULD',
      'have one knob to let in no inner source but those of the network behind the tunnel',
      done(
        answer('inner source not accepted'),
        packet('tt-6in4-subnet-spoof'),
        test(
          'config/load',
          'what is left out gets its default: sources are routes and subnets of the addresses',
        ),
      ),
    ),
    r('3.7', 'MUST', 'have a link-local address on the tunnel', {
      other: 'the host’s kernel gives the tunnel device one',
    }),
    r('3.8', 'MUST', 'accept and answer neighbour unreachability probes', STACK),
    r(
      '3.8',
      'SHOULD',
      'send such probes, to notice a tunnel that fails (`probe`)',
      done(
        test(
          'netns/liveness.long',
          'probes of both versions: a peer whose device goes is down, and comes back with it',
        ),
      ),
    ),
  ],
};

export const RFC_2473: Rfc = {
  number: 2473,
  title: 'Generic Packet Tunneling in IPv6',
  requirements: [
    r(
      '3.1',
      '–',
      'take the inner hop limit or TTL down by one when the packet is forwarded into the tunnel',
      STACK,
    ),
    r(
      '3.3',
      '–',
      'take off the headers of the tunnel, extension headers included',
      done(
        answer('ip6gre behind an encapsulation limit'),
        answer('ip4ip6 behind an encapsulation limit'),
        test(
          'underlay/raw/ipv6',
          'an extension header is acted on and taken off, the addresses and the rest stay',
        ),
      ),
    ),
    r(
      '4.1.1',
      '–',
      'refuse a packet whose own limit is 0',
      done(
        answer('ip6ip6 with a packet that may enter no tunnel more'),
        packet('encaplimit-inner-0-on-encap'),
        row('inner encapsulation limit 0, tunnel over IPv6'),
      ),
    ),
    r(
      '4.1.1',
      '–',
      'tell its sender with ICMPv6 parameter problem',
      done(
        test(
          'lane/answers',
          'a packet that may enter no tunnel more is answered with where it says so',
        ),
      ),
    ),
    r(
      '4.1.1',
      '–',
      'send its limit less one',
      done(answer('ip6ip6 says one less than the packet that it carries')),
    ),
    r(
      '4.1.1',
      '–',
      'send the tunnel’s own limit, when it has one and the packet none',
      done(answer('ip6ip6 says how many tunnels more')),
    ),
    r(
      '4.1.1',
      '–',
      'a packet that leaves the tunnel may have had limit 0',
      done(packet('encaplimit-0'), answer('ip4ip6 behind an encapsulation limit')),
    ),
    r(
      '4.1.2',
      '–',
      'a packet between the ends of the tunnel does not enter it',
      done(
        answer('ip6gre to the peer itself'),
        row('inner source is the far end of the tunnel, IPv6 in IPv6'),
      ),
    ),
    r(
      '6.3',
      '–',
      'outer hop limit 64 by default, or another',
      done(
        answer('ip6ip6 says how many tunnels more'),
        answer('ip4ip6 with a flow label of its own'),
      ),
    ),
    r(
      '6.4',
      '–',
      'traffic class fixed or that of the packet',
      done(
        answer('ip4ip6 with a flow label of its own'),
        answer('ip6gre with checksum, key and sequence, class, hop limit and flow label inherited'),
      ),
    ),
    r(
      '6.5',
      '–',
      'flow label fixed or that of the packet',
      done(
        answer('ip4ip6 with a flow label of its own'),
        answer('ip6gre with checksum, key and sequence, class, hop limit and flow label inherited'),
      ),
    ),
    r('6.6', '–', 'encapsulation limit 4 by default', {
      not: 'none by default: the option costs 8 bytes, and many networks drop packets with extension headers; `encaplimit = 4` sets it',
    }),
    r(
      '6.7',
      '–',
      'the MTU of the tunnel is that of the path less the headers',
      done(
        test(
          'config/modes',
          'an encapsulation limit takes 8 bytes of the MTU, key, checksum and number 4 each',
        ),
        test('netns/endpoints.long', 'the MTU follows from the route to an IPv6 remote'),
      ),
    ),
    r(
      '7.1',
      '–',
      'answer an inner IPv6 packet that is larger with Packet Too Big, of 1280 at least',
      done(test('netns/mtu', 'a too large IPv6 packet is answered with Packet Too Big')),
    ),
    r(
      '7.1',
      '–',
      'fragment the outer packet where 1280 bytes do not fit',
      done(
        SMALL,
        test(
          'netns/path-mtu.long',
          'over IPv6, IPv6 of 1280 bytes passes a path of 1280, in fragments of the router',
        ),
      ),
    ),
    r(
      '7.2',
      '–',
      'answer inner IPv4 with DF that is larger, fragment it without',
      done(
        BELOW,
        test('lane/answers', 'with DF clear it goes in fragments, which count in its place'),
      ),
    ),
    r('8', '–', 'relay errors from within the tunnel to the inner sender', done(RELAYED, NARROW)),
    r(
      '5.1',
      '–',
      'outer source and destination are the ends of the tunnel',
      done(answer('ip6ip6 says how many tunnels more'), answer('ip6ip6')),
    ),
  ],
};
