// Whatever arrives, all codecs do what the reference does: the same reason, bytes, descriptor and counters.
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { mutated, noise, outer, tunnel, tunnelList } from '../support/arbitrary.js';
import { assertAgreement } from '../support/oracle.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});
after(() => {
  for (const plane of planes) plane.assertCanaries();
});

const link = fc.constantFrom(0, 0, 2, 3);
const filled = (bytes: fc.Arbitrary<Uint8Array>) => fc.record({ bytes, link });

test('decap of sound tunnel packets agrees with the reference on any table', () => {
  const packets = fc.array(filled(outer), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tunnelList(12), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'decap', batch);
    }),
    { numRuns: 1500 },
  );
});

test('decap survives changed, cut and lengthened packets: one reason each, every other byte intact', () => {
  const packets = fc.array(filled(mutated), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tunnelList(6), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'decap', batch);
    }),
    { numRuns: 2000 },
  );
});

test('decap survives any bytes', () => {
  const packets = fc.array(filled(noise), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tunnelList(3), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'decap', batch);
    }),
    { numRuns: 300 },
  );
});

test('the hash lookup finds what four linear passes find, in tables of 1 to 50 tunnels', () => {
  const tunnels = fc.array(fc.option(tunnel, { nil: undefined, freq: 10 }), {
    minLength: 1,
    maxLength: 50,
    size: 'max',
  });
  const packets = fc.array(filled(outer), { minLength: 8, maxLength: 16 });
  fc.assert(
    fc.property(tunnels, packets, (table, batch) => {
      assertAgreement(planes, table, 'decap', batch);
    }),
    { numRuns: 500 },
  );
});
