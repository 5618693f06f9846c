import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCodecBench } from '../../bench/codec/codec-bench.js';
import { formatCodecBench } from '../../bench/codec/print.js';

test('the quick codec bench has a figure for every build in every case', async () => {
  const result = await runCodecBench({ quick: true });
  assert.equal(result.schema, 'grebe.bench-codec/1');
  assert.deepEqual(result.builds, ['simd', 'scalar', 'js']);
  const cases = result.packets.map((row) => `${row.direction} ${row.tunnel} ${row.size}`);
  assert.deepEqual(cases, [
    ...['encap plain 64', 'encap plain 1500', 'encap full 64', 'encap full 1500'],
    ...['decap plain 64', 'decap plain 1500', 'decap full 64', 'decap full 1500'],
  ]);
  for (const { nanoseconds } of result.packets) {
    assert.deepEqual(Object.keys(nanoseconds), result.builds);
    for (const { median } of Object.values(nanoseconds)) assert.ok(median > 0);
  }
  assert.deepEqual(
    result.merging.map(({ kind, packets }) => `${kind} ${packets}`),
    ['segment 45', 'coalesce 45', 'apart 64'],
  );
  for (const { nanoseconds } of result.merging) {
    assert.deepEqual(Object.keys(nanoseconds), result.builds);
    for (const { median } of Object.values(nanoseconds)) assert.ok(median > 0);
  }
  const rows = [...result.builds, 'memory.copy', ...(result.withoutC === null ? ['gcc -O3'] : [])];
  for (const { gigabytes } of result.checksums) assert.deepEqual(Object.keys(gigabytes), rows);
  assert.match(formatCodecBench(result), /^segment +45 /m);
  assert.match(formatCodecBench(result), /^decap {2}full +1500 +64 /m);
});
