import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { TRACE_SNAP, TraceReader, TraceWriter } from '../../src/ring/trace-ring.js';

const plan = planMemory(2);
const memory = createMemory(plan);
const [first, second] = plan.lanes;

function ends(address = first.trace): { writer: TraceWriter; reader: TraceReader } {
  return { writer: new TraceWriter(memory, address), reader: new TraceReader(memory, address) };
}

function entry(length: number) {
  return { direction: 1, record: 3, reason: 9, link: 2, length, packets: 4, timeMs: 1234.5 };
}

test('what is written is read once, in order, with its bytes', () => {
  const { writer, reader } = ends();
  const bytes = Uint8Array.from({ length: TRACE_SNAP }, (_, index) => index);
  for (const length of [0, 1, TRACE_SNAP]) {
    writer.write(entry(length + 1000), bytes.subarray(0, length));
  }
  const { entries, missed } = reader.read();
  assert.equal(missed, 0);
  assert.deepEqual(
    entries,
    [0, 1, TRACE_SNAP].map((length) => ({
      ...entry(length + 1000),
      bytes: bytes.slice(0, length),
    })),
  );
  assert.deepEqual(reader.read(), { entries: [], missed: 0 });
});

test('a reader begins with what comes, finds out what was overwritten, and is told what was left out', () => {
  const { writer } = ends(second?.trace);
  writer.write(entry(1), new Uint8Array(1));
  const reader = new TraceReader(memory, second?.trace ?? 0);
  assert.deepEqual(reader.read(), { entries: [], missed: 0 });
  const many = 3000;
  for (let number = 0; number < many; number++) writer.write(entry(number), new Uint8Array(8));
  writer.miss(5);
  const { entries, missed } = reader.read();
  assert.equal(entries.length + missed, many + 5);
  assert.deepEqual(
    entries.map(({ length }) => length),
    Array.from({ length: entries.length }, (_, index) => many - entries.length + index),
  );
  assert.ok(entries.length >= 512, 'the last ones are there');
});

test('the lane copies nothing unless it is asked to, and sees what for', () => {
  const { writer, reader } = ends();
  assert.equal(writer.limit, 0);
  reader.start({ limit: 500, dropsOnly: true, record: 7 });
  assert.deepEqual([writer.limit, writer.dropsOnly, writer.record], [500, true, 7]);
  reader.stop();
  assert.equal(writer.limit, 0);
});
