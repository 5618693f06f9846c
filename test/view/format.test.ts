import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatBitRate,
  formatBytes,
  formatPacketRate,
  formatSeconds,
} from '../../src/view/format.js';

test('numbers have a prefix of 1000 and one decimal, and never four digits before it', () => {
  assert.deepEqual([0, 999, 999.4, 999.6, 999_940, 999_960, 1500, 2.3e9, 1e16].map(formatBytes), [
    ...['0 B', '999 B', '999 B', '1.0 kB', '999.9 kB', '1.0 MB', '1.5 kB', '2.3 GB', '10000.0 TB'],
  ]);
  assert.equal(formatBitRate(187_500), '1.5 Mbit/s');
  assert.equal(formatPacketRate(83_333), '83.3 kpps');
});

test('times have two units at most', () => {
  assert.deepEqual([0, 59.9, 192, 18_120, 1_047_600].map(formatSeconds), [
    ...['0 s', '59 s', '3 min 12 s', '5 h 2 min', '12 d 3 h'],
  ]);
});
