/** An address block that inner sources may come from. */
export interface Prefix {
  /** IPv4 or IPv6 text. */
  readonly address: string;
  /** Leading bits that count: 0..32 or 0..128. */
  readonly bits: number;
}

/** One of several peers of a tunnel. */
export interface Peer {
  /** Outer address of one host; null while it is not known: packets to this peer are dropped. */
  readonly remote: string | null;
  /** Inner networks behind it: sent to it, and accepted from it. The longest that holds a destination decides. */
  readonly routes: readonly Prefix[];
}

/** How a header field of the outer packet is chosen: a fixed value, or the inner packet's. */
export type Inherit = 'inherit';

/** What happens to a field of the inner packet when it leaves the tunnel: it stays, or takes the outer one's. */
export type Arrival = 'keep' | 'inherit';

/** How long received packets that came too early wait for those before them (RFC 2890, 2.2). */
export interface Reorder {
  /** Most that wait at a time: MAX_PERFLOW_BUFFER of the RFC. */
  readonly packets: number;
  /** Longest that one waits: OUTOFORDER_TIMER of the RFC. */
  readonly timeMs: number;
}

interface TunnelBase {
  /** Name of the tunnel and of its device. */
  readonly name: string;
  /** Outer address on our side, of the family of the mode, or `any`. */
  readonly local: string;
  /**
   * Outer address of the peer, or `any`: received from everyone, sent to no one. A multicast group: sent to all
   * its members, received from any that sends to the group.
   */
  readonly remote: string;
  /**
   * Peers that share the tunnel, whose `remote` is then `any`: packets go to the one that has their destination, and
   * come from no one else. For IP packets only.
   */
  readonly peers?: readonly Peer[];
  /** Record of the first of them; the others are behind it. Absent: they are behind all tunnels. */
  readonly peersAt?: number;
  /** Outer TTL or hop limit, 1..255. */
  readonly ttl: number | Inherit;
  /** Inner TTL on arrival: `inherit` takes the outer one where that is less. Default `keep`. */
  readonly ttlIn?: Arrival;
  /** Outer TOS byte or traffic class, 0..252; its two ECN bits follow `ecn`. */
  readonly tos: number | Inherit;
  /** Inner DSCP on arrival (RFC 2983): `keep` is the pipe model and the default, `inherit` the uniform model. */
  readonly tosIn?: Arrival;
  /**
   * Outer ECN bits (RFC 6040, 4.1): `normal`, the default, copies the inner ones; `compatibility` sends none, for a
   * peer that does not carry them over (RFC 9601, 4).
   */
  readonly ecn?: 'normal' | 'compatibility';
  /** Sets DF on every outer IPv4 packet; otherwise DF is copied from inner IPv4 packets. */
  readonly pmtudisc: boolean;
  /** With `pmtudisc` false: inner DF is not copied either, so that every outer packet may be fragmented. */
  readonly ignoreDf?: boolean;
  /** Over IPv6: how many tunnels more may be entered on the way, 0..255 (RFC 2473, 4.1); absent = no such option. */
  readonly encapLimit?: number;
  /**
   * Over IPv6: outer flow label, 0..0xfffff, that of inner IPv6, or `flow`: made of what tells flows apart, so that the
   * network may give each a way of its own (RFC 6438). Default 0.
   */
  readonly flowLabel?: number | Inherit | 'flow';
  /** Largest inner IP packet in bytes. */
  readonly mtu: number;
  /** Largest TCP segment that hosts are told of, or `auto`: what fits the MTU. Absent = left as it is. */
  readonly mss?: number | 'auto';
  /** Index of the network device it is bound to, 0 = any. */
  readonly link: number;
  /** Inner sources accepted on receipt. */
  readonly allow: readonly Prefix[] | 'any';
  /** Addresses of the tunnel device: our own, so no packet from the peer may claim them. */
  readonly addresses: readonly Prefix[];
  /** Sends keepalives: GRE packets of protocol type 0 answer them. Of `gre` and `ip6gre` alone. */
  readonly keepalive?: boolean;
  /** Echo requests that ask for the peer inside the tunnel: whom, and by which identifier, 1..65535. */
  readonly probe?: { readonly target: string; readonly identifier: number };
  /** Echo replies that have our own inner address for their source go back into the tunnel. Default false. */
  readonly reflect?: boolean;
  /** What happens to odd packets: as the RFCs ask, or as Linux does. Default `rfc`. */
  readonly profile?: 'rfc' | 'linux';
}

/** A tunnel with a GRE header. */
export interface GreTunnel extends TunnelBase {
  /** `gre-udp` puts a UDP header in front of the GRE header (RFC 8086), over the family of its addresses. */
  readonly mode: 'gre' | 'gretap' | 'ip6gre' | 'ip6gretap' | 'gre-udp';
  /** Key that received packets must carry (RFC 2890, 2.1); absent = they must carry none. */
  readonly keyIn?: number;
  readonly keyOut?: number;
  /** Received packets have a checksum; asked for by profile `linux` alone. Default false. */
  readonly checksumIn?: boolean;
  readonly checksumOut: boolean;
  /** Drops packets whose sequence number is old (RFC 2890, 2.2). */
  readonly sequenceIn: boolean;
  /** With `sequenceIn`: packets that come early wait for those before them. */
  readonly reorder?: Reorder;
  readonly sequenceOut: boolean;
  /** Of `gre-udp`: UDP source port of all packets, 1..65535 (RFC 8086, 2.1.1). Absent = each flow has its own. */
  readonly sourcePort?: number;
  /**
   * The same where it need not be this very one: with `sequenceOut`, as ways of their own for each flow would change the
   * order of packets. Default 49152.
   */
  readonly orderedPort?: number;
}

/** A tunnel whose inner packet follows its outer header at once. */
export interface IpTunnel extends TunnelBase {
  /** IPv4 or IPv6 in IPv4 (RFC 2003, RFC 4213), the same in IPv6 (RFC 2473). */
  readonly mode: 'ipip' | 'sit' | 'ip4ip6' | 'ip6ip6';
}

/** What the packet path knows of a tunnel. */
export type Tunnel = GreTunnel | IpTunnel;

export type Mode = Tunnel['mode'];

/** What a mode may carry: IP of either version, of one, or Ethernet frames. */
export type Carried = 'ip' | 4 | 6 | 'ethernet';

const MODES: Readonly<
  Record<Mode, { readonly outer: 4 | 6 | null; readonly isGre: boolean; readonly carries: Carried }>
> = {
  gre: { outer: 4, isGre: true, carries: 'ip' },
  gretap: { outer: 4, isGre: true, carries: 'ethernet' },
  ipip: { outer: 4, isGre: false, carries: 4 },
  sit: { outer: 4, isGre: false, carries: 6 },
  ip6gre: { outer: 6, isGre: true, carries: 'ip' },
  ip6gretap: { outer: 6, isGre: true, carries: 'ethernet' },
  ip4ip6: { outer: 6, isGre: false, carries: 4 },
  ip6ip6: { outer: 6, isGre: false, carries: 6 },
  'gre-udp': { outer: null, isGre: true, carries: 'ip' },
};

/** All modes by name. */
export const MODE_NAMES = Object.keys(MODES) as readonly Mode[];

/** Whether a tunnel has a GRE header, and with it key, checksum and sequence number. */
export function isGre(tunnel: Tunnel): tunnel is GreTunnel {
  return MODES[tunnel.mode].isGre;
}

/** Whether GRE keepalives are to be had in this mode: neither in UDP (RFC 8086, 4) nor beside Ethernet frames. */
export function takesKeepalives(mode: Mode): boolean {
  return mode === 'gre' || mode === 'ip6gre';
}

/** What tunnels of this mode carry. */
export function carries(mode: Mode): Carried {
  return MODES[mode].carries;
}

/** IP version of the outer header, or null for a mode that has it from its addresses. */
export function outerVersion(mode: Mode): 4 | 6 | null {
  return MODES[mode].outer;
}

/** IP version of a tunnel's outer header. */
export function versionOf({ mode, local, remote, peers = [] }: Tunnel): 4 | 6 {
  const ends = [local, remote, ...peers.map((peer) => peer.remote)];
  return MODES[mode].outer ?? (ends.some((end) => end?.includes(':')) ? 6 : 4);
}

/** Bytes of an Ethernet header. */
export const ETHERNET_HEADER = 14;
/** Bytes of the destination options header that holds an encapsulation limit (RFC 2473, 4.1). */
export const ENCAP_LIMIT_HEADER = 8;

/** Bytes of the headers in front of what the device carries: an IP packet, or an Ethernet frame. */
export function outerLength(tunnel: Tunnel): number {
  const ip =
    versionOf(tunnel) === 4 ? 20 : 40 + (tunnel.encapLimit === undefined ? 0 : ENCAP_LIMIT_HEADER);
  if (!isGre(tunnel)) return ip;
  return ip + (tunnel.mode === 'gre-udp' ? 8 : 0) + greSize(tunnel);
}

/** Bytes that all headers add to an inner IP packet, the Ethernet header of a frame included. */
export function overhead(tunnel: Tunnel): number {
  return outerLength(tunnel) + (carries(tunnel.mode) === 'ethernet' ? ETHERNET_HEADER : 0);
}

/** Bytes of the GRE header. */
function greSize(tunnel: GreTunnel): number {
  return (
    4 +
    (tunnel.checksumOut ? 4 : 0) +
    (tunnel.keyOut === undefined ? 0 : 4) +
    (tunnel.sequenceOut ? 4 : 0)
  );
}
