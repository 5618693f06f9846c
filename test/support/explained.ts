// Random packets through the reference, its explanation and both WebAssembly builds: one verdict, and every one counted.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { REASON_EARLY, REASON_LOCAL, REASON_NONE } from '../../asm/reason.js';
import { decap } from '../../src/packet/decap.js';
import { encapInto, recordOf } from '../../src/packet/encap.js';
import { explain } from '../../src/packet/explain.js';
import { REASON } from '../../src/packet/reason.js';
import { createState, createTunnelState } from '../../src/packet/state.js';
import { createTable } from '../../src/packet/table.js';
import type { Counters } from '../../src/tunnel/counters.js';
import { ethernet, inner, mutated, noise, outer, tunnelList } from './arbitrary.js';
import type { Direction, Filled, Plane } from './plane.js';
import { createPlanes } from './planes.js';

/** What stands in the place of a reason, by verdict. */
const PASSED = { ok: REASON_NONE, drop: REASON_NONE, early: REASON_EARLY, local: REASON_LOCAL };

/** Packets that one table meets. */
const BATCH = 250;

const received = fc.record({
  bytes: fc.oneof(
    { weight: 6, arbitrary: outer },
    { weight: 3, arbitrary: mutated },
    { weight: 1, arbitrary: noise },
  ),
  link: fc.constantFrom(0, 0, 2, 3),
});
const sent = fc.record({
  bytes: fc.oneof(
    { weight: 6, arbitrary: inner },
    { weight: 2, arbitrary: ethernet },
    { weight: 1, arbitrary: noise },
  ),
  tunnel: fc.integer({ min: 0, max: 7 }),
});

/** Lets `count` packets of each direction be judged; a failure names the seed. */
export function assertExplained(count: number, seed: number): void {
  const planes = createPlanes(['simd', 'scalar']);
  for (let done = 0, round = seed; done < count; done += BATCH, round++) {
    const [tunnels = []] = fc.sample(tunnelList(6), { numRuns: 1, seed: round });
    const numRuns = Math.min(BATCH, count - done);
    const packets = {
      decap: fc.sample<Filled>(received, { numRuns, seed: round }),
      encap: fc.sample<Filled>(sent, { numRuns, seed: round }),
    };
    for (const plane of planes) plane.publish(tunnels);
    for (const direction of ['decap', 'encap'] as const) {
      assertSame(planes, tunnels, direction, packets[direction], `seed ${round}`);
    }
  }
}

function assertSame(
  planes: readonly Plane[],
  tunnels: Parameters<Plane['publish']>[0],
  direction: Direction,
  packets: readonly Filled[],
  where: string,
): void {
  const table = createTable(tunnels.map((one, index) => one && { ...one, name: `t${index}` }));
  const state = { explained: createState(), judged: createState() };
  const before = planes.map((plane) => totalOf(plane.counters()));
  const processed = planes.map((plane) => plane.run(direction, packets));
  for (const [index, { bytes, tunnel: record = 0, link = 0 }] of packets.entries()) {
    const explained = explain(bytes, table, { direction, record, link, state: state.explained });
    const sender = recordOf(bytes, table, record);
    const entry = table.entries[sender - 1];
    const memory = entry ? state.judged.of(entry.tunnel, sender) : createTunnelState();
    const judged =
      direction === 'decap'
        ? decap(bytes, table, state.judged, link)
        : encapInto(bytes, entry, memory, undefined, table);
    const what = `${where}, ${direction} packet ${index}: ${Buffer.from(bytes).toString('hex')}`;
    assert.equal(explained.reason, judged.reason, what);
    assert.equal(explained.verdict, judged.verdict, what);
    const passed = PASSED[judged.verdict];
    const number = judged.reason === null ? passed : REASON[judged.reason];
    for (const results of processed) assert.equal(results[index]?.reason, number, what);
    const last = explained.stages.at(-1);
    assert.equal(last?.passed, judged.verdict !== 'drop', `${what}: it ends where it was dropped`);
    const failed = explained.stages.filter(({ passed }) => !passed);
    assert.ok(failed.length <= 1, what);
  }
  // received = forwarded + the sum of reasons
  for (const [index, plane] of planes.entries()) {
    assert.equal(totalOf(plane.counters()) - (before[index] ?? 0), packets.length, where);
  }
}

/** Every packet that was ever counted: forwarded, or under a reason. */
function totalOf({ records }: Counters): number {
  let total = 0;
  for (const record of records.values()) {
    total += record.rx.packets + record.tx.packets + record.early + record.local;
    for (const drops of [record.decapDrops, record.encapDrops]) {
      for (const count of Object.values(drops)) total += count;
    }
  }
  return total;
}
