import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryRouter } from '../../src/router/memory.js';
import { PLAIN_GRE, PLAIN_IPIP } from '../support/tunnels.js';

test('a router in memory has no kernel behind it, and so none of its counters', async () => {
  const router = createMemoryRouter([PLAIN_GRE, PLAIN_IPIP]);
  try {
    const { kernelDrops, tunnels } = await router.status();
    assert.deepEqual(kernelDrops, {});
    assert.equal(tunnels.length, 2);
    for (const tunnel of tunnels) assert.ok(!('queueDrops' in tunnel));
  } finally {
    await router.stop();
  }
});
