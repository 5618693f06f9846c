import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { changedTunnels } from '../../src/router/records.js';
import { PLAIN_GRE } from '../support/tunnels.js';

test('of a peer that moved the tunnel is told that has it, and each once', () => {
  const peers = ['198.51.100.5', '198.51.100.6'].map((remote) => ({ remote, routes: [] }));
  const hub: Tunnel = { ...PLAIN_GRE, name: 'hub', remote: 'any', peers };
  const tunnels = [PLAIN_GRE, hub, undefined];
  assert.deepEqual(changedTunnels(tunnels, new Set([1])), [[0, PLAIN_GRE]]);
  assert.deepEqual(changedTunnels(tunnels, new Set([4, 5])), [[1, hub]]);
  assert.deepEqual(changedTunnels(tunnels, new Set([3, 5])), [
    [2, undefined],
    [1, hub],
  ]);
  assert.deepEqual(changedTunnels(tunnels, new Set()), []);
});
