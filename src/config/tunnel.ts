import { overhead, type Tunnel } from '../packet/tunnel.js';
import type { TunnelConfig } from './config.js';

/** MTU of an underlay path that nobody has measured: Ethernet's. */
const DEFAULT_PATH_MTU = 1500;

/** What a running router knows besides the config. */
export interface Surroundings {
  /** MTU of the path to the remote; the tunnel's own follows from it where the config gives none. */
  readonly pathMtu?: number | undefined;
  /** Index of the network device `dev` names, 0 = any. */
  readonly link?: number;
}

/** The tunnel of a `[tunnel.NAME]` table, as the packet path knows it. */
export function tunnelOf(config: TunnelConfig, known: Surroundings = {}): Tunnel {
  const tunnel = withMode(config, known.link ?? 0);
  const pathMtu = known.pathMtu ?? DEFAULT_PATH_MTU;
  return { ...tunnel, mtu: config.mtu ?? pathMtu - overhead(tunnel) };
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
    case 'ip4ip6':
    case 'ip6ip6':
      return { ...base, mode: config.mode };
    case 'gre':
    case 'gretap':
    case 'ip6gre':
    case 'ip6gretap':
    case 'gre-udp':
      return {
        ...base,
        mode: config.mode,
        ...(config.keyIn === undefined ? {} : { keyIn: config.keyIn }),
        ...(config.keyOut === undefined ? {} : { keyOut: config.keyOut }),
        checksumOut: config.checksumOut,
        sequenceIn: config.sequenceIn,
        sequenceOut: config.sequenceOut,
      };
  }
}
