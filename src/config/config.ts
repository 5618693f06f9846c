import type { Arrival, Inherit, Mode, Prefix, Reorder } from '../packet/tunnel.js';
import type { ListenAddress } from './listen-address.js';
import type { RecorderConfig } from './recorder.js';

/** What may be done for many packets at once, by the names that ethtool has for it. */
export interface OffloadConfig {
  /** Tunnel devices leave checksums to us; without it nothing below does anything there. */
  readonly csum: boolean;
  /** TCP over IPv4, over IPv6, comes out of tunnel devices in superpackets. */
  readonly tso4: boolean;
  readonly tso6: boolean;
  /** The same of UDP; the kernel has both or neither. */
  readonly uso4: boolean;
  readonly uso6: boolean;
  /** Received TCP goes into tunnel devices in superpackets. */
  readonly gro: boolean;
  /** UDP does. Absent: with underlay xdp, on kernels that are known to forward them rightly. */
  readonly ugro?: boolean;
  /**
   * Superpackets leave whole, past the firewall's output rules, where the kernel can segment them behind us. Absent:
   * with underlay xdp, which passes those rules anyway.
   */
  readonly gso?: boolean;
}

/** The `[router]` table, defaults filled in. */
export interface RouterConfig {
  /** `auto`, the name of a build, or a path that begins with `.` or `/`. */
  readonly codec: string;
  readonly underlay: 'auto' | 'raw' | 'xdp' | 'raw-socket' | 'memory';
  readonly lanes: number | 'auto';
  readonly offload: OffloadConfig;
  /** Microseconds that a lane looks for more work before it waits; 0 = none. */
  readonly busypoll: number;
  readonly recorder: RecorderConfig;
  /** Path of the control socket. */
  readonly socket: string;
  /** Where /metrics listens on TCP; absent: on the control socket alone. */
  readonly metrics?: ListenAddress;
  /** Where the control API and the page listen on TCP; absent: on the control socket alone. */
  readonly api?: ListenAddress;
  readonly log: {
    readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
    readonly format: 'auto' | 'json' | 'pretty';
  };
}

/** Questions to the peer: how often, and how many go unanswered before it counts as down. */
export interface Keepalive {
  readonly intervalMs: number;
  readonly count: number;
}

/** The same by ICMP echo inside the tunnel. */
export interface Probe extends Keepalive {
  /** Inner address that is asked. */
  readonly target: string;
  /** Bytes of each inner packet that asks, which may not be fragmented; absent: as few as it takes. */
  readonly size?: number;
}

/** One of several peers of a tunnel. */
export interface Peer {
  /** Outer address, or a host name. */
  readonly remote: string;
  /** What is behind this peer: routed to it, and accepted as senders from it. */
  readonly routes: readonly Prefix[];
}

/** One `[tunnel.NAME]` table, defaults filled in. */
export interface TunnelConfig {
  readonly name: string;
  readonly mode: Mode;
  /** Outer address of the mode's family, or `any`. */
  readonly local: string;
  /** Outer address of the mode's family, which may be a multicast group; a host name; or `any`. */
  readonly remote: string;
  readonly keyIn?: number;
  readonly keyOut?: number;
  readonly checksumIn: boolean;
  readonly checksumOut: boolean;
  readonly sequenceIn: boolean;
  readonly sequenceOut: boolean;
  /** With `sequenceIn` only. Absent: a packet that comes too late is dropped, none waits. */
  readonly reorder?: Reorder;
  readonly ttl: number | Inherit;
  readonly ttlIn: Arrival;
  readonly tos: number | Inherit;
  readonly tosIn: Arrival;
  readonly ecn: 'normal' | 'compatibility';
  readonly pmtudisc: boolean;
  /** With `pmtudisc` false only. */
  readonly ignoreDf: boolean;
  /** Absent: outer packets have no such option. */
  readonly encapLimit?: number;
  readonly flowLabel: number | Inherit | 'flow';
  /** Of `gre-udp`: one UDP source port for all packets, or one chosen when the router starts. Absent: by flow. */
  readonly sourcePort?: number | 'random';
  /** Absent: path MTU minus overhead. */
  readonly mtu?: number;
  readonly mss: number | 'auto' | 'off';
  /** Name of the device it is bound to. */
  readonly dev?: string;
  readonly address: readonly Prefix[];
  /** Those of the peers are not among them. */
  readonly routes: readonly Prefix[];
  /** Default filled in: routes and the subnets of `address`; everyone where Ethernet frames are carried. */
  readonly allow: readonly Prefix[] | 'any';
  readonly profile: 'rfc' | 'linux';
  readonly keepalive?: Keepalive;
  readonly probe?: Probe;
  /** ICMP echo replies that claim to come from our own inner address go straight back into the tunnel. */
  readonly reflect: boolean;
  /** With `remote` `any` only. */
  readonly peers: readonly Peer[];
}

/** What a config file says, with its defaults filled in. */
export interface Config {
  /** File it was read from, as the user wrote it. */
  readonly file: string;
  readonly router: RouterConfig;
  readonly tunnels: readonly TunnelConfig[];
}
