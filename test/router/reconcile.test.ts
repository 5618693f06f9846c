// Steps of a reload: all of them, or none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tunnelOf } from '../../src/config/tunnel.js';
import { alignPeers, type Fleet, type Member, placeTunnels } from '../../src/router/fleet.js';
import { type Actuator, carryOut, planSteps, type Step } from '../../src/router/reconcile.js';
import { configOf } from '../support/config-lines.js';

function member(name: string, record: number, lines = ''): Member {
  const [config] =
    configOf(name, `mode = "gre"\nremote = "192.0.2.${record}"\nallow = ["any"]\n${lines}`)
      ?.tunnels ?? [];
  assert.ok(config);
  return { record, config, tunnel: tunnelOf(config) };
}

const names = (fleet: Fleet): string => fleet.map(({ config }) => config.name).join(' ');

/** Carries nothing out but a list of what was asked for; `failsAt` is the number of the request that fails. */
function recorder(failsAt: number): { readonly actuator: Actuator; readonly asked: string[] } {
  const asked: string[] = [];
  const ask = async (what: string): Promise<void> => {
    if (asked.push(what) === failsAt) throw new Error(`no ${what}`);
  };
  return {
    asked,
    actuator: {
      useCodec: (name) => ask(`codec ${name}`),
      switchTo: (fleet) => ask(`switch ${names(fleet)}`),
      makeDevices: (members) => ask(`make ${names(members)}`),
      unmakeDevices: (members) => ask(`unmake ${names(members)}`),
      changeNetwork: async ({ strict }) => {
        await ask(`network ${strict.map(({ owner }) => owner).join(' ')}`);
        return () => ask('network back');
      },
    },
  };
}

const [kept, rebuilt, removed] = [member('kept', 1), member('rebuilt', 2), member('removed', 3)];
const before = [kept, rebuilt, removed];
const after = [kept, member('rebuilt', 2, 'ttl = 3'), member('added', 4)];
const steps = planSteps({
  ...{ before, after, rebuilt: new Set(['rebuilt']) },
  codec: { before: 'simd', after: 'scalar' },
});

test('what is to be made is made before tunnels are switched, and what goes goes last', async () => {
  const { actuator, asked } = recorder(0);
  await carryOut(steps, actuator, () => assert.fail());
  assert.deepEqual(
    asked.map((one) => one.replace(/network .*/, 'network')),
    [
      ...['codec scalar', 'switch kept removed', 'unmake rebuilt', 'make rebuilt added', 'network'],
      ...['switch kept rebuilt added', 'unmake removed'],
    ],
  );
});

test('whichever step fails, those before it are undone, the last one first', async () => {
  const undone: { readonly [failsAt: number]: readonly string[] } = {
    1: [],
    2: ['codec simd'],
    3: ['switch kept rebuilt removed', 'codec simd'],
    4: ['make rebuilt', 'network', 'switch kept rebuilt removed', 'codec simd'],
    5: [
      'unmake rebuilt added',
      'make rebuilt',
      'network',
      'switch kept rebuilt removed',
      'codec simd',
    ],
    6: [
      ...['network', 'unmake rebuilt added', 'make rebuilt', 'network'],
      ...['switch kept rebuilt removed', 'codec simd'],
    ],
  };
  for (const [failsAt, expected] of Object.entries(undone)) {
    const { actuator, asked } = recorder(Number(failsAt));
    const lost: Step[] = [];
    await assert.rejects(
      carryOut(steps, actuator, (step) => lost.push(step)),
      /no /,
    );
    const rest = asked.slice(Number(failsAt)).map((one) => one.replace(/network .*/, 'network'));
    assert.deepEqual(rest, expected, `step ${failsAt}`);
    assert.deepEqual(lost, []);
  }
});

test('what cannot be undone is told, and the rest is undone all the same', async () => {
  const { actuator, asked } = recorder(4);
  const lost: string[] = [];
  const failing = {
    ...actuator,
    makeDevices: async () => {
      asked.push('make');
      throw new Error('no device');
    },
  };
  await assert.rejects(
    carryOut(steps, failing, ({ kind }) => lost.push(kind)),
    /no device/,
  );
  assert.deepEqual(lost, ['unmake']);
  assert.equal(asked.at(-1), 'codec simd');
});

test('a plan of nothing has no steps', () => {
  assert.deepEqual(planSteps({ before, after: before, rebuilt: new Set() }), []);
});

const peers = (...remotes: number[]) =>
  remotes.map((n) => ({ remote: `192.0.2.${n}`, routes: [] }));

test('records stay with their tunnels, and nobody gets the record of one that goes', () => {
  const hub = { ...kept, config: { ...kept.config, name: 'hub', peers: peers(1, 2) } };
  const fleet = [{ ...hub, peers: { first: 5, room: 3 } }, rebuilt, removed];
  const configs = [member('new1', 9), member('new2', 9), hub, rebuilt].map(({ config }) => config);
  const places = placeTunnels(configs, fleet);
  assert.deepEqual(places, [
    { record: 4 },
    { record: 8 },
    { record: 1, peers: { first: 5, room: 3 } },
    { record: 2 },
  ]);
  // More peers than there is room for: all of them go elsewhere.
  const wide = { ...hub.config, peers: peers(1, 2, 3, 4) };
  assert.deepEqual(placeTunnels([wide], fleet), [{ record: 1, peers: { first: 8, room: 9 } }]);
});

test('peers keep their places when others come and go', () => {
  const order = (now: number[], was: number[]) =>
    alignPeers(peers(...now), peers(...was)).map(({ remote }) => Number(remote.split('.').at(-1)));
  assert.deepEqual(order([1, 2, 3], [1, 2, 3]), [1, 2, 3]);
  assert.deepEqual(order([3, 1, 2], [1, 2, 3]), [1, 2, 3]);
  assert.deepEqual(order([1, 2, 4], [1, 2, 3]), [1, 2, 4]);
  assert.deepEqual(order([1, 3], [1, 2, 3]), [1, 3]);
  assert.deepEqual(order([9, 1, 2, 3], [1, 2, 3]), [1, 2, 3, 9]);
  assert.deepEqual(order([2], [1, 2]), [2]);
});
