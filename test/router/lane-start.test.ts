// What lanes are told when tunnels change: at first what both tables need, in the end what the new one needs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleFleet } from '../../src/router/assemble.js';
import type { Fleet } from '../../src/router/fleet.js';
import { tunnelChange } from '../../src/router/lane-start.js';
import { routerRecords } from '../../src/router/records.js';
import { configOf } from '../support/config-lines.js';

async function viewOf(lines: string, before: Fleet = []) {
  const config = configOf('t', `mtu = 1400\n${lines}`);
  assert.ok(config);
  const fleet = await assembleFleet(config, () => undefined, before);
  return { fleet, records: routerRecords(fleet) };
}

const ENDS = 'local = "192.0.2.1"\nremote = "192.0.2.2"\nallow = ["any"]\n';

test('a tunnel that changes in place changes no socket, and lanes are told once', async () => {
  const before = await viewOf(`mode = "gre"\n${ENDS}`);
  const after = await viewOf(`mode = "gre"\n${ENDS}key = 5\nttl = 3`, before.fleet);
  const { first, last } = tunnelChange(before, after, undefined);
  assert.deepEqual(first, { tunnels: [[1, after.fleet[0]?.tunnel]] });
  assert.deepEqual(last, { tunnels: [] });
});

test('sockets of both are open until the new table is live, then those of the new one', async () => {
  const before = await viewOf(`mode = "ipip"\n${ENDS}`);
  const after = await viewOf(`mode = "gre-udp"\n${ENDS}seq = true\nreorder = {}`, before.fleet);
  const { first, last } = tunnelChange(before, after, undefined);
  assert.deepEqual(first.sockets?.protocols, [{ version: 4, protocol: 4 }]);
  assert.deepEqual(first.sockets?.udp.locals, [{ address: '192.0.2.1', link: 0 }]);
  assert.deepEqual(last.sockets?.protocols, []);
  assert.deepEqual(last.sockets?.udp.records, [1]);
  assert.equal(first.reorder?.length, 1);
  assert.equal(last.reorder, undefined);
  // Back again: what waits for its turn may wait until nothing is told to.
  const back = tunnelChange(after, before, undefined);
  assert.equal(back.first.reorder, undefined);
  assert.deepEqual(back.last.reorder, []);
});

test('peers of both have their device until the new table is live', async () => {
  const hub = (...remotes: number[]): string => {
    const peers = remotes.map((n) => `{ remote = "192.0.2.${n}", routes = ["10.${n}.0.0/16"] }`);
    return `mode = "gre"\nremote = "any"\npeers = [${peers.join(', ')}]`;
  };
  const before = await viewOf(hub(2));
  const many = Array.from({ length: 9 }, (_, n) => n + 2);
  const after = await viewOf(hub(...many), before.fleet);
  const { first, last } = tunnelChange(before, after, undefined);
  assert.deepEqual(first.peers, [
    { device: 1, first: 2, count: 1 },
    { device: 1, first: 8, count: 9 },
  ]);
  assert.deepEqual(last.peers, [{ device: 1, first: 8, count: 9 }]);
});
