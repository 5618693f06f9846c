import type { Inherit, Mode, Prefix } from '../packet/tunnel.js';

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
  /** Path of the control socket. */
  readonly socket: string;
  /** `address:port` of the metrics listener. */
  readonly metrics?: string;
  readonly log: {
    readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
    readonly format: 'auto' | 'json' | 'pretty';
  };
}

/** One `[tunnel.NAME]` table, defaults filled in. */
export interface TunnelConfig {
  readonly name: string;
  readonly mode: Mode;
  /** IPv4 address or `any`. */
  readonly local: string;
  /** IPv4 address or `any`. */
  readonly remote: string;
  readonly keyIn?: number;
  readonly keyOut?: number;
  readonly checksumIn: boolean;
  readonly checksumOut: boolean;
  readonly sequenceIn: boolean;
  readonly sequenceOut: boolean;
  readonly ttl: number | Inherit;
  readonly tos: number | Inherit;
  readonly pmtudisc: boolean;
  /** Absent: path MTU minus overhead. */
  readonly mtu?: number;
  /** Name of the device it is bound to. */
  readonly dev?: string;
  readonly address: readonly Prefix[];
  readonly routes: readonly Prefix[];
  /** Default filled in: routes and the subnets of `address`. */
  readonly allow: readonly Prefix[] | 'any';
}

export interface Config {
  /** File it was read from, as the user wrote it. */
  readonly file: string;
  readonly router: RouterConfig;
  readonly tunnels: readonly TunnelConfig[];
}
