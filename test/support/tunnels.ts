// The plainest tunnels there are; a test spreads one and changes what it is about.
import type { GreTunnel, IpTunnel } from '../../src/packet/tunnel.js';

const BASE = {
  local: '192.0.2.1',
  remote: '198.51.100.2',
  ttl: 64,
  tos: 'inherit',
  pmtudisc: true,
  link: 0,
  allow: 'any',
  addresses: [],
} as const;

export const PLAIN_GRE: GreTunnel = {
  ...BASE,
  name: 'gre1',
  mode: 'gre',
  mtu: 1476,
  checksumOut: false,
  sequenceIn: false,
  sequenceOut: false,
};

export const PLAIN_IPIP: IpTunnel = { ...BASE, name: 'ipip1', mode: 'ipip', mtu: 1480 };
