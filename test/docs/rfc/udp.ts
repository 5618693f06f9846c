// GRE-in-UDP: RFC 8086.
import { answer, done, packet, type Rfc, requirement as r, test } from './requirement.js';

const ALIKE = test(
  'netns/gre-udp.long',
  'tshark finds gre-udp well-formed: checksums, TTL, TOS with ECN, DF of the packet inside',
);

const PORT = test(
  'netns/flows',
  'gre-udp sends all packets from the port that it was told, or from one of its own choice',
);

export const RFC_8086: Rfc = {
  number: 8086,
  title: 'GRE-in-UDP Encapsulation',
  requirements: [
    r(
      '2.1.1',
      'SHOULD',
      'send a UDP checksum over IPv4',
      done(answer('gre-udp carries IPv4'), ALIKE),
    ),
    r(
      '2.1.1',
      'MUST',
      'send a UDP checksum over IPv6',
      done(answer('gre-udp over IPv6 carries IPv4')),
    ),
    r('2.1.1', 'MUST NOT', 'carry over the Internet what has no congestion control', {
      other: 'a decision of who deploys it',
    }),
    r(
      '2.1.1',
      'SHOULD',
      'take source ports from 49152 to 65535',
      done(answer('gre-udp carries IPv4'), answer('gre-udp over IPv6 carries IPv6, odd length')),
    ),
    r(
      '2.1.1',
      'MUST',
      'be configurable to one source port for all traffic of a tunnel (`sport`)',
      done(PORT, answer('gre-udp from one port')),
    ),
    r(
      '2.1.1',
      'SHOULD',
      'choose that one port at random (`sport = "random"`, and where packets are numbered)',
      done(
        PORT,
        test(
          'config/modes',
          'gre-udp sends from one port that is given, or chosen when the router starts; otherwise a flow has its own',
        ),
      ),
    ),
    r(
      '2.1.1',
      'SHOULD',
      'over IPv6 put what tells flows apart into the flow label too (`flowlabel = "flow"`)',
      done(
        answer('gre-udp over IPv6 with port and flow label of the flow'),
        test(
          'netns/flows',
          'over IPv6 gives each flow a label of its own, the same for all its packets',
        ),
      ),
    ),
    r(
      '2.1.1',
      'SHOULD',
      'fragment before encapsulating',
      done(test('lane/answers', 'with DF clear it goes in fragments, which count in its place')),
    ),
    r(
      '2.1.1',
      'MUST',
      'a UDP checksum on every fragment that is carried',
      done(answer('gre-udp tells no fragment by its ports')),
    ),
    r(
      '2.1.1',
      'MUST',
      'the DSCP of the packet on every fragment, where it is inherited',
      done(
        ALIKE,
        answer('gre with checksum, key and sequence, TOS and TTL inherited'),
        test('packet/fragment', 'all fragments have the DSCP and the ECN of the packet'),
      ),
    ),
    r(
      '2.1.1',
      'SHOULD',
      'one source port for all fragments of a packet',
      done(answer('gre-udp tells no fragment by its ports')),
    ),
    r(
      '3.1',
      'MUST',
      'outer source is the encapsulator’s own address, outer destination the decapsulator’s',
      done(
        answer('gre-udp carries IPv4'),
        test('netns/bad-input', 'a local address of another machine is refused'),
      ),
    ),
    r(
      '3.2.1',
      'SHOULD',
      'all packets of a flow have one source port',
      done(
        test(
          'underlay/udp/udp',
          'packets of several flows all arrive, each flow in order and from one port',
        ),
      ),
    ),
    r(
      '3.2.1',
      'SHOULD NOT',
      'change the port of a flow more often than every 30 seconds',
      done(
        test(
          'underlay/udp/udp',
          'packets of several flows all arrive, each flow in order and from one port',
        ),
      ),
    ),
    r(
      '3.2.2',
      '–',
      'destination port 4754',
      done(answer('gre-udp carries IPv4'), answer('GRE to another port')),
    ),
    r(
      '3.3',
      'SHOULD',
      'prefer the UDP checksum to that of GRE',
      done(answer('gre-udp carries IPv4')),
    ),
    r(
      '3.3',
      'MUST',
      'drop a packet whose key is wrong for its source',
      done(
        test(
          'property/decap',
          'the hash lookup finds what four linear passes find, in tables of 1 to 50 tunnels',
        ),
        answer('ip6gre with another key'),
      ),
    ),
    r(
      '3.3',
      'MUST',
      'put on and take off the UDP and GRE headers together',
      done(answer('plain GRE to a gre-udp tunnel'), answer('gre-udp to a plain GRE tunnel')),
    ),
    r(
      '4',
      'MUST',
      'set UDP and GRE headers as section 3 says',
      done(answer('gre-udp with checksum, key and sequence, odd length'), ALIKE),
    ),
    r(
      '4',
      'SHOULD NOT',
      'send GRE keepalives in the tunnel (the text recommends not to)',
      done(test('config/contradictions', 'told at its place, with what to do')),
    ),
    r(
      '4.1',
      'SHOULD',
      'fragments no larger than the path’s MTU less the headers',
      done(test('netns/mtu', 'the MTU of a tunnel follows from the device that its packets take')),
    ),
    r(
      '4.1',
      '–',
      'follow the path’s MTU when it is less than the device’s',
      done(test('netns/path-mtu.long', 'is told of a narrow path by its first packet, both ways')),
    ),
    r('4.2', 'MUST', 'ECN as RFC 6040 says', done(answer('gre-udp carries IPv6'), ALIKE)),
    r('5', 'SHOULD', 'DTLS, where what is carried needs protection', {
      not: 'no DTLS; IPsec beside it does the same, and what comes to port 4755 is dropped',
    }),
    r(
      '5',
      'MUST',
      'take nothing that is not DTLS at port 4755',
      done(answer('GRE to another port')),
    ),
    r(
      '6.1',
      'MUST',
      'verify a UDP checksum that is not 0, drop when it is wrong',
      done(answer('gre-udp with a wrong UDP checksum'), answer('gre-udp carries IPv4')),
    ),
    r(
      '6.1',
      'SHOULD',
      'over IPv4 accept UDP checksum 0 by default',
      done(answer('gre-udp carries IPv6, no UDP checksum')),
    ),
    r(
      '6.2',
      'MUST',
      'over IPv6 use the UDP checksum by default, and take no packet without',
      done(
        answer('gre-udp over IPv6 without a UDP checksum'),
        packet('udp6-zero-csum'),
        answer('gre-udp over IPv6 with a wrong UDP checksum'),
      ),
    ),
    r('6.2', 'MAY', 'over IPv6 go without, in a network that allows it', {
      not: 'no key of the config, so that what the section asks of such tunnels asks nothing of these',
    }),
  ],
};
