// Two sites joined by a tunnel of grebe and by FRR, with the configs of docs/bgp.md.
import assert from 'node:assert/strict';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, startRouter } from '../../src/demo/router-process.js';
import { fileOf, readPage } from '../docs/blocks.js';
import { eventually, type Side, type Wire, withWire } from '../support/lab.js';
import { type Daemon, type Frr, startFrr } from './frr.js';

/** Longer than any of FRR's timers there. */
const PATIENCE_MS = 20_000;
const PAGE = readPage('bgp.md');
const MACHINE: Readonly<Record<Side, string>> = { A: 'here', B: 'there' };
const NETWORK: Readonly<Record<Side, string>> = { A: '10.1.0.0/24', B: '10.2.0.0/24' };
const DAEMON: Readonly<Record<Protocol, Daemon>> = { bgp: 'bgpd', ospf: 'ospfd' };

export type Protocol = 'bgp' | 'ospf';

export interface Site {
  readonly namespace: string;
  readonly frr: Frr;
}

export interface FrrLab extends Wire {
  readonly a: RouterProcess;
  readonly b: RouterProcess;
  readonly siteA: Site;
  readonly siteB: Site;
}

/** Builds it, with a host behind each router; everything is gone after `use`. */
export async function withFrr(
  protocol: Protocol,
  use: (lab: FrrLab) => Promise<void>,
): Promise<void> {
  await withWire(protocol, { hosts: true, ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    const [a, b] = await Promise.all([startGrebe(wire, 'A'), startGrebe(wire, 'B')]);
    const site = async (namespace: string, side: Side): Promise<Site> => {
      const config = fileOf(PAGE, `${MACHINE[side]}/${protocol}.conf`);
      return { namespace, frr: await startFrr(namespaces, namespace, [DAEMON[protocol]], config) };
    };
    const [siteA, siteB] = await Promise.all([site(rA, 'A'), site(rB, 'B')]);
    await use({ ...wire, a, b, siteA, siteB });
  });
}

/** Starts `grebe run` with the page's config, and `lines` more of its tunnel. */
export function startGrebe(
  { namespaces, rA, rB }: Wire,
  side: Side,
  lines = '',
): Promise<RouterProcess> {
  const tunnel = fileOf(PAGE, `${MACHINE[side]}/grebe.toml`) + lines;
  return startRouter(namespaces, side === 'A' ? rA : rB, tunnel);
}

/** Waits until each router has, or has not, the other's network by way of the tunnel. */
export async function routesBecome(
  state: 'learned' | 'lost',
  protocol: Protocol,
  lab: Wire,
  ...sides: Side[]
): Promise<void> {
  for (const side of sides) {
    const router = side === 'A' ? lab.rA : lab.rB;
    const network = NETWORK[side === 'A' ? 'B' : 'A'];
    const shown = (): string => ip('-n', router, 'route', 'show', 'proto', protocol);
    const isLearned = (): boolean => new RegExp(`^${network} .*\\bdev gre1\\b`, 'm').test(shown());
    const wanted = state === 'learned';
    const isThere = await eventually(() => isLearned() === wanted, PATIENCE_MS);
    assert.ok(isThere, `router ${side}: ${network} is not ${state}: ${shown()}`);
  }
}
