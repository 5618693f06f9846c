import { parseIpv4 } from '../packet/address.js';
import {
  type GreTunnel,
  type Mode,
  outerVersion,
  overhead,
  type Peer,
  type Tunnel,
} from '../packet/tunnel.js';
import { SOURCE_PORTS } from '../packet/udp.js';
import type { TunnelConfig } from './config.js';
import { isName } from './host-name.js';

/** MTU of an underlay path that nobody has measured: Ethernet's. */
const DEFAULT_PATH_MTU = 1500;

/** What a running router knows besides the config. */
export interface Surroundings {
  /** MTU of the path to the remote; the tunnel's own follows from it where the config gives none. */
  readonly pathMtu?: number | undefined;
  /** Index of the network device `dev` names, 0 = any. */
  readonly link?: number;
  /**
   * Address of a remote that is a host name. Without one the tunnel keeps the name, and a peer is none that packets go
   * to.
   */
  readonly addressOf?: (name: string) => string | undefined;
  /** By which its probe's answers are told from others, 1..65535. Without it nothing is probed. */
  readonly probeIdentifier?: number;
  /** Source port of tunnels that have one for all packets, chosen at random, 49152..65535; without it the first. */
  readonly sourcePort?: number;
}

/** Whether packets of this mode have a GRE header. */
export function isGreMode(mode: Mode): mode is GreTunnel['mode'] {
  switch (mode) {
    case 'ipip':
    case 'sit':
    case 'ip4ip6':
    case 'ip6ip6':
      return false;
    case 'gre':
    case 'gretap':
    case 'ip6gre':
    case 'ip6gretap':
    case 'gre-udp':
      return true;
  }
}

/** IP version of the outer header; undefined where neither the mode nor one of `ends`, its addresses, tells. */
export function underlayVersion(mode: Mode, ends: readonly string[]): 4 | 6 | undefined {
  const version = outerVersion(mode);
  if (version !== null) return version;
  if (ends.some((end) => end.includes(':'))) return 6;
  return ends.some((end) => parseIpv4(end) !== null) ? 4 : undefined;
}

/** The tunnel of a `[tunnel.NAME]` table, as the packet path knows it. */
export function tunnelOf(config: TunnelConfig, known: Surroundings = {}): Tunnel {
  const tunnel = withMode(config, known);
  const pathMtu = known.pathMtu ?? DEFAULT_PATH_MTU;
  return { ...tunnel, mtu: config.mtu ?? pathMtu - overhead(tunnel) };
}

function peersOf({ peers }: TunnelConfig, find: (remote: string) => string | undefined): Peer[] {
  return peers.map(({ remote, routes }) => ({ remote: find(remote) ?? null, routes }));
}

function withMode(
  config: TunnelConfig,
  { link = 0, addressOf = () => undefined, probeIdentifier, sourcePort }: Surroundings,
): Tunnel {
  const find = (remote: string): string | undefined =>
    isName(remote) ? addressOf(remote) : remote;
  const base = {
    name: config.name,
    local: config.local,
    remote: find(config.remote) ?? config.remote,
    ttl: config.ttl,
    ttlIn: config.ttlIn,
    tos: config.tos,
    tosIn: config.tosIn,
    ecn: config.ecn,
    pmtudisc: config.pmtudisc,
    ignoreDf: config.ignoreDf,
    ...(config.encapLimit === undefined ? {} : { encapLimit: config.encapLimit }),
    flowLabel: config.flowLabel,
    mtu: 0,
    ...(config.mss === 'off' ? {} : { mss: config.mss }),
    link,
    allow: config.allow,
    addresses: config.address,
    keepalive: config.keepalive !== undefined,
    ...(config.probe === undefined || probeIdentifier === undefined
      ? {}
      : { probe: { target: config.probe.target, identifier: probeIdentifier } }),
    reflect: config.reflect,
    profile: config.profile,
    ...(config.peers.length === 0 ? {} : { peers: peersOf(config, find) }),
  };
  const { mode } = config;
  if (!isGreMode(mode)) return { ...base, mode };
  return {
    ...base,
    mode,
    ...(config.keyIn === undefined ? {} : { keyIn: config.keyIn }),
    ...(config.keyOut === undefined ? {} : { keyOut: config.keyOut }),
    checksumIn: config.checksumIn,
    checksumOut: config.checksumOut,
    sequenceIn: config.sequenceIn,
    ...(config.reorder === undefined ? {} : { reorder: config.reorder }),
    sequenceOut: config.sequenceOut,
    ...(mode === 'gre-udp' ? portsOf(config, sourcePort) : {}),
  };
}

/** `chosen`: at random, when the router started. */
function portsOf(
  { sourcePort, sequenceOut }: TunnelConfig,
  chosen: number = SOURCE_PORTS.first,
): Pick<GreTunnel, 'sourcePort' | 'orderedPort'> {
  if (sourcePort !== undefined)
    return { sourcePort: sourcePort === 'random' ? chosen : sourcePort };
  return sequenceOut ? { orderedPort: chosen } : {};
}
