import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { pino } from 'pino';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { PathMtus } from '../../src/ring/path-mtus.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { LearnedMtus } from '../../src/router/path-mtus.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const MINUTE_MS = 60_000;
/** A name that no device has: without IPv6. */
const TUNNEL: Tunnel = { ...PLAIN_GRE, name: 'no-such-device', mtu: 1476 };

function open(deviceMtus?: readonly number[]) {
  mock.timers.enable({ apis: ['setTimeout'] });
  const plan = planMemory(1);
  const pathMtus = new PathMtus(createMemory(plan), plan.states);
  const set: [string, number][] = [];
  const learned = new LearnedMtus({
    ...{ tunnels: [TUNNEL], pathMtus, log: pino({ enabled: false }) },
    ...(deviceMtus === undefined ? {} : { deviceMtus }),
    setDeviceMtu: async (name, mtu) => {
      set.push([name, mtu]);
    },
  });
  const learn = (mtu: number): void => {
    pathMtus.lower(1, mtu);
    learned.learned(1, mtu);
  };
  const pass = async (minutes: number): Promise<void> => {
    mock.timers.tick(minutes * MINUTE_MS);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { learned, learn, pass, pathMtus, set };
}

test('what was learned counts for ten minutes, for the tunnel and for its device, and then the old MTU again', async (t) => {
  t.after(() => mock.timers.reset());
  const { learn, pass, pathMtus, set } = open();
  learn(1376);
  await pass(9.9);
  assert.equal(pathMtus.get(1), 1376);
  assert.deepEqual(set, [[TUNNEL.name, 1376]]);
  await pass(0.2);
  assert.equal(pathMtus.get(1), 0);
  assert.deepEqual(set.at(-1), [TUNNEL.name, 1476]);
});

test('what is heard again counts from then on, what is less at once', async (t) => {
  t.after(() => mock.timers.reset());
  const { learn, pass, pathMtus, set } = open();
  learn(1376);
  await pass(8);
  learn(1376);
  await pass(8);
  assert.equal(pathMtus.get(1), 1376);
  learn(60);
  await pass(1);
  assert.deepEqual(set, [
    [TUNNEL.name, 1376],
    [TUNNEL.name, 68], // no device has less
  ]);
  await pass(10);
  assert.deepEqual(set.at(-1), [TUNNEL.name, 1476]);
});

test('when the peer moves, what was learned of the old way is forgotten at once, and for good', async (t) => {
  t.after(() => mock.timers.reset());
  const { learned, learn, pass, pathMtus, set } = open();
  learn(1376);
  learned.moved(1);
  learned.moved(2);
  await pass(0.1);
  assert.equal(pathMtus.get(1), 0);
  assert.deepEqual(set.at(-1), [TUNNEL.name, 1476]);
  pathMtus.set(1, 1300); // learned of the new way; the old time is no longer running
  await pass(11);
  assert.equal(pathMtus.get(1), 1300);
  assert.equal(set.length, 2);
});

test('after its end nothing is set, and no record that there is not is learned', async (t) => {
  t.after(() => mock.timers.reset());
  const { learned, learn, pass, set } = open();
  learned.learned(2, 1000);
  learned.close();
  learn(1376);
  await pass(11);
  assert.deepEqual(set, []);
});

test('a device that has more than its tunnel carries, for IPv6, has that again when the time is up', async (t) => {
  t.after(() => mock.timers.reset());
  const { learn, pass, set } = open([1500]);
  learn(1400);
  await pass(0.1);
  assert.deepEqual(set, [[TUNNEL.name, 1400]]);
  await pass(10);
  assert.deepEqual(set.at(-1), [TUNNEL.name, 1500]);
});

test('a device whose tunnel carries IPv6 from now on gets the MTU for that back, and goes by it', async (t) => {
  t.after(() => mock.timers.reset());
  const { learned, learn, pass, pathMtus, set } = open([1260]);
  learn(1000);
  await pass(0);
  learned.change({ tunnels: [{ ...TUNNEL, mtu: 1260 }], deviceMtus: [1280] }, [1]);
  await pass(0);
  assert.equal(pathMtus.get(1), 0);
  assert.deepEqual(set, [
    [TUNNEL.name, 1000],
    [TUNNEL.name, 1280],
  ]);
  learn(1100);
  await pass(10.1);
  assert.deepEqual(set.slice(2), [
    [TUNNEL.name, 1100],
    [TUNNEL.name, 1280],
  ]);
});
