// Odd packets, one a row, and what becomes of them: in profile rfc, in profile linux, and in a Linux kernel. Tests hold
// the rows against the reference, the builds and a real kernel; docs/strictness.md is made from them.
import type { Reason } from '../../src/packet/reason.js';
import type { GreTunnel, Tunnel } from '../../src/packet/tunnel.js';
import { gre, ipv4, ipv6 } from '../support/packets.js';
import { PLAIN_GRE, PLAIN_IPIP } from '../support/tunnels.js';

/** The two ends: packets go from one to the other, as they do with a guest of test/interop. */
export const SENDER = '192.0.2.1';
export const RECEIVER = '192.0.2.2';

export type Verdict = 'accept' | Reason;

interface Row {
  /** The packet, and of the tunnel what matters, in words. */
  readonly packet: string;
  readonly rfc: Verdict;
  readonly linux: Verdict;
  /** What Linux itself does. */
  readonly kernel: 'accept' | 'drop';
  /** Which of its device's counters tells of it, as `ip -s -s link` names it. */
  readonly counter?: 'crc_errors' | 'fifo_errors' | 'frame_errors' | 'dropped';
  /** What the RFCs ask, with the section. */
  readonly asked: string;
  /** Why profile linux does not do what Linux does, where it does not. */
  readonly unlike?: string;
}

/** A packet that arrives. */
export interface ReceiveRow extends Row {
  readonly tunnel: Partial<GreTunnel>;
  /** GRE headers with what follows; all but the last are accepted everywhere, and have to come first. */
  readonly payloads: readonly Uint8Array[];
  /** Outer TOS byte. */
  readonly tos?: number;
}

/** A packet to be sent. */
export interface SendRow extends Row {
  readonly tunnel: Tunnel;
  readonly bytes: Uint8Array;
}

const KEY = 42;
const SOURCE = '10.1.1.5';
const DESTINATION = '10.2.2.9';
const INNER = ipv4({ source: SOURCE, destination: DESTINATION });

/** A sound GRE packet with these fields. */
function packet(fields: Partial<Parameters<typeof gre>[0]>): Uint8Array {
  return gre({ payload: INNER, ...fields });
}

const NUMBERED = { sequenceIn: true } as const;
const SUMMED = { checksumIn: true } as const;

const EARLIER = [100].map((sequence) => packet({ sequence }));
/** A sender that began anew: its first eight numbers. */
const ANEW = Array.from({ length: 8 }, (_, sequence) => packet({ sequence }));

export const RECEIVE_ROWS: readonly ReceiveRow[] = [
  {
    packet: 'C set and right, tunnel without `csum`',
    tunnel: {},
    payloads: [packet({ checksum: true })],
    ...{ rfc: 'accept', linux: 'gre-checksum', kernel: 'drop', counter: 'crc_errors' },
    asked: 'accept (RFC 2784, 2.2)',
  },
  {
    packet: 'C clear, tunnel with `csum`',
    tunnel: SUMMED,
    payloads: [packet({})],
    ...{ rfc: 'accept', linux: 'gre-checksum', kernel: 'drop', counter: 'crc_errors' },
    asked: 'accept: C is the sender’s choice (RFC 2784, 2.2)',
  },
  {
    packet: 'C set and wrong, tunnel with `csum`',
    tunnel: SUMMED,
    payloads: [packet({ checksum: 1 })],
    ...{ rfc: 'gre-checksum', linux: 'gre-checksum', kernel: 'drop' },
    asked: 'drop (RFC 2784, 2.5)',
  },
  {
    packet: 'C set and wrong, tunnel without `csum`',
    tunnel: {},
    payloads: [packet({ checksum: 1 })],
    ...{ rfc: 'gre-checksum', linux: 'gre-checksum', kernel: 'drop' },
    asked: 'drop (RFC 2784, 2.5)',
  },
  {
    packet: 'Reserved1 not 0, C set and right',
    tunnel: SUMMED,
    payloads: [packet({ checksum: true, reserved1: 0xbeef })],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: 'ignore: only its sender is bound (RFC 2784, 2.6)',
  },
  {
    packet: 'S set, tunnel without `seq`',
    tunnel: {},
    payloads: [packet({ sequence: 7 })],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: '–',
  },
  {
    packet: 'S clear, tunnel with `seq`',
    tunnel: NUMBERED,
    payloads: [packet({})],
    ...{ rfc: 'accept', linux: 'gre-sequence', kernel: 'drop', counter: 'fifo_errors' },
    asked: 'accept as in sequence (RFC 2890, 2.2)',
  },
  {
    packet: 'an old sequence number, tunnel with `seq`',
    tunnel: NUMBERED,
    payloads: [...EARLIER, packet({ sequence: 99 })],
    ...{ rfc: 'gre-sequence', linux: 'gre-sequence', kernel: 'drop', counter: 'fifo_errors' },
    asked: 'drop (RFC 2890, 2.2)',
  },
  {
    packet: 'a sequence number once more, tunnel with `seq`',
    tunnel: NUMBERED,
    payloads: [...EARLIER, packet({ sequence: 100 })],
    ...{ rfc: 'gre-sequence', linux: 'gre-sequence', kernel: 'drop', counter: 'fifo_errors' },
    asked: 'drop (RFC 2890, 2.2)',
  },
  {
    packet: 'a sequence number after a gap, tunnel with `seq`',
    tunnel: NUMBERED,
    payloads: [...EARLIER, packet({ sequence: 1000 })],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: 'accept, or wait for those before it (RFC 2890, 2.2)',
  },
  {
    packet: 'K clear, tunnel with a key',
    tunnel: { keyIn: KEY },
    payloads: [packet({})],
    ...{ rfc: 'no-tunnel', linux: 'no-tunnel', kernel: 'drop' },
    asked: 'the key names the flow (RFC 2890, 2.1)',
  },
  {
    packet: 'K set, tunnel without a key',
    tunnel: {},
    payloads: [packet({ key: KEY })],
    ...{ rfc: 'no-tunnel', linux: 'no-tunnel', kernel: 'drop' },
    asked: 'the key names the flow (RFC 2890, 2.1)',
  },
  {
    packet: 'K set, another key',
    tunnel: { keyIn: KEY },
    payloads: [packet({ key: KEY + 1 })],
    ...{ rfc: 'no-tunnel', linux: 'no-tunnel', kernel: 'drop' },
    asked: 'the key names the flow (RFC 2890, 2.1)',
  },
  {
    packet: 'key 0, tunnel without a key',
    tunnel: {},
    payloads: [packet({ key: 0 })],
    ...{ rfc: 'no-tunnel', linux: 'no-tunnel', kernel: 'drop' },
    asked: '–',
  },
  {
    packet: 'key 0, tunnel without a key, `local` and `remote` any',
    tunnel: { local: 'any', remote: 'any' },
    payloads: [packet({ key: 0 })],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: '–',
  },
  {
    packet: 'K clear, tunnel with key 0, `local` and `remote` any',
    tunnel: { local: 'any', remote: 'any', keyIn: 0 },
    payloads: [packet({})],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: '–',
  },
  {
    packet: 'R set',
    tunnel: {},
    payloads: [packet({ flags: 0x4000 })],
    ...{ rfc: 'gre-routing-present', linux: 'gre-routing-present', kernel: 'drop' },
    asked: 'drop, without RFC 1701 (RFC 2784, 2.3)',
  },
  {
    packet: 's set (bit 4)',
    tunnel: {},
    payloads: [packet({ flags: 0x0800 })],
    ...{ rfc: 'gre-reserved-bits', linux: 'accept', kernel: 'accept' },
    asked: 'drop, without RFC 1701 (RFC 2784, 2.3)',
  },
  {
    packet: 'bit 5 set',
    tunnel: {},
    payloads: [packet({ flags: 0x0400 })],
    ...{ rfc: 'gre-reserved-bits', linux: 'accept', kernel: 'accept' },
    asked: 'drop, without RFC 1701 (RFC 2784, 2.3)',
  },
  ...[6, 7, 8].map(
    (bit): ReceiveRow => ({
      packet: `bit ${bit} set`,
      tunnel: {},
      payloads: [packet({ flags: 0x8000 >> bit })],
      ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
      asked: 'ignore (RFC 2784, 2.3)',
    }),
  ),
  ...[9, 10, 11, 12].map(
    (bit): ReceiveRow => ({
      packet: `bit ${bit} set`,
      tunnel: {},
      payloads: [packet({ flags: 0x8000 >> bit })],
      ...{ rfc: 'accept', linux: 'gre-reserved-bits', kernel: 'drop' },
      asked: 'ignore (RFC 2784, 2.3)',
    }),
  ),
  {
    packet: 'version 1',
    tunnel: {},
    payloads: [packet({ flags: 1 })],
    ...{ rfc: 'gre-version', linux: 'gre-version', kernel: 'drop' },
    asked: 'version 0 alone is GRE (RFC 2784, 2.3.1); Linux gives version 1 to `pptp`',
  },
  {
    packet: 'protocol type 0, nothing inside (answer to a keepalive)',
    tunnel: {},
    payloads: [gre({ protocol: 0 })],
    ...{ rfc: 'unknown-protocol', linux: 'unknown-protocol', kernel: 'drop' },
    asked: 'drop an unknown type (RFC 2784, 2.4)',
  },
  {
    packet: 'less than 8 bytes behind a GRE header of 4',
    tunnel: {},
    payloads: [packet({ payload: INNER.subarray(0, 7) })],
    ...{ rfc: 'inner-truncated', linux: 'inner-truncated', kernel: 'drop' },
    asked: '–',
  },
  {
    packet: 'WCCP version 1: protocol type 0x883e, then IPv4',
    tunnel: {},
    payloads: [packet({ protocol: 0x883e })],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: '–',
  },
  {
    packet: 'WCCP version 2: 0x883e, 4 bytes, then IPv4',
    tunnel: {},
    payloads: [packet({ protocol: 0x883e, payload: Uint8Array.of(0, 1, 2, 3, ...INNER) })],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: '–',
  },
  {
    packet: 'outer congestion experienced, inner not capable of ECN',
    tunnel: {},
    tos: 3,
    payloads: [packet({})],
    ...{ rfc: 'ecn', linux: 'ecn', kernel: 'drop', counter: 'frame_errors' },
    asked: 'drop (RFC 6040, 4.2)',
  },
  {
    packet: 'outer ECT(1), inner not capable of ECN',
    tunnel: {},
    tos: 1,
    payloads: [packet({})],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked: 'accept (RFC 6040, 4.2)',
  },
  {
    packet: 'eight old sequence numbers in a row: a sender that began anew',
    tunnel: NUMBERED,
    payloads: [...EARLIER, ...ANEW],
    ...{ rfc: 'accept', linux: 'accept', kernel: 'drop', counter: 'fifo_errors' },
    asked: 'drop, for 2³¹ numbers (RFC 2890, 2.2)',
    unlike: 'a peer that was restarted would be cut off for weeks; the first seven are dropped',
  },
  {
    packet: 'an unknown protocol type (0x8847, MPLS)',
    tunnel: {},
    payloads: [packet({ protocol: 0x8847 })],
    ...{ rfc: 'unknown-protocol', linux: 'unknown-protocol', kernel: 'accept', counter: 'dropped' },
    asked: 'drop (RFC 2784, 2.4)',
    unlike:
      'a TUN device carries IP alone; Linux counts it received and drops it behind the device',
  },
  {
    packet: 'WCCP with a key',
    tunnel: { keyIn: KEY },
    payloads: [packet({ protocol: 0x883e, key: KEY })],
    ...{ rfc: 'unknown-protocol', linux: 'unknown-protocol', kernel: 'accept', counter: 'dropped' },
    asked: 'drop an unknown type (RFC 2784, 2.4)',
    unlike: 'as above: Linux drops it behind the device',
  },
  {
    packet: 'an Ethernet frame (0x6558), tunnel of mode gre',
    tunnel: {},
    payloads: [
      packet({ protocol: 0x6558, payload: Uint8Array.of(...Buffer.alloc(12), 8, 0, ...INNER) }),
    ],
    ...{ rfc: 'unknown-protocol', linux: 'unknown-protocol', kernel: 'accept', counter: 'dropped' },
    asked: 'drop an unknown type (RFC 2784, 2.4)',
    unlike: 'as above: Linux drops it behind the device',
  },
  {
    packet: 'IPv6 inside under the type of IPv4',
    tunnel: {},
    payloads: [
      packet({
        protocol: 0x0800,
        payload: ipv6({
          source: '20010db8'.padEnd(31, '0') + '5',
          destination: '20010db8'.padEnd(31, '0') + '9',
        }),
      }),
    ],
    ...{ rfc: 'inner-version', linux: 'inner-version', kernel: 'accept' },
    asked: '0x0800 is IPv4 (RFC 2784, 3)',
    unlike: 'every tunnel checks what it lets in; Linux drops it behind the device',
  },
  {
    packet: 'inner header checksum wrong',
    tunnel: {},
    payloads: [
      packet({ payload: ipv4({ source: SOURCE, destination: DESTINATION, checksum: 1 }) }),
    ],
    ...{ rfc: 'inner-header', linux: 'inner-header', kernel: 'accept' },
    asked: '–',
    unlike: 'every tunnel checks what it lets in; Linux drops it behind the device',
  },
  {
    packet: 'inner source not in `allow`',
    tunnel: { allow: [{ address: '10.3.0.0', bits: 16 }] },
    payloads: [packet({})],
    ...{ rfc: 'inner-src-spoof', linux: 'inner-src-spoof', kernel: 'accept' },
    asked: '–',
    unlike: 'Linux leaves it to `rp_filter` and the firewall; `allow = ["any"]` does that here',
  },
  {
    packet: 'inner source on loopback',
    tunnel: {},
    payloads: [packet({ payload: ipv4({ source: '127.0.0.1', destination: DESTINATION }) })],
    ...{ rfc: 'inner-martian', linux: 'inner-martian', kernel: 'accept' },
    asked: '–',
    unlike: 'every tunnel checks what it lets in; Linux drops it behind the device',
  },
  {
    packet: 'inner TTL 1, to be forwarded',
    tunnel: {},
    payloads: [packet({ payload: ipv4({ source: SOURCE, destination: DESTINATION, ttl: 1 }) })],
    ...{ rfc: 'inner-ttl', linux: 'inner-ttl', kernel: 'accept' },
    asked: 'drop: forwarding takes it to 0 (RFC 2784, 3.1)',
    unlike: 'told by its own reason; Linux drops it when it forwards',
  },
];

/** IPv6 that may enter no tunnel more: the option of RFC 2473, 4.1.1 says 0. */
const LIMITED = ipv6({
  source: '20010db8000a00000000000000000005',
  destination: '20010db8000b00000000000000000009',
  nextHeader: 60,
  payload: Uint8Array.of(59, 0, 4, 1, 0, 1, 1, 0),
});

const OVER6 = {
  ...PLAIN_IPIP,
  mode: 'ip6ip6',
  local: '2001:db8::1',
  remote: '2001:db8::2',
} as const;

/** A router at ::2, whose far end is ::1, and what comes to it to be tunnelled. */
const ROUTER6 = { ...OVER6, local: OVER6.remote, remote: OVER6.local } as const;
const FAR6 = '20010db8'.padEnd(31, '0').concat('1');
const NEAR6 = '20010db8'.padEnd(31, '0').concat('2');
const BEHIND6 = '20010db8000b00000000000000000009';

export const SEND_ROWS: readonly SendRow[] = [
  {
    packet: 'inner source is the far end of the tunnel, IPv6 in IPv6',
    tunnel: ROUTER6,
    bytes: ipv6({ source: FAR6, destination: BEHIND6, nextHeader: 59 }),
    ...{ rfc: 'inner-src-spoof', linux: 'inner-src-spoof', kernel: 'drop' },
    asked: 'drop (RFC 2003, 3.2)',
  },
  {
    packet: 'inner source is the far end of the tunnel, over IPv4',
    tunnel: { ...PLAIN_IPIP, local: RECEIVER, remote: SENDER },
    bytes: ipv4({
      ...{ source: SENDER, destination: DESTINATION },
      ...{ identification: 1, payload: new Uint8Array(32) },
    }),
    ...{ rfc: 'inner-src-spoof', linux: 'accept', kernel: 'accept' },
    asked: 'drop (RFC 2003, 3.2)',
  },
  {
    packet: 'a tunnel packet from our own outer address (a tunnel of ours has just sent it)',
    tunnel: ROUTER6,
    bytes: ipv6({ source: NEAR6, destination: BEHIND6, nextHeader: 47, payload: gre({}) }),
    ...{ rfc: 'nesting-limit', linux: 'accept', kernel: 'accept' },
    asked: 'drop (RFC 2003, 3.2)',
  },
  {
    packet: 'another packet from our own outer address',
    tunnel: ROUTER6,
    bytes: ipv6({ source: NEAR6, destination: BEHIND6, nextHeader: 59 }),
    ...{ rfc: 'accept', linux: 'accept', kernel: 'accept' },
    asked:
      'drop what arrives to be forwarded (RFC 2003, 3.2): the host does; what it sends itself may go',
  },
  {
    packet: 'inner encapsulation limit 0, tunnel over IPv4',
    tunnel: { ...PLAIN_IPIP, mode: 'sit' },
    bytes: LIMITED,
    ...{ rfc: 'encap-limit', linux: 'accept', kernel: 'accept' },
    asked: 'drop (RFC 2473, 4.1.1)',
  },
  {
    packet: 'inner encapsulation limit 0, tunnel over IPv6',
    tunnel: OVER6,
    bytes: LIMITED,
    ...{ rfc: 'encap-limit', linux: 'encap-limit', kernel: 'drop' },
    asked: 'drop (RFC 2473, 4.1.1)',
  },
  {
    packet: 'inner encapsulation limit 0, tunnel over IPv6 with `encaplimit`',
    tunnel: { ...OVER6, encapLimit: 4 },
    bytes: LIMITED,
    ...{ rfc: 'encap-limit', linux: 'encap-limit', kernel: 'drop' },
    asked: 'drop (RFC 2473, 4.1.1)',
  },
];

/** What Linux does that profile linux does not, and no packet of the rows shows. */
export const UNLIKE: readonly { readonly linux: string; readonly grebe: string }[] = [
  {
    linux:
      '`dev` is a preference: a tunnel bound to the device that a packet came by wins over a more specific one, and one bound to another device still takes it when nothing better matches (`gre`, `ipip`)',
    grebe: '`dev` is a filter in both profiles, as it is for `sit` in Linux',
  },
  {
    linux:
      'between tunnels that match equally well the newest wins, or for exact matches without `dev` the oldest',
    grebe:
      'the first of the config wins; two that take the same packets are an error of the config',
  },
  {
    linux: 'over IPv6 the key is compared by value alone: none is key 0',
    grebe:
      'over IPv6 as over IPv4: key 0 and none are two things, except for tunnels with `local` and `remote` any',
  },
  {
    linux:
      'the fallback devices `gre0`, `tunl0`, `sit0` and `ip6tnl0`, when up, take what no tunnel takes',
    grebe: 'there are none: the packet is counted under no-tunnel',
  },
  {
    linux: 'what no tunnel takes is answered with ICMP port or protocol unreachable',
    grebe: 'never answered: a stranger learns nothing',
  },
  {
    linux:
      'after sequence number 4294967295 any number is taken once, and a new device takes any first number',
    grebe: 'any first number is taken; the order goes on past 4294967295',
  },
  {
    linux:
      'WCCP version 1 over IPv6 loses its first 4 bytes: they are taken for the header of version 2',
    grebe: 'read as IPv6',
  },
  {
    linux: 'inner congestion experienced leaves as outer ECT(0) (RFC 3168)',
    grebe:
      'leaves as congestion experienced (RFC 6040, 4.1), or with `ecn = "compatibility"` without ECN',
  },
  {
    linux:
      'over IPv6 an inner encapsulation limit is passed on, less one, also by a tunnel that sends none of its own',
    grebe:
      'only a tunnel with `encaplimit` sends the option; a limit of 0 is heeded by all over IPv6',
  },
  {
    linux: 'protocol types of ERSPAN and MPLS have devices',
    grebe: 'no mode: unknown-protocol',
  },
];

/** The tunnel of a row, in one of the profiles. */
export function receiverOf({ tunnel }: ReceiveRow, profile: 'rfc' | 'linux'): GreTunnel {
  return { ...PLAIN_GRE, local: RECEIVER, remote: SENDER, ...tunnel, profile };
}

/** The packets of a row, from SENDER to RECEIVER. */
export function packetsOf({ payloads, tos = 0 }: ReceiveRow): Uint8Array[] {
  return payloads.map((payload) =>
    ipv4({ source: SENDER, destination: RECEIVER, protocol: 47, tos, payload }),
  );
}
