// Next hops of a router and what happens to them. The test's own namespace is the router; its neighbours live
// in a second one, that of a process which sleeps.
//
//   (here) u0 192.0.2.1/24 fd01::1/64 ---- u1 192.0.2.2 .3 .9 fd01::2 (there)
//   (here) v0 198.51.100.1/24 ------------ v1 198.51.100.2 (there)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Adjacency, resolveAdjacencies } from '../../src/sys/adjacency.js';
import { interfaceIndex } from '../../src/sys/libc.js';
import { RouteWatch } from '../../src/sys/netlink.js';
import { eventually } from '../support/lab.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';
import { SecondNamespace } from '../support/second-namespace.js';

const namespace = enterOwnNamespace();
const skip =
  namespace || (spawnSync('nsenter', ['--version']).error ? 'needs nsenter (util-linux)' : false);

let second: SecondNamespace | undefined;
const there = (line: string): string => second?.ip(line) ?? '';

before(async () => {
  if (skip) return;
  second = await SecondNamespace.make();
  // Link-local addresses too are usable at once: without one nobody is asked.
  const noDuplicates = (): void => writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0');
  noDuplicates();
  second.enter(noDuplicates);
  for (const [name, here, far] of [
    [
      'u',
      ['192.0.2.1/24', 'fd01::1/64'],
      ['192.0.2.2/24', '192.0.2.3/24', '192.0.2.9/24', 'fd01::2/64'],
    ],
    ['v', ['198.51.100.1/24'], ['198.51.100.2/24']],
  ] as const) {
    ip(`link add ${name}0 type veth peer name ${name}1 netns ${second.pid}`);
    // Addresses are usable at once: duplicates are not possible here.
    const nodad = (address: string): string => (address.includes(':') ? ' nodad' : '');
    for (const address of here) ip(`address add ${address} dev ${name}0${nodad(address)}`);
    for (const address of far) there(`address add ${address} dev ${name}1${nodad(address)}`);
    ip(`link set ${name}0 up`);
    there(`link set ${name}1 up`);
    for (const family of ['ipv4', 'ipv6']) {
      const folder = `/proc/sys/net/${family}/neigh/${name}0`;
      // A neighbour is asked again after a second instead of half a minute.
      writeFileSync(`${folder}/base_reachable_time_ms`, '1000');
      writeFileSync(`${folder}/delay_first_probe_time`, '1');
      writeFileSync(`${folder}/retrans_time_ms`, '200');
    }
  }
  await sleep(300);
});

after(() => {
  second?.close();
});

async function resolveOne(remote: string, dev?: string): Promise<Adjacency> {
  const [adjacency] = await resolveAdjacencies([{ remote, dev }]);
  assert.ok(adjacency);
  return adjacency;
}

const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(':', ''), 'hex'));
const own = (device: string): Uint8Array =>
  bytesOf(JSON.parse(ip(`-j link show dev ${device}`))[0].address);
const theirs = (device: string): Uint8Array =>
  bytesOf(JSON.parse(there(`-j link show dev ${device}`))[0].address);

/** Keeps the next hop in use until it is as wanted. */
async function settle(
  watch: RouteWatch,
  remote: string,
  isRight: (adjacency: Adjacency) => boolean,
  limitMs = 3000,
): Promise<Adjacency> {
  let adjacency = await resolveOne(remote);
  await eventually(async () => {
    adjacency = await resolveOne(remote);
    if (isRight(adjacency)) return true;
    watch.keepAlive([adjacency]);
    await sleep(50);
    return false;
  }, limitMs);
  assert.ok(isRight(adjacency), JSON.stringify(adjacency));
  watch.drainChanges();
  watch.watch([adjacency]);
  return adjacency;
}

const isResolved = ({ kind }: Adjacency): boolean => kind === 'resolved';

test('an unknown neighbour is resolved by keeping it in use, and that is told', {
  skip,
}, async () => {
  const watch = new RouteWatch();
  const unknown = await resolveOne('192.0.2.3');
  assert.deepEqual(unknown, {
    kind: 'no-neighbour',
    path: { remote: '192.0.2.3', dev: undefined },
    ...{ link: interfaceIndex('u0'), device: 'u0', neighbour: '192.0.2.3', mtu: 1500 },
    ...{ deviceMtu: 1500, queues: false },
  });
  watch.drainChanges();
  watch.watch([unknown]);
  watch.keepAlive([unknown]);
  assert.ok(await eventually(() => watch.drainChanges()));
  const known = await resolveOne('192.0.2.3');
  assert.ok(known.kind === 'resolved');
  assert.equal(known.state, 'REACHABLE');
  assert.deepEqual(known.source, own('u0'));
  assert.deepEqual(known.destination, theirs('u1'));
  watch.close();
});

test('IPv6 next hops are kept in use and watched too', { skip }, async () => {
  const watch = new RouteWatch();
  const unknown = await resolveOne('fd01::2');
  assert.equal(unknown.kind, 'no-neighbour');
  watch.drainChanges();
  watch.watch([unknown]);
  watch.keepAlive([unknown]);
  // IPv6 becomes ready about this time: the first questions may go unanswered, and addresses are told as well.
  const told = await eventually(async () => {
    if (watch.drainChanges() && isResolved(await resolveOne('fd01::2'))) return true;
    watch.keepAlive([unknown]);
    return false;
  });
  assert.ok(told);
  const known = await resolveOne('fd01::2');
  assert.ok(known.kind === 'resolved');
  assert.deepEqual(known.destination, theirs('u1'));
  watch.close();
});

test('a neighbour whose hardware address changes is noticed within its probing time', {
  skip,
}, async () => {
  const watch = new RouteWatch();
  const first = await settle(watch, '192.0.2.2', isResolved);
  there('link set u1 address 02:00:00:00:01:01');
  const startedMs = Date.now();
  // As a router does: keep in use every so often, resolve again only when told.
  const current: Adjacency[] = [first];
  const noticed = await eventually(async () => {
    watch.keepAlive(current);
    await sleep(100);
    if (!watch.drainChanges()) return false;
    const adjacency = await resolveOne('192.0.2.2');
    current[0] = adjacency;
    watch.watch(current);
    return adjacency.kind === 'resolved' && adjacency.destination[5] === 1;
  }, 8000);
  assert.ok(noticed, JSON.stringify(current));
  // Reachable for up to 1.5 s, a delay of 1 s, three probes of 0.2 s, then asked anew.
  assert.ok(Date.now() - startedMs < 5000);
  assert.ok(current[0]?.kind === 'resolved');
  assert.deepEqual(current[0].destination, bytesOf('02:00:00:00:01:01'));
  watch.close();
});

test('a neighbour that vanishes is told', { skip }, async () => {
  const watch = new RouteWatch();
  const adjacency = await settle(watch, '192.0.2.3', isResolved);
  there('address del 192.0.2.3/24 dev u1');
  const told = await eventually(async () => {
    watch.keepAlive([adjacency]);
    await sleep(100);
    return watch.drainChanges();
  }, 8000);
  assert.ok(told);
  assert.equal((await resolveOne('192.0.2.3')).kind, 'no-neighbour');
  there('address add 192.0.2.3/24 dev u1');
  await settle(watch, '192.0.2.3', isResolved);
  watch.close();
});

test('a neighbour that stays as it is stays in use and is never told', { skip }, async () => {
  const watch = new RouteWatch();
  const adjacency = await settle(watch, '192.0.2.2', isResolved);
  const states = new Set<string>();
  for (let n = 0; n < 30; n++) {
    watch.keepAlive([adjacency]);
    await sleep(100);
    assert.equal(watch.drainChanges(), false);
    const current = await resolveOne('192.0.2.2');
    states.add(current.kind === 'resolved' ? current.state : current.kind);
  }
  assert.ok(states.has('REACHABLE') && states.size > 1, `it was asked again: ${[...states]}`);
  for (const state of states) assert.match(state, /^(REACHABLE|STALE|DELAY|PROBE)$/);
  watch.close();
});

test('a route that moves to another gateway or device is told and followed', { skip }, async () => {
  const watch = new RouteWatch();
  ip('route add 203.0.113.0/24 via 192.0.2.2 mtu 1400');
  const first = await settle(watch, '203.0.113.7', isResolved);
  assert.ok(first.kind === 'resolved');
  assert.deepEqual([first.device, first.neighbour, first.mtu], ['u0', '192.0.2.2', 1400]);

  ip('route replace 203.0.113.0/24 via 192.0.2.9');
  assert.ok(watch.drainChanges());
  const second = await settle(watch, '203.0.113.7', isResolved);
  assert.ok(second.kind === 'resolved');
  assert.deepEqual([second.device, second.neighbour, second.mtu], ['u0', '192.0.2.9', 1500]);

  ip('route replace 203.0.113.0/24 via 198.51.100.2');
  assert.ok(watch.drainChanges());
  const third = await settle(watch, '203.0.113.7', isResolved);
  assert.ok(third.kind === 'resolved');
  assert.deepEqual([third.device, third.neighbour], ['v0', '198.51.100.2']);
  assert.deepEqual(third.source, own('v0'));
  assert.deepEqual(third.destination, theirs('v1'));

  ip('route del 203.0.113.0/24');
  assert.ok(watch.drainChanges());
  assert.equal((await resolveOne('203.0.113.7')).kind, 'no-route');
  watch.close();
});

test('a bound device decides which way is taken', { skip }, async () => {
  ip('route add 203.0.113.0/24 via 192.0.2.2');
  ip('route add 203.0.113.0/24 via 198.51.100.2 metric 50');
  const paths = [
    { remote: '203.0.113.7' },
    { remote: '203.0.113.7', dev: 'v0' },
    { remote: '192.0.2.2', dev: 'u0' },
    { remote: '203.0.113.8' },
  ];
  const found = await resolveAdjacencies(paths);
  assert.deepEqual(
    found.map((adjacency) => ('link' in adjacency ? adjacency.device : adjacency.kind)),
    ['u0', 'v0', 'u0', 'u0'],
  );
  assert.deepEqual(
    found.map(({ path }) => path),
    paths,
  );
  ip('route del 203.0.113.0/24 metric 50');
  ip('route del 203.0.113.0/24');
});

test('a device that goes down, comes up, or changes its address or MTU is told', {
  skip,
}, async () => {
  const watch = new RouteWatch();
  await settle(watch, '198.51.100.2', isResolved);
  assert.equal(watch.drainChanges(), false);

  there('link set v1 down');
  assert.ok(await eventually(() => watch.drainChanges()), 'no carrier');
  assert.equal((await resolveOne('198.51.100.2')).kind, 'link-down');
  there('link set v1 up');
  assert.ok(await eventually(() => watch.drainChanges()));
  await settle(watch, '198.51.100.2', isResolved);

  ip('link set v0 down');
  assert.ok(watch.drainChanges());
  assert.equal((await resolveOne('198.51.100.2')).kind, 'no-route');
  ip('link set v0 up');
  assert.ok(await eventually(() => watch.drainChanges()));
  await settle(watch, '198.51.100.2', isResolved);

  ip('link set v0 mtu 1300');
  assert.ok(watch.drainChanges());
  const smaller = await settle(watch, '198.51.100.2', isResolved);
  assert.ok('mtu' in smaller && smaller.mtu === 1300);
  ip('link set v0 address 02:00:00:00:02:02');
  assert.ok(watch.drainChanges());
  const renamed = await settle(watch, '198.51.100.2', isResolved);
  assert.ok(renamed.kind === 'resolved');
  assert.deepEqual(renamed.source, bytesOf('02:00:00:00:02:02'));
  watch.close();
});

test('what matters to no adjacency is not told', { skip }, async () => {
  const watch = new RouteWatch();
  await settle(watch, '192.0.2.2', isResolved);
  ip('neigh replace 192.0.2.77 lladdr 02:00:00:00:07:07 dev u0');
  ip('neigh replace 192.0.2.2 lladdr 02:00:00:00:07:07 dev v0');
  ip('link set v0 mtu 1400');
  assert.equal(watch.drainChanges(), false);
  ip('neigh del 192.0.2.77 dev u0');
  ip('neigh del 192.0.2.2 dev v0');
  assert.equal(watch.drainChanges(), false);
  watch.close();
});

test('permanent neighbours are left as they are', { skip }, async () => {
  const watch = new RouteWatch();
  ip('neigh replace 192.0.2.50 lladdr 02:00:00:00:05:05 dev u0');
  const adjacency = await resolveOne('192.0.2.50');
  assert.ok(adjacency.kind === 'resolved');
  assert.equal(adjacency.state, 'PERMANENT');
  watch.keepAlive([adjacency]);
  await sleep(100);
  const still = await resolveOne('192.0.2.50');
  assert.ok(still.kind === 'resolved' && still.state === 'PERMANENT');
  watch.close();
});

test('addresses that no frame can be sent to are named as what they are', { skip }, async () => {
  ip('link set lo up');
  const found = await resolveAdjacencies(
    ['192.0.2.1', '192.0.2.255', '8.8.8.8', '2001:db8::1'].map((remote) => ({ remote })),
  );
  assert.deepEqual(
    found.map(({ kind }) => kind),
    ['not-unicast', 'not-unicast', 'no-route', 'no-route'],
  );
});

test('a thousand next hops are kept in use at no cost to speak of', { skip }, async () => {
  const watch = new RouteWatch();
  const adjacency = await settle(watch, '192.0.2.2', isResolved);
  const startedUs = process.cpuUsage();
  for (let n = 0; n < 1000; n++) {
    watch.keepAlive([adjacency]);
    watch.drainChanges();
  }
  const { user, system } = process.cpuUsage(startedUs);
  // Every five seconds, 0.1 % of a processor is 5 ms; this is for a thousand of them.
  assert.ok(user + system < 50_000, `${user + system} us`);
  watch.close();
});
