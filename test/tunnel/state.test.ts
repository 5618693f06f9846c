// What tunnels remember lies in shared memory: codecs may take turns packet by packet.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBuild, openCodec } from '../../src/codec/builds.js';
import type { Codec } from '../../src/codec/contract.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { assertProcessed, Oracle } from '../support/oracle.js';
import { gre, ipv4 } from '../support/packets.js';
import { type Filled, Plane } from '../support/plane.js';
import { CODECS } from '../support/planes.js';

const TUNNEL: Tunnel = {
  name: 'gre1',
  mode: 'gre',
  local: '192.0.2.1',
  remote: '198.51.100.2',
  ttl: 64,
  tos: 'inherit',
  pmtudisc: false,
  mtu: 1472,
  link: 0,
  allow: 'any',
  addresses: [],
  checksumOut: false,
  sequenceIn: true,
  sequenceOut: true,
};
const INNER = ipv4({ source: '10.1.1.5', destination: '10.2.2.9' });

/** A codec that is another build at every batch. */
function takeTurns(memory: WebAssembly.Memory): Codec {
  const codecs = CODECS.map((name) => openCodec(loadBuild(name), memory));
  let turn = 0;
  const next = (): Codec => {
    const codec = codecs[turn++ % codecs.length];
    assert.ok(codec);
    return codec;
  };
  return {
    name: 'turns',
    segment: (ring, position, room, keep) => next().segment(ring, position, room, keep),
    encap: (ring) => next().encap(ring),
    decap: (ring) => next().decap(ring),
    coalesce: (ring, kinds) => next().coalesce(ring, kinds),
    separate: (ring, index) => next().separate(ring, index),
    settle: (ring, nowMs) => next().settle(ring, nowMs),
    checksum: (address, length) => next().checksum(address, length),
  };
}

test('a swap of codecs at every batch loses no sequence number, identification or count', () => {
  const plane = new Plane(takeTurns);
  const oracle = new Oracle([TUNNEL]);
  plane.publish([TUNNEL]);
  const before = plane.counters();
  const numbered = (sequence: number): Filled => ({
    bytes: ipv4({
      source: TUNNEL.remote,
      destination: TUNNEL.local,
      protocol: 47,
      payload: gre({ payload: INNER, sequence }),
    }),
  });
  for (let round = 0; round < 60; round++) {
    for (const [direction, packet] of [
      ['encap', { bytes: INNER, tunnel: 1 }],
      // Back to 0 after 30 rounds: the run of old packets is counted by all codecs together.
      ['decap', numbered(round % 30)],
    ] as const) {
      const [processed] = plane.run(direction, [packet]);
      assert.ok(processed);
      assertProcessed(processed, oracle.expect(direction, packet), `round ${round}`);
    }
  }
  oracle.assertCounters(before, plane.counters());
  plane.assertCanaries();
});
