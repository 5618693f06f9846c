// Routing daemons over the IPv6 of a tunnel: FRR with the configs of docs/bgp.md.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { startRouter } from '../../src/demo/router-process.js';
import { fileOf, readPage } from '../docs/blocks.js';
import { assertAccounted } from '../support/accounted.js';
import {
  assertAnswered,
  eventually,
  HOST6,
  OUTER,
  OUTER6,
  type Side,
  tunnelStatus,
  withWire,
} from '../support/lab.js';
import { type Daemon, lackingFrr, startFrr } from './frr.js';

const PATIENCE_MS = 20_000;
const PAGE = readPage('bgp.md');
const MACHINE: Readonly<Record<Side, string>> = { A: 'here', B: 'there' };
const NETWORK: Readonly<Record<Side, string>> = { A: 'fd00:1::/64', B: 'fd00:2::/64' };

const MODES = [
  ['gre', (line: string) => line],
  [
    'ip6gre',
    (line: string) =>
      line.replace('"gre"', '"ip6gre"').replaceAll(OUTER.A, OUTER6.A).replaceAll(OUTER.B, OUTER6.B),
  ],
  ['sit', (line: string) => line.replace('"gre"', '"sit"').replace(/^keepalive.*$/m, '')],
] as const;

for (const [protocol, daemon, question, established] of [
  ['bgp', 'bgpd', 'show bgp ipv6 unicast summary json', /"state":"Established"/],
  ['ospf6', 'ospf6d', 'show ipv6 ospf6 neighbor json', /"state":"Full"/],
] as const satisfies readonly (readonly [string, Daemon, string, RegExp])[]) {
  for (const [mode, toMode] of MODES) {
    test(`${protocol} over the IPv6 of a ${mode} tunnel: neighbours meet, routes are used`, {
      skip: lackingFrr(),
    }, async () => {
      const outer = mode === 'ip6gre' ? { outer: 6 as const } : {};
      await withWire(`${protocol}6`, { hosts: true, ...outer }, async (wire) => {
        const { namespaces, rA, rB, hA, hB } = wire;
        const grebe = (side: Side) => {
          const tunnel = toMode(fileOf(PAGE, `${MACHINE[side]}/grebe6.toml`));
          return startRouter(namespaces, side === 'A' ? rA : rB, tunnel);
        };
        const [a, b] = await Promise.all([grebe('A'), grebe('B')]);
        const frr = (side: Side) => {
          const config = fileOf(PAGE, `${MACHINE[side]}/${protocol}-ipv6.conf`);
          return startFrr(namespaces, side === 'A' ? rA : rB, [daemon], config);
        };
        const sites = await Promise.all([frr('A'), frr('B')]);
        for (const [namespace, network] of [
          [rA, NETWORK.B],
          [rB, NETWORK.A],
        ] as const) {
          const name = protocol === 'bgp' ? 'bgp' : 'ospf';
          const shown = () => ip('-n', namespace, '-6', 'route', 'show', 'proto', name);
          const isLearned = () => new RegExp(`^${network} .*\\bdev gre1\\b`, 'm').test(shown());
          const told = (): string => `${network} is not learned: ${shown()}`;
          assert.ok(await eventually(isLearned, PATIENCE_MS), told());
        }
        for (const site of sites) {
          assert.match(JSON.stringify(await site.ask(question)), established);
        }
        await assertAnswered(namespaces, hA, HOST6.B);
        await assertAnswered(namespaces, hB, HOST6.A, 1400);
        for (const router of [a, b]) {
          assert.deepEqual((await tunnelStatus(router, 'gre1')).drops, {});
        }
        await assertAccounted(a, b);
      });
    });
  }
}
