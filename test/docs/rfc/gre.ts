// GRE: RFC 1701, 2784, 2890, 7676.
import { answer, done, packet, type Rfc, requirement as r, row, test } from './requirement.js';

const FLAGS = test(
  'reference/gre-flags',
  'every flag word with 0 to 40 bytes gets the same verdict from simd, scalar and reference',
);

export const RFC_1701: Rfc = {
  number: 1701,
  title: 'Generic Routing Encapsulation, as of 1994',
  requirements: [
    r(
      '–',
      '–',
      'checksum, key and sequence number in this order, each where its bit says',
      done(FLAGS),
    ),
    r('–', '–', 'a strict or loose source route where R is set', {
      not: 'RFC 2784 took it away; such packets are dropped as gre-routing-present',
    }),
    r('–', '–', 'the field Recur limits how often a packet is encapsulated', {
      not: 'RFC 2784 took it away; bits 6 and 7 are ignored, a packet with bit 5 set is dropped',
    }),
  ],
};

export const RFC_2784: Rfc = {
  number: 2784,
  title: 'Generic Routing Encapsulation',
  requirements: [
    r(
      '2.2',
      'MUST',
      'accept and process packets with a checksum, whatever oneself sends',
      done(
        row('C set and right, tunnel without `csum`'),
        answer('gre checksum on a tunnel that sends none'),
      ),
    ),
    r(
      '2.3',
      'MUST',
      'without RFC 1701: discard a packet with one of bits 1, 4 and 5 set (2 and 3 are of RFC 2890)',
      done(row('R set'), row('s set (bit 4)'), row('bit 5 set'), FLAGS),
    ),
    r(
      '2.3',
      'MUST',
      'send bits 6 to 12 as 0, ignore them on receipt',
      done(
        row('bit 6 set'),
        row('bit 9 set'),
        row('bit 12 set'),
        answer('gre ignores bits 6 to 12'),
        test('packet/encap-options', 'encapGre writes the header that RFC 2784 and 2890 draw'),
      ),
    ),
    r('2.3.1', 'MUST', 'version 0', done(row('version 1'), packet('version-2'), FLAGS)),
    r(
      '2.4',
      'SHOULD',
      'discard a packet of an unknown protocol type',
      done(row('an unknown protocol type (0x8847, MPLS)')),
    ),
    r(
      '2.5',
      '–',
      'checksum over GRE header and payload, its own field taken as 0',
      done(
        answer('gre with checksum, key and sequence, TOS and TTL inherited'),
        test('netns/wire', 'tshark finds keyed, checksummed, numbered GRE well-formed'),
        test('reference/checksum', 'every build sums every length from 0 to 9001 like RFC 1071'),
      ),
    ),
    r(
      '2.6',
      'MUST',
      'send Reserved1 as 0',
      done(answer('gre with checksum, key and sequence, TOS and TTL inherited')),
    ),
    r(
      '2.6',
      '–',
      'take a packet whose Reserved1 is not 0',
      done(row('Reserved1 not 0, C set and right')),
    ),
    r(
      '3',
      'MUST',
      'protocol type 0x0800 for IPv4',
      done(answer('gre carries IPv4, outer DF from pmtudisc, ECN copied')),
    ),
    r('3.1', 'MUST', 'forward by the inner destination', {
      other: 'the host’s IP stack routes what leaves the tunnel device',
    }),
    r('3.1', 'MUST', 'decrement the inner TTL when forwarding', {
      other:
        'the host’s IP stack does; a packet that this would end is dropped first, as inner-ttl',
    }),
    r(
      '3.1',
      'MUST',
      'discard a packet whose inner destination is the encapsulator',
      done(
        test(
          'property/encap',
          'encap agrees with the reference: TOS, TTL, DF, identification, key, sequence, checksum',
        ),
        answer('ip6gre to the peer itself'),
        packet('nest-gre-2'),
      ),
    ),
    r('4', '–', 'IP protocol 47', done(answer('gre carries IPv6'))),
  ],
};

export const RFC_2890: Rfc = {
  number: 2890,
  title: 'Key and Sequence Number Extensions to GRE',
  requirements: [
    r(
      '1.1',
      'SHOULD',
      'count what is silently discarded',
      done(test('reference/settle', 'every reason has its own counter')),
    ),
    r('1.1', 'SHOULD', 'be able to log it with its contents', {
      not: 'the reason is counted, and `grebe trace --drops` shows headers and verdict; whole packets are the work of pcap, which comes',
    }),
    r(
      '2',
      '–',
      'K is bit 2, S bit 3; the order is checksum, key, sequence number',
      done(
        FLAGS,
        test('packet/encap-options', 'encapGre writes the header that RFC 2784 and 2890 draw'),
      ),
    ),
    r(
      '2.1',
      '–',
      'the key names a flow within the tunnel',
      done(
        test('netns/lookup', 'tunnels of the same two addresses are told apart by key and by mode'),
        test('netns/lookup', 'each direction has a key of its own'),
      ),
    ),
    r(
      '2.1',
      '–',
      'key 0 is a key',
      done(
        row('key 0, tunnel without a key'),
        packet('key-zero'),
        test('config/load', 'key 0 is a key, and no key is none'),
      ),
    ),
    r(
      '2.2',
      'MUST',
      'use the sequence number to tell the order of packets',
      done(
        row('an old sequence number, tunnel with `seq`'),
        test(
          'property/sequence',
          'every codec accepts and refuses the same numbers, across restarts of the sender',
        ),
      ),
    ),
    r(
      '2.2',
      '–',
      'the first number sent is 0, and after 2³² − 1 comes 0',
      done(
        answer('gre with checksum, key and sequence, TOS and TTL inherited'),
        answer('gre sequence across zero'),
      ),
    ),
    r(
      '2.2',
      'SHOULD',
      'silently discard what is out of sequence',
      done(
        row('an old sequence number, tunnel with `seq`'),
        row('a sequence number once more, tunnel with `seq`'),
        test('netns/strangers', 'a packet that was sent again is dropped as out of sequence'),
      ),
    ),
    r(
      '2.2',
      '–',
      'a packet without a number is in sequence',
      done(row('S clear, tunnel with `seq`'), answer('gre sequence absent is in order')),
    ),
    r('2.2', '–', 'a sender that began anew is out of sequence for 2³¹ numbers', {
      not: 'after eight old numbers in a row it is followed, or it would be cut off for weeks',
    }),
    r(
      '2.2',
      'MAY',
      'keep a packet that came early for those before it',
      done(
        test(
          'property/sequence',
          'a packet that comes before its turn is put aside until those before it are there',
        ),
        test(
          'netns/reorder',
          'the kernel gets numbered packets in order; what never comes is waited for no longer than it has time',
        ),
      ),
    ),
    r(
      '2.2',
      'MUST NOT',
      'keep it longer than the timer of the buffer',
      done(test('lane/reorder', 'a packet whose time is up goes on, and with it all before it')),
    ),
    r(
      '2.2',
      'MUST',
      'when its time is up, let it go at once with those before it',
      done(test('lane/reorder', 'a packet whose time is up goes on, and with it all before it')),
    ),
    r(
      '2.2',
      'MAY',
      'bound how many packets of a flow are kept',
      done(
        test(
          'lane/reorder',
          'with more packets waiting than there is room for, the missing ones are given up',
        ),
      ),
    ),
    r('3', '–', 'neither key nor number is a protection', {
      other: 'IPsec beside it is; a key is never shown as a secret',
    }),
  ],
};

export const RFC_7676: Rfc = {
  number: 7676,
  title: 'IPv6 Support for GRE',
  requirements: [
    r(
      '2.1',
      'SHOULD',
      'send no checksum by default',
      done(
        answer('ip6gre carries IPv4'),
        test(
          'config/load',
          'what is left out gets its default: sources are routes and subnets of the addresses',
        ),
      ),
    ),
    r(
      '2.1',
      'MUST',
      'verify a checksum that is there',
      done(
        answer('ip6gre with a wrong checksum'),
        answer('ip6gre with checksum, key and sequence'),
      ),
    ),
    r(
      '3.1',
      'MUST',
      'protocol type 0x86dd for IPv6',
      done(answer('gre carries IPv6'), answer('ip6gre carries IPv6')),
    ),
    r(
      '3.2',
      'MUST',
      'carry an IPv6 packet of 1280 bytes without fragmenting it',
      done(
        test('netns/over-ipv6.long', 'carries pings of one packet and of three, each counted once'),
        test(
          'netns/bad-input',
          'an IPv6 address on a device that is told to be too small for IPv6 is refused with the MTUs',
        ),
      ),
    ),
    r(
      '3.2',
      'MUST',
      'verify that from time to time, and use the tunnel as long as it holds (`probe` with `size = 1280`)',
      done(
        test(
          'netns/small-path.long',
          'probes of 1280 bytes take a tunnel down whose path loses them, and up again',
        ),
      ),
    ),
    r('3.2', 'MUST', 'verify it before the tunnel is used for the first time', {
      not: 'it is used at once: what carries the packet is fragmented where less is left, as the section allows instead',
    }),
    r(
      '3.2',
      'MUST',
      'without such a trial, in places where less than 1280 may be left: be able to fragment delivery packets',
      done(
        test('netns/small-path.long', 'in fragments, and no more'),
        test(
          'netns/path-mtu.long',
          'over IPv6, IPv6 of 1280 bytes passes a path of 1280, in fragments of the router',
        ),
      ),
    ),
    r(
      '3.3',
      'MUST NOT',
      'fragment a packet, or what carries it, that fits the tunnel',
      done(answer('gre carries IPv6'), test('netns/mtu', 'on a 1500-byte path carries')),
    ),
    r(
      '3.3',
      'MUST',
      'discard a larger IPv6 packet and tell its sender of the tunnel’s MTU, when that is 1280 or more',
      done(
        test('netns/mtu', 'a too large IPv6 packet is answered with Packet Too Big'),
        answer('ip6gre, larger than its MTU'),
      ),
    ),
    r(
      '3.3',
      'MUST',
      'when it is less than 1280: encapsulate the packet and fragment what carries it',
      done(test('netns/small-path.long', 'in fragments, and no more')),
    ),
    r(
      '4.1',
      'MUST',
      'the last next header is 47',
      done(answer('ip6gre carries IPv4'), answer('ip6gre carries IPv6')),
    ),
    r(
      '4.1',
      'MAY',
      'have extension headers before the GRE header',
      done(
        answer('ip6gre behind an encapsulation limit'),
        answer('ip6gre behind an atomic fragment header'),
      ),
    ),
    r(
      '4.2',
      'MUST NOT',
      'use GRE over IPv6 where a packet that reached the wrong place does harm',
      {
        other: 'a decision of who deploys it; strangers’ packets are dropped',
      },
    ),
    r(
      '4.3',
      '–',
      'no fragmentation of delivery packets by default',
      done(answer('ip6gre, larger than its MTU')),
    ),
    r(
      '3.3',
      '–',
      'learn the path’s MTU from Packet Too Big',
      done(
        test('netns/path-mtu.long', 'is told of a narrow path by its first packet, both ways'),
        test('packet/icmp-quote', 'over IPv6 the options header in front of GRE is walked'),
      ),
    ),
  ],
};
