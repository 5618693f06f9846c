// A million random packets each way through every build and the reference: the same verdict, reason and bytes, and
// received = forwarded + local + early + the sum of reasons, to the packet.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Counters } from '../../src/tunnel/counters.js';
import { ethernet, inner, mutated, noise, outer, tunnelList } from '../support/arbitrary.js';
import { assertAgreement } from '../support/oracle.js';
import type { Direction, Filled, Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

const COUNT = 1_000_000;
/** Packets that one table meets. */
const BATCH = 500;
/** More than a table has, with all peers of its tunnels. */
const RECORDS_MAX = 500;

/** Tables long enough that most packets find a tunnel. */
const table = fc.array(tunnelList(6), { minLength: 5, maxLength: 5 }).map((lists) => lists.flat());
const pathMtus = fc.array(fc.constantFrom(0, 0, 0, 552, 1280, 1400), {
  minLength: 6,
  maxLength: 6,
});
const packets: Readonly<Record<Direction, fc.Arbitrary<Filled>>> = {
  decap: fc.record({
    bytes: fc.oneof(
      { weight: 6, arbitrary: outer },
      { weight: 3, arbitrary: mutated },
      { weight: 1, arbitrary: noise },
    ),
    link: fc.constantFrom(0, 0, 2, 3),
  }),
  encap: fc.record({
    bytes: fc.oneof(
      { weight: 6, arbitrary: inner },
      { weight: 2, arbitrary: ethernet },
      { weight: 1, arbitrary: noise },
    ),
    tunnel: fc.integer({ min: 0, max: 16 }),
  }),
};

for (const direction of ['decap', 'encap'] as const) {
  test(`all builds and the reference agree on ${COUNT} packets: ${direction}`, (t) => {
    const planes = createPlanes();
    // All at once: those that are made first are short and alike.
    const tables = fc.sample(fc.tuple(table, pathMtus), {
      numRuns: COUNT / BATCH,
      seed: 1,
    });
    for (const [seed, [tunnels, mtus]] of tables.entries()) {
      const batch = fc.sample(packets[direction], { numRuns: BATCH, seed });
      const known = direction === 'encap' ? mtus.slice(0, tunnels.length) : [];
      try {
        assertAgreement(planes, tunnels, direction, batch, known);
      } catch (error) {
        t.diagnostic(`table and seed ${seed}`);
        throw error;
      }
    }
    assertAllCounted(planes, t);
  });
}

/** Each packet is in exactly one counter of each build. */
function assertAllCounted(planes: readonly Plane[], t: TestContext): void {
  // A table as long as any before it: counters of no record are left out.
  for (const plane of planes) plane.publish(new Array<undefined>(RECORDS_MAX).fill(undefined));
  const all = planes.map((plane) => verdicts(plane.counters()));
  for (const [index, counts] of all.entries()) {
    const sum = [...counts.values()].reduce((left, right) => left + right, 0);
    assert.equal(sum, COUNT, planes[index]?.codec.name);
    assert.deepEqual(counts, all[0]);
    planes[index]?.assertCanaries();
  }
  t.diagnostic(JSON.stringify(Object.fromEntries([...(all[0] ?? [])].sort())));
}

/** How many packets met which end. */
function verdicts({ records }: Counters): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (name: string, count: number): void => {
    if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
  };
  for (const { rx, tx, early, local, decapDrops, encapDrops } of records.values()) {
    add('forwarded', rx.packets + tx.packets);
    add('early', early);
    add('local', local);
    for (const drops of [decapDrops, encapDrops]) {
      for (const [reason, count] of Object.entries(drops)) add(reason, count);
    }
  }
  return counts;
}
