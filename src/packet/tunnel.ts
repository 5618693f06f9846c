/** An address block that inner sources may come from. */
export interface Prefix {
  /** IPv4 or IPv6 text. */
  readonly address: string;
  /** Leading bits that count: 0..32 or 0..128. */
  readonly bits: number;
}

/** How a header field of the outer packet is chosen: a fixed value, or the inner packet's. */
export type Inherit = 'inherit';

interface TunnelBase {
  /** Name of the tunnel and of its device. */
  readonly name: string;
  /** Outer IPv4 address on our side, or `any`. */
  readonly local: string;
  /** Outer IPv4 address of the peer, or `any`: received from everyone, sent to no one. */
  readonly remote: string;
  /** Outer TTL, 1..255. */
  readonly ttl: number | Inherit;
  /** Outer TOS byte, 0..252; its two ECN bits always follow the inner packet (RFC 6040, 4.1). */
  readonly tos: number | Inherit;
  /** Sets DF on every outer packet; otherwise DF is copied from inner IPv4 packets. */
  readonly pmtudisc: boolean;
  /** Largest inner packet in bytes. */
  readonly mtu: number;
  /** Index of the network device it is bound to, 0 = any. */
  readonly link: number;
  /** Inner sources accepted on receipt. */
  readonly allow: readonly Prefix[] | 'any';
  /** Addresses of the tunnel device: our own, so no packet from the peer may claim them. */
  readonly addresses: readonly Prefix[];
}

export interface GreTunnel extends TunnelBase {
  /** `gre-udp` puts a UDP header in front of the GRE header (RFC 8086). */
  readonly mode: 'gre' | 'gre-udp';
  /** Key that received packets must carry (RFC 2890, 2.1); absent = they must carry none. */
  readonly keyIn?: number;
  readonly keyOut?: number;
  readonly checksumOut: boolean;
  /** Drops packets whose sequence number is old (RFC 2890, 2.2). */
  readonly sequenceIn: boolean;
  readonly sequenceOut: boolean;
}

export interface IpTunnel extends TunnelBase {
  /** `ipip` carries IPv4 (RFC 2003), `sit` carries IPv6 (RFC 4213). */
  readonly mode: 'ipip' | 'sit';
}

/** What the packet path knows of a tunnel. */
export type Tunnel = GreTunnel | IpTunnel;

export type Mode = Tunnel['mode'];

/** Whether a tunnel has a GRE header, and with it key, checksum and sequence number. */
export function isGre(tunnel: Tunnel): tunnel is GreTunnel {
  return tunnel.mode === 'gre' || tunnel.mode === 'gre-udp';
}

/** Bytes that the outer headers add in front of the inner packet, on an IPv4 underlay. */
export function overhead(tunnel: Tunnel): number {
  switch (tunnel.mode) {
    case 'ipip':
    case 'sit':
      return 20;
    case 'gre':
      return 20 + greSize(tunnel);
    case 'gre-udp':
      return 28 + greSize(tunnel);
  }
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
