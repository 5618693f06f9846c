import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceOn } from '../../src/inspect/advice.js';
import { explainTraced } from '../../src/inspect/traced.js';
import { encapGre, encapGreUdp } from '../../src/packet/encap-options.js';
import type { Reason } from '../../src/packet/reason.js';
import { createTable } from '../../src/packet/table.js';
import type { GreTunnel, Tunnel } from '../../src/packet/tunnel.js';
import { ipv4 } from '../support/packets.js';

/** What a router copies of a packet. */
const SNAP = 128;
const INNER = ipv4({
  source: '10.1.0.1',
  destination: '10.2.0.1',
  payload: new Uint8Array(900).fill(9),
});

function tunnel(mode: 'gre' | 'gre-udp', local: string, remote: string): GreTunnel {
  return {
    ...{ name: 't', mode, local, remote, ttl: 64, tos: 0, pmtudisc: true, mtu: 1400, link: 0 },
    ...{ checksumOut: true, sequenceIn: true, sequenceOut: true },
    allow: 'any',
    addresses: [],
  };
}

function traced(one: GreTunnel, reason: Reason | null) {
  const options = { local: one.remote, remote: one.local, checksum: true, sequence: 5 };
  const sent = one.mode === 'gre' ? encapGre(INNER, options) : encapGreUdp(INNER, options);
  assert.ok(sent.verdict === 'ok');
  const { length } = sent.packet;
  const bytes = sent.packet.slice(0, SNAP);
  const seen = { direction: 'decap', record: 1, reason, link: 0, length, bytes } as const;
  return explainTraced(seen, createTable([one]), new Map());
}

const ENDS = [
  ['gre', '192.0.2.1', '192.0.2.2'],
  ['gre-udp', '192.0.2.1', '192.0.2.2'],
  ['gre-udp', '2001:db8::1', '2001:db8::2'],
] as const;

test('a forwarded packet of which the end is missing shows all its checks as passed', () => {
  for (const [mode, local, remote] of ENDS) {
    const { verdict, tunnel: name, stages } = traced(tunnel(mode, local, remote), null);
    assert.deepEqual([verdict, name], ['ok', 't']);
    assert.ok(stages.every(({ passed }) => passed));
    assert.equal(stages.at(-1)?.name, 'ecn', `${mode} over ${local}`);
  }
});

test('the verdict is the one of the router, where it knew more than the bytes tell', () => {
  const one = tunnel('gre', '192.0.2.1', '192.0.2.2');
  for (const [reason, name] of [
    ['gre-sequence', 'sequence'],
    ['gre-checksum', 'checksum'],
    ['queue-full', 'device'],
    ['tunnel-down', 'device'],
    ['codec-fault', 'codec'],
  ] as const) {
    const explained = traced(one, reason);
    assert.deepEqual([explained.verdict, explained.reason], ['drop', reason]);
    const last = explained.stages.at(-1);
    assert.deepEqual([last?.name, last?.passed], [name, false]);
    assert.equal(explained.stages.filter((stage) => stage.name === name).length, 1);
  }
});

test('a packet that the kernel had no route for is told from one that the tunnel has no peer for', () => {
  const one = tunnel('gre', '192.0.2.1', '192.0.2.2');
  const refused = (tunnel: Tunnel) => {
    const seen = { direction: 'encap', record: 1, reason: 'no-route', link: 0 } as const;
    const { stages, ...rest } = explainTraced(
      { ...seen, length: INNER.length, bytes: INNER.slice(0, SNAP) },
      createTable([tunnel]),
      new Map(),
    );
    return [stages.at(-1)?.detail, adviceOn({ stages, ...rest })];
  };
  assert.deepEqual(refused(one), [
    '192.0.2.2: the kernel has no route to it',
    'see the route to the peer: ip route get 192.0.2.2',
  ]);
  const peers = [{ remote: '192.0.2.3', routes: [{ address: '10.3.0.0', bits: 16 }] }];
  assert.deepEqual(refused({ ...one, remote: 'any', peers }), [
    'none of its peers has 10.2.0.1 behind it',
    'in [tunnel.t]: a remote to send to, or the destination in the routes of a peer',
  ]);
  assert.equal(refused({ ...one, remote: '239.1.2.3' })[0], 'there is nobody to send it to');
});
