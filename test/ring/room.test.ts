// Room that is taken and given back while others have theirs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planMemory, type Reserve, spanOf, withSpare } from '../../src/ring/plan.js';
import { type Area, Room, sizeOf } from '../../src/ring/room.js';
import { MAP_ALIGNMENT } from '../../src/ring/xsk-plan.js';

const plan =
  (...sizes: number[]) =>
  (reserve: Reserve): number[] =>
    sizes.map((size) => reserve(size, 128));

test('what is planned lies in the area, aligned, and the area ends with a page', () => {
  const room = new Room(MAP_ALIGNMENT, 4 * MAP_ALIGNMENT);
  assert.equal(sizeOf(plan(1, MAP_ALIGNMENT)), 2 * MAP_ALIGNMENT);
  assert.equal(sizeOf(plan()), 0);
  const first = room.take(plan(1, MAP_ALIGNMENT));
  assert.deepEqual(first, {
    plan: [MAP_ALIGNMENT, MAP_ALIGNMENT + 128],
    area: { from: MAP_ALIGNMENT, to: 3 * MAP_ALIGNMENT },
  });
  assert.equal(room.take(plan(1, MAP_ALIGNMENT)), undefined);
  assert.equal(room.take(plan(1))?.plan[0], 3 * MAP_ALIGNMENT);
  assert.equal(room.take(plan(1)), undefined);
  assert.ok(first);
  room.giveBack(first.area);
  assert.deepEqual(room.take(plan(1))?.area.from, MAP_ALIGNMENT);
});

test('no two areas overlap, whatever comes and goes, and all of it is there again in the end', () => {
  const pages = 32;
  const step = fc.record({ take: fc.boolean(), pages: fc.integer({ min: 1, max: 9 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const room = new Room(0, pages * MAP_ALIGNMENT);
      const taken: Area[] = [];
      for (const one of steps) {
        const gone = one.take ? undefined : taken.splice(one.pages % (taken.length || 1), 1)[0];
        if (gone !== undefined) room.giveBack(gone);
        else {
          const area = room.take(plan(one.pages * MAP_ALIGNMENT))?.area;
          if (area !== undefined) taken.push(area);
        }
        const sorted = [...taken].sort((a, b) => a.from - b.from);
        for (const [index, area] of sorted.entries()) {
          assert.ok(area.from >= (sorted[index - 1]?.to ?? 0));
          assert.ok(area.to <= pages * MAP_ALIGNMENT);
        }
      }
      for (const area of taken) room.giveBack(area);
      assert.ok(room.take(plan(pages * MAP_ALIGNMENT)));
    }),
  );
});

test('a plan gets spare room as far as a memory can have it, and what it has stays', () => {
  const planned = planMemory(1);
  const larger = withSpare(planned, 10 * MAP_ALIGNMENT);
  assert.equal(spanOf(larger) - spanOf(planned), 10 * MAP_ALIGNMENT);
  assert.deepEqual({ ...larger, pages: planned.pages }, planned);
  assert.equal(spanOf(withSpare({ ...planned, pages: 65_530 }, 1 << 30)), 65_535 * 65_536);
  assert.equal(withSpare({ ...planned, pages: 65_536 }, 1 << 30).pages, 65_536);
});
