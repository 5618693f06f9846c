import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tunnel } from '../../src/packet/tunnel.js';
import type { Fleet, Member } from '../../src/router/fleet.js';
import { changedRecords, routerRecords, unsharedRecords } from '../../src/router/records.js';
import { configOf } from '../support/config-lines.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const REMOTES = ['198.51.100.5', '198.51.100.6'];

/** A tunnel with two peers at records 2 and 3, and a plain one. */
function fleetOf(remotes: readonly string[], place = { plain: 4 }): Fleet {
  const lines = remotes.map((remote, n) => `{ remote = "${remote}", routes = ["10.${n}.0.0/16"] }`);
  const [hub] =
    configOf('hub', `mode = "gre"\nremote = "any"\npeers = [${lines.join(', ')}]`)?.tunnels ?? [];
  const [plain] =
    configOf('plain', 'mode = "gre"\nremote = "192.0.2.9"\nallow = ["any"]')?.tunnels ?? [];
  assert.ok(hub && plain);
  const peers = remotes.map((remote) => ({ remote, routes: [] }));
  const tunnel: Tunnel = { ...PLAIN_GRE, name: 'hub', remote: 'any', peers, peersAt: 2 };
  const members: Member[] = [
    { record: 1, config: hub, tunnel, peers: { first: 2, room: 2 } },
    { record: place.plain, config: plain, tunnel: { ...PLAIN_GRE, name: 'plain' } },
  ];
  return members;
}

test('a peer that moved is a record that changed, and no other is', () => {
  const before = routerRecords(fleetOf(REMOTES));
  assert.deepEqual(
    before.map((record) => record?.tunnel.remote),
    ['any', ...REMOTES, PLAIN_GRE.remote],
  );
  const after = routerRecords(fleetOf(['198.51.100.5', '198.51.100.7']));
  assert.deepEqual([...changedRecords(before, after)], [3]);
  assert.deepEqual([...changedRecords(before, before)], []);
  assert.deepEqual([...unsharedRecords(before, after)], []);
});

test('a record that one has alone is neither changed nor shared', () => {
  const before = routerRecords(fleetOf(REMOTES));
  const after = routerRecords(fleetOf(['198.51.100.5'], { plain: 6 }));
  assert.deepEqual([...changedRecords(before, after)], []);
  assert.deepEqual([...unsharedRecords(before, after)], [3, 4, 6]);
});
