import { test } from 'node:test';
import { assertExplained } from '../support/explained.js';

test('an explanation has the verdict of the reference and of both WebAssembly builds, for 20,000 packets each way', () => {
  assertExplained(20_000, 1);
});
