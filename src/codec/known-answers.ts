// What a codec build must answer before it goes live: one batch of packets a direction, with every
// outcome they must have. The bytes are in the other known-*.ts, made by another encoder.
import type { Reason } from '../packet/reason.js';
import type { GreTunnel, Tunnel } from '../packet/tunnel.js';

/** A packet and what must become of it: `result`, or `drop`. */
export interface KnownAnswer {
  readonly name: string;
  /** Record index: encap, of the tunnel it is sent to; decap, of the tunnel it must be counted at. */
  readonly tunnel: number;
  /** As it comes, in hex. */
  readonly packet: string;
  /** As it must go, in hex. */
  readonly result?: string;
  readonly drop?: Reason;
  /** Decap: it must end at the router itself as this, LOCAL_*; `result` is what counts of it. */
  readonly local?: number;
  /** Decap: the ECN fields of which the state of its tunnel must hold one more (RFC 6040, 4.2). */
  readonly odd?: { readonly outer: number; readonly inner: number };
  /** The device header that decap must put in front; zeros when absent. */
  readonly device?: string;
}

const BASE = {
  local: '192.0.2.1',
  ttl: 64,
  tos: 0,
  pmtudisc: true,
  mtu: 1476,
  link: 0,
  allow: [
    { address: '10.20.0.0', bits: 16 },
    { address: '2001:db8:20::', bits: 48 },
  ],
  addresses: [{ address: '10.9.0.1', bits: 24 }],
} as const;

const GRE = {
  ...BASE,
  mode: 'gre',
  checksumOut: false,
  sequenceIn: false,
  sequenceOut: false,
} as const;

/** An identified, checked and numbered tunnel that takes TTL and TOS from the inner packet. */
const EVERYTHING: GreTunnel = {
  ...GRE,
  name: 'everything',
  remote: '192.0.2.3',
  keyIn: 42,
  keyOut: 42,
  checksumOut: true,
  sequenceIn: true,
  sequenceOut: true,
  ttl: 'inherit',
  tos: 'inherit',
  pmtudisc: false,
};

const OVER6 = { ...BASE, local: '2001:db8::1', mtu: 1456 } as const;

const GRE6 = { ...GRE, ...OVER6, mode: 'ip6gre' } as const;

/** The tunnels of the answers: records 1 to 24. */
export const KNOWN_TUNNELS: readonly Tunnel[] = [
  { ...GRE, name: 'plain', remote: '192.0.2.2' },
  EVERYTHING,
  { ...BASE, mode: 'ipip', name: 'ipip', remote: '192.0.2.4', ttl: 255, tos: 0x20 },
  { ...BASE, mode: 'sit', name: 'sit', remote: '192.0.2.5' },
  { ...GRE, name: 'anyone', remote: 'any', keyIn: 7, mtu: 48 },
  { ...GRE, mode: 'gre-udp', name: 'udp', remote: '192.0.2.6' },
  { ...EVERYTHING, mode: 'gre-udp', name: 'udp everything', remote: '192.0.2.7' },
  { ...GRE6, name: 'over IPv6', remote: '2001:db8::2', mss: 'auto' },
  {
    ...EVERYTHING,
    ...{ mode: 'ip6gre', name: 'everything over IPv6', flowLabel: 'inherit' },
    ...{ local: '2001:db8::1', remote: '2001:db8::3' },
  },
  {
    ...OVER6,
    ...{ mode: 'ip4ip6', name: 'ip4ip6', remote: '2001:db8::4' },
    ...{ ttl: 255, tos: 0x20, flowLabel: 0x12345 },
  },
  { ...OVER6, mode: 'ip6ip6', name: 'ip6ip6', remote: '2001:db8::5', encapLimit: 4 },
  {
    ...GRE,
    ...{ mode: 'gretap', name: 'frames', remote: '192.0.2.8', mtu: 1462, mss: 'auto' },
    ...{ ttl: 'inherit', tos: 'inherit', pmtudisc: false },
  },
  {
    ...GRE6,
    mode: 'ip6gretap',
    name: 'frames over IPv6',
    remote: '2001:db8::6',
    keyIn: 6,
    keyOut: 6,
  },
  { ...GRE6, mode: 'gre-udp', name: 'udp over IPv6', remote: '2001:db8::7' },
  {
    ...GRE,
    ...{ name: 'compatible', remote: '192.0.2.9', tos: 'inherit', ecn: 'compatibility', mss: 1000 },
  },
  { ...GRE, name: 'uniform', remote: '192.0.2.10', tosIn: 'inherit', ttlIn: 'inherit' },
  {
    ...GRE,
    name: 'as Linux, all',
    checksumIn: true,
    sequenceIn: true,
    remote: '192.0.2.11',
    profile: 'linux',
  },
  { ...GRE, name: 'as Linux', remote: '192.0.2.12', profile: 'linux' },
  // Its own senders may be behind us, too: what they send is not what came back.
  { ...GRE, name: 'group', remote: '239.1.1.1', allow: 'any' },
  { ...BASE, mode: 'sit', name: 'sit as Linux', remote: '192.0.2.13', profile: 'linux' },
  { ...GRE, mode: 'gre-udp', name: 'udp from one port', remote: '192.0.2.14', sourcePort: 50001 },
  { ...GRE6, name: 'flows over IPv6', remote: '2001:db8::8', flowLabel: 'flow' },
  {
    ...GRE6,
    ...{ mode: 'gre-udp', name: 'udp flows over IPv6', remote: '2001:db8::9', flowLabel: 'flow' },
  },
  { ...GRE, name: 'asking', remote: '192.0.2.15', keepalive: true },
];

/** Bytes and their Internet checksum. The first is the example of RFC 1071, 3: the sum is 0xddf2. */
export const KNOWN_CHECKSUMS: readonly { readonly bytes: string; readonly checksum: number }[] = [
  { bytes: '0001f203f4f5f6f7', checksum: 0x220d },
  { bytes: '', checksum: 0xffff },
  { bytes: '00', checksum: 0xffff },
  { bytes: 'ff', checksum: 0x00ff },
  { bytes: 'ffff', checksum: 0x0000 },
  // An odd byte behind one, two and four whole vectors; every word adds its carry again.
  { bytes: `${'ffff'.repeat(8)}80`, checksum: 0x7fff },
  { bytes: `${'ffff'.repeat(16)}80`, checksum: 0x7fff },
  { bytes: `${'8001'.repeat(34)}01`, checksum: 0xfecc },
];
