import { overhead, type Tunnel } from '../packet/tunnel.js';
import type { TunnelConfig } from './config.js';

/** MTU of an underlay path that nobody has measured: Ethernet's. */
export const DEFAULT_PATH_MTU = 1500;

/** What a running router knows besides the config. */
export interface Surroundings {
  /** Largest inner packet. Default: the config's, or what a path of 1500 bytes leaves. */
  readonly mtu?: number;
  /** Index of the network device `dev` names, 0 = any. */
  readonly link?: number;
}

/** The tunnel of a `[tunnel.NAME]` table, as the packet path knows it. */
export function tunnelOf(config: TunnelConfig, { mtu, link = 0 }: Surroundings = {}): Tunnel {
  const tunnel = withMode(config, link);
  return { ...tunnel, mtu: mtu ?? config.mtu ?? DEFAULT_PATH_MTU - overhead(tunnel) };
}

function withMode(config: TunnelConfig, link: number): Tunnel {
  const base = {
    name: config.name,
    local: config.local,
    remote: config.remote,
    ttl: config.ttl,
    tos: config.tos,
    pmtudisc: config.pmtudisc,
    mtu: 0,
    link,
    allow: config.allow,
    addresses: config.address,
  };
  switch (config.mode) {
    case 'ipip':
    case 'sit':
      return { ...base, mode: config.mode };
    case 'gre':
      return {
        ...base,
        mode: 'gre',
        ...(config.keyIn === undefined ? {} : { keyIn: config.keyIn }),
        ...(config.keyOut === undefined ? {} : { keyOut: config.keyOut }),
        checksumOut: config.checksumOut,
        sequenceIn: config.sequenceIn,
        sequenceOut: config.sequenceOut,
      };
  }
}
