import { test } from 'node:test';
import { assertExplained } from '../support/explained.js';

test('an explanation has the verdict of the reference and of both WebAssembly builds, for a million packets', () => {
  assertExplained(500_000, 1_000_000);
});
