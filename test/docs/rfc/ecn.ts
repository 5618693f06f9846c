// Explicit congestion notification: RFC 6040, 9601.
import { answer, done, packet, type Rfc, requirement as r, row, test } from './requirement.js';

export const RFC_6040: Rfc = {
  number: 6040,
  title: 'Tunnelling of Explicit Congestion Notification',
  requirements: [
    r(
      '4.1',
      '–',
      'normal mode copies all of ECN outwards, congestion experienced too',
      done(
        answer('gre carries IPv4, outer DF from pmtudisc, ECN copied'),
        answer('ip4ip6 copies congestion experienced'),
      ),
    ),
    r(
      '4.1',
      '–',
      'compatibility mode sends no ECN',
      done(answer('compatibility mode sends no ECN')),
    ),
    r(
      '4.1',
      '–',
      'inner ECN is not changed when a packet is encapsulated',
      done(answer('compatibility mode sends no ECN')),
    ),
    r(
      '4.2',
      'MUST',
      'drop what was marked on the way but cannot tell its sender',
      done(
        row('outer congestion experienced, inner not capable of ECN'),
        packet('ecn-ce-notect'),
        answer('ip6gre, congestion marked, sender not capable'),
      ),
    ),
    r(
      '4.2',
      'MUST',
      'leave a packet that is not capable of ECN as it is, otherwise',
      done(row('outer ECT(1), inner not capable of ECN')),
    ),
    r(
      '4.2',
      'MUST',
      'otherwise let the more severe win: CE, then ECT(1), then ECT(0)',
      done(
        answer('congestion marked on the way, sender capable'),
        answer('ECT(1) outside, ECT(0) inside IPv6'),
        packet('ecn-ect1-ect0'),
      ),
    ),
    r(
      '4.2',
      'SHOULD',
      'log combinations that should not be, at a bounded rate, if the log is to have it',
      done(
        answer('ECT(1) outside, not capable inside'),
        answer('ECT(0) outside, ECT(1) inside'),
        test(
          'router/ecn-watch',
          'every ten seconds a line of each tunnel that had odd pairs says how many of which',
        ),
        test(
          'netns/ecn.long',
          'packets whose outer ECN no sender left are told of in one line of the log',
        ),
      ),
    ),
    r(
      '4.3',
      'MUST',
      'have normal mode, and compatibility mode unless every peer is known to carry ECN over',
      done(
        answer('gre carries IPv4, outer DF from pmtudisc, ECN copied'),
        answer('compatibility mode sends no ECN'),
        test('config/modes', 'every option of the outer header reaches the packet path'),
      ),
    ),
    r(
      '4.3',
      'MUST NOT',
      'have compatibility mode alone',
      done(answer('ip4ip6 copies congestion experienced')),
    ),
    r(
      '4.3',
      'SHOULD',
      'use normal mode where the peer carries ECN over',
      done(answer('gre carries IPv4, outer DF from pmtudisc, ECN copied')),
    ),
    r('4.3', 'MUST', 'use compatibility mode while it finds out what the peer can', {
      other: 'there is nothing to find out by: whoever sets up the tunnel knows the peer',
    }),
    r(
      '4.4',
      '–',
      'one way to decapsulate, whatever the mode',
      done(answer('compatibility mode receives ECN as any other')),
    ),
  ],
};

export const RFC_9601: Rfc = {
  number: 9601,
  title: 'Propagating ECN across IP Tunnel Headers Separated by a Shim',
  requirements: [
    r('4', 'MUST', 'be configured to send no ECN to a peer that does not, or may not, know of it', {
      other: 'a decision of who sets up the tunnel: `ecn = "compatibility"`',
    }),
    r(
      '4',
      'MUST',
      'send no ECN where IP may hide in what is carried and is not looked at',
      done(answer('gretap carries what is not IP'), answer('ip6gretap carries what is not IP')),
    ),
    r(
      '4',
      'MUST NOT',
      'change the ECN of the packet that is carried',
      done(answer('compatibility mode sends no ECN')),
    ),
    r(
      '4',
      'MUST NOT',
      'take TOS or traffic class for one field of 8 bits',
      done(
        answer('gre carries IPv4, outer DF from pmtudisc, ECN copied'),
        test(
          'packet/encap-options',
          'TTL and TOS are fixed or inherited; the ECN bits always follow the inner packet',
        ),
      ),
    ),
    r(
      '4',
      'SHOULD',
      'let it be configured that no ECN is sent',
      done(
        answer('compatibility mode sends no ECN'),
        test('config/modes', 'every option of the outer header reaches the packet path'),
      ),
    ),
    r(
      '5',
      'MUST',
      'the same outer ECN on all fragments of a packet that the tunnel fragments',
      done(test('packet/fragment', 'all fragments have the DSCP and the ECN of the packet')),
    ),
    r(
      '5',
      'MUST',
      'discard outer fragments that mix Not-ECT with others; ECT(0) with ECT(1) is ECT(1)',
      {
        other: 'the kernel puts outer fragments together, before a packet comes to us',
      },
    ),
  ],
};
