import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKernelAtLeast } from '../../src/sys/kernel.js';

test('a release is compared by its numbers, not by its letters', () => {
  assert.equal(isKernelAtLeast(6, 9, '6.18.44-custom'), true);
  assert.equal(isKernelAtLeast(6, 9, '6.9.0'), true);
  assert.equal(isKernelAtLeast(6, 9, '6.8.12-generic'), false);
  assert.equal(isKernelAtLeast(6, 9, '5.15.0'), false);
  assert.equal(isKernelAtLeast(6, 9, '7.0.0-rc1'), true);
  assert.equal(isKernelAtLeast(6, 9, 'something else'), false);
});
