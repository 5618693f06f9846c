// Sequence numbers in random order, with gaps and with senders that start again (RFC 2890, 2.2).
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { RESYNC_COUNT } from '../../asm/layout.js';
import { REASON_EARLY, REASON_GRE_SEQUENCE } from '../../asm/reason.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { assertAgreement } from '../support/oracle.js';
import { gre, ipv4 } from '../support/packets.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});

const ORDERED: Tunnel = {
  name: 'ordered',
  mode: 'gre',
  local: '192.0.2.1',
  remote: '198.51.100.2',
  ttl: 64,
  tos: 'inherit',
  pmtudisc: true,
  mtu: 1472,
  link: 0,
  allow: 'any',
  addresses: [],
  checksumOut: false,
  sequenceIn: true,
  sequenceOut: true,
};

function numbered(sequence: number | undefined): Uint8Array {
  const payload = ipv4({ source: '10.1.1.5', destination: '10.2.2.9' });
  return ipv4({
    source: '198.51.100.2',
    destination: '192.0.2.1',
    protocol: 47,
    payload: gre(sequence === undefined ? { payload } : { payload, sequence }),
  });
}

/** A sender's life: it starts somewhere, then counts with gaps and old packets in between. */
const life = fc
  .record({
    first: fc.constantFrom(0, 0, 5, 0x7fffffff, 0x80000000, 0xfffffff0),
    steps: fc.array(fc.constantFrom(1, 1, 1, 1, 1, 2, 50, -3, 0, 0x7fffffff), { maxLength: 24 }),
  })
  .map(({ first, steps }) => {
    let sequence = first;
    return [first, ...steps.map((step) => (sequence = (sequence + step) >>> 0))];
  });

test('every codec accepts and refuses the same numbers, across restarts of the sender', () => {
  fc.assert(
    fc.property(fc.array(life, { minLength: 1, maxLength: 5 }), (lives) => {
      const packets = lives.flat().map((sequence) => ({ bytes: numbered(sequence) }));
      assertAgreement(planes, [ORDERED], 'decap', packets);
    }),
    { numRuns: 1500 },
  );
});

test('a sender that starts again is followed after 8 packets in order, not before', () => {
  for (const plane of planes) {
    plane.publish([ORDERED]);
    const reasons = (sequences: readonly (number | undefined)[]) =>
      plane
        .run(
          'decap',
          sequences.map((sequence) => ({ bytes: numbered(sequence) })),
        )
        .map(({ reason }) => reason);
    assert.deepEqual(reasons([1000, 1001, 1001, 1002, undefined]), [
      0,
      0,
      REASON_GRE_SEQUENCE,
      0,
      0,
    ]);
    const again = Array.from({ length: RESYNC_COUNT + 2 }, (_, index) => index);
    assert.deepEqual(
      reasons(again),
      again.map((index) => (index < RESYNC_COUNT - 1 ? REASON_GRE_SEQUENCE : 0)),
    );
  }
});

test('a packet that comes before its turn is put aside until those before it are there', () => {
  const patient: Tunnel = { ...ORDERED, reorder: { packets: 8, timeMs: 20 } };
  fc.assert(
    fc.property(fc.array(life, { minLength: 1, maxLength: 5 }), (lives) => {
      const packets = lives.flat().map((sequence) => ({ bytes: numbered(sequence) }));
      assertAgreement(planes, [patient], 'decap', packets);
    }),
    { numRuns: 500 },
  );
  for (const plane of planes) {
    plane.publish([patient]);
    const reasons = [5, 7, 6, 8, 7, 8, 9, 6].map(
      (sequence) => plane.run('decap', [{ bytes: numbered(sequence) }])[0]?.reason,
    );
    const [early, old] = [REASON_EARLY, REASON_GRE_SEQUENCE];
    assert.deepEqual(reasons, [0, early, 0, early, 0, 0, 0, old], plane.codec.name);
  }
});
