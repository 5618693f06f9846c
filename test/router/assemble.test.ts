// A config with the tunnels that were there before: what was chosen for them by chance stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourcePortOf } from '../../src/packet/udp.js';
import { assembleFleet, followNames } from '../../src/router/assemble.js';
import type { Fleet } from '../../src/router/fleet.js';
import { configOf } from '../support/config-lines.js';

const LINES = 'mode = "gre-udp"\nlocal = "192.0.2.1"\nallow = ["any"]\nmtu = 1400\n';

async function fleetOf(lines: string, before: Fleet = [], address = '192.0.2.2') {
  const config = configOf('t', `${LINES}${lines}`);
  assert.ok(config);
  const [member] = await assembleFleet(config, () => address, before);
  assert.ok(member);
  return member;
}

const REMOTE = 'remote = "192.0.2.2"\n';

test('a source port that was chosen stays with the tunnel, whatever else is another', async () => {
  for (const lines of ['sport = "random"', 'seq = true']) {
    const before = await fleetOf(`${REMOTE}${lines}`);
    const port = sourcePortOf(before.tunnel);
    assert.ok(port >= 49_152, `${port}`);
    const after = await fleetOf(`${REMOTE}${lines}\nttl = 3`, [before]);
    assert.equal(after.tunnel.ttl, 3);
    assert.equal(sourcePortOf(after.tunnel), port);
  }
});

test('a port that the config names is taken, and no chosen port follows from it', async () => {
  const before = await fleetOf(`${REMOTE}sport = 7`);
  assert.equal(sourcePortOf(before.tunnel), 7);
  const chosen = await fleetOf(`${REMOTE}sport = "random"`, [before]);
  assert.ok(sourcePortOf(chosen.tunnel) >= 49_152);
  const named = await fleetOf(`${REMOTE}sport = 9`, [chosen]);
  assert.equal(sourcePortOf(named.tunnel), 9);
});

test('a host name that moves takes port and identifier of the probe along', async () => {
  const lines =
    'remote = "peer.example"\nsport = "random"\naddress = ["10.5.0.1/24"]\nprobe = { target = "10.5.0.2" }';
  const before = await fleetOf(lines);
  const after = followNames(before, () => '192.0.2.3');
  assert.equal(after.tunnel.remote, '192.0.2.3');
  assert.equal(sourcePortOf(after.tunnel), sourcePortOf(before.tunnel));
  assert.deepEqual(after.tunnel.probe, before.tunnel.probe);
});
