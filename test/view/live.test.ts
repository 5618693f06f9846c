// A live view is the status that its events add up to, whatever happens between two looks at the router.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eventsBetween, statusEvent } from '../../src/control/change.js';
import { encodeEvent, type LiveEvent } from '../../src/control/event.js';
import type { PeerStatus, RouterStatus, TunnelStatus } from '../../src/router/contract.js';
import { EventReader } from '../../src/view/event-reader.js';
import { HISTORY } from '../../src/view/history.js';
import { LiveView } from '../../src/view/live.js';
import { type Counts, total } from '../../src/view/live-counts.js';
import { STATUS } from '../control/router.js';
import '../support/arbitrary.js'; // its settings of fast-check

const UP: TunnelStatus = STATUS.tunnels[0] ?? assert.fail();

const counter = fc.nat({ max: 1_000_000 });
const passed = fc.record({ packets: counter, bytes: counter });
const reasons = fc.dictionary(fc.constantFrom('no-tunnel', 'gre-checksum', 'inner-ttl'), counter);

/** What happens to a tunnel between two looks. */
interface Step {
  readonly name: string;
  readonly rx: { readonly packets: number; readonly bytes: number };
  readonly tx: { readonly packets: number; readonly bytes: number };
  readonly drops: Readonly<Record<string, number>>;
  readonly isUp: boolean;
  /** Its counters begin anew. */
  readonly isReset: boolean;
  /** Of a tunnel with several. */
  readonly peers: readonly PeerStep[];
}

/** What happens to a peer. */
interface PeerStep extends Pick<Step, 'rx' | 'tx' | 'drops'> {
  readonly remote: string;
  readonly remoteAddress: string | undefined;
  readonly downReason: string | undefined;
}

const peerStep: fc.Arbitrary<PeerStep> = fc.record({
  remote: fc.constantFrom('203.0.113.1', 'far.example', '__proto__'),
  remoteAddress: fc.constantFrom(undefined, '192.0.2.7', '192.0.2.8'),
  downReason: fc.constantFrom(undefined, 'far.example has no address'),
  rx: passed,
  tx: passed,
  drops: reasons,
});
const step: fc.Arbitrary<Step> = fc.record({
  name: fc.constantFrom('gre1', 'sit1', '__proto__', 'constructor'),
  rx: passed,
  tx: passed,
  drops: reasons,
  isUp: fc.boolean(),
  isReset: fc.boolean(),
  // One remote may be there twice.
  peers: fc.array(peerStep, { maxLength: 3 }),
});
const look = fc.record({
  steps: fc.uniqueArray(step, { selector: ({ name }) => name, maxLength: 4 }),
  drops: reasons,
  kernel: counter,
});

function sum(
  old: Readonly<Record<string, number>>,
  more: Readonly<Record<string, number>>,
): Record<string, number> {
  const names = new Set([...Object.keys(old), ...Object.keys(more)]);
  return Object.fromEntries([...names].map((name) => [name, (old[name] ?? 0) + (more[name] ?? 0)]));
}

function after(
  old: TunnelStatus | undefined,
  { name, isReset, isUp, peers, ...more }: Step,
): TunnelStatus {
  const { rx, tx, drops } =
    old === undefined || isReset
      ? { rx: { packets: 0, bytes: 0 }, tx: { packets: 0, bytes: 0 }, drops: {} }
      : old;
  return {
    ...UP,
    name,
    rx: { packets: rx.packets + more.rx.packets, bytes: rx.bytes + more.rx.bytes },
    tx: { packets: tx.packets + more.tx.packets, bytes: tx.bytes + more.tx.bytes },
    drops: sum(drops, more.drops),
    mode: 'gre',
    local: '192.0.2.1',
    remote: '192.0.2.2',
    mtu: 1476,
    ...(peers.length === 0
      ? {}
      : { peers: peers.map((one, n) => peerAfter(old?.peers?.[n], one)) }),
    ...(isUp ? { state: 'up' } : { state: 'down', downReason: 'device' }),
  };
}

function peerAfter(
  old: PeerStatus | undefined,
  { remote, remoteAddress, downReason, ...more }: PeerStep,
): PeerStatus {
  const { rx, tx, drops } = old?.remote === remote ? old : { rx: NOTHING, tx: NOTHING, drops: {} };
  return {
    remote,
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    ...(downReason === undefined ? {} : { downReason }),
    rx: { packets: rx.packets + more.rx.packets, bytes: rx.bytes + more.rx.bytes },
    tx: { packets: tx.packets + more.tx.packets, bytes: tx.bytes + more.tx.bytes },
    drops: sum(drops, more.drops),
    lastReceivedMs: null,
  };
}

const NOTHING = { packets: 0, bytes: 0 };

const positive = (counts: Iterable<readonly [string, number]>): object =>
  Object.fromEntries([...counts].filter(([, count]) => count > 0));

function shownBy(view: LiveView): object {
  return {
    none: positive(view.none),
    kernel: positive(view.kernel),
    tunnels: [...view.tunnels].map(([name, { rx, tx, drops, status, peers }]) => ({
      ...{ name, rx: { ...rx }, tx: { ...tx }, drops: positive(drops) },
      ...{ state: status.state, downReason: status.downReason },
      peers: peers.map((peer) => ({
        ...{ rx: { ...peer.rx }, tx: { ...peer.tx }, drops: positive(peer.drops) },
        ...endOf(peer.status),
      })),
    })),
  };
}

function endOf({ remote, remoteAddress, downReason }: PeerStatus): object {
  return { remote, remoteAddress, downReason };
}

function toldBy(status: RouterStatus): object {
  return {
    none: positive(Object.entries(status.drops)),
    kernel: positive(Object.entries(status.kernelDrops)),
    tunnels: status.tunnels.map(({ name, rx, tx, drops, state, downReason, peers = [] }) => ({
      ...{ name, rx, tx, drops: positive(Object.entries(drops)), state, downReason },
      peers: peers.map((peer) => ({
        ...{ rx: peer.rx, tx: peer.tx, drops: positive(Object.entries(peer.drops)) },
        ...endOf(peer),
      })),
    })),
  };
}

test('after any looks the view shows the last status, told by differences in pieces of any size', () => {
  fc.assert(
    fc.property(
      fc.array(look, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 300 }),
      (looks, size) => {
        const view = new LiveView();
        const reader = new EventReader();
        let last = {
          timeMs: 1_700_000_000_000,
          steadyMs: 0,
          status: { ...STATUS, tunnels: [], drops: {} } as RouterStatus,
        };
        let bytes = Buffer.from(encodeEvent(statusEvent(last)));
        for (const { steps, drops, kernel } of looks) {
          const old = new Map(last.status.tunnels.map((tunnel) => [tunnel.name, tunnel]));
          const status: RouterStatus = {
            ...last.status,
            tunnels: steps.map((one) => after(old.get(one.name), one)),
            drops: sum(last.status.drops, drops),
            kernelDrops: { rawSocket: (last.status.kernelDrops.rawSocket ?? 0) + kernel },
          };
          const next = { timeMs: last.timeMs + 1000, steadyMs: last.steadyMs + 1000, status };
          bytes = Buffer.concat([bytes, ...eventsBetween(last, next).map(encodeEvent)]);
          last = next;
        }
        const text = bytes.toString('utf8');
        for (let at = 0; at < text.length; at += size) {
          for (const event of reader.read(text.slice(at, at + size))) view.apply(event);
        }
        assert.deepEqual(shownBy(view), toldBy(last.status));
      },
    ),
  );
});

const traffic = (timeMs: number, packets: number, seconds = 1): LiveEvent => ({
  kind: 'traffic',
  data: {
    timeMs,
    seconds,
    tunnels:
      packets === 0
        ? {}
        : { gre1: { rx: { packets, bytes: packets * 100 }, tx: { packets: 0, bytes: 0 } } },
  },
});

test('rates are of the last second, and the history has the last minutes alone', () => {
  const view = new LiveView();
  view.apply(statusEvent({ timeMs: 0, steadyMs: 0, status: STATUS }));
  for (let second = 1; second <= HISTORY + 20; second++) view.apply(traffic(second * 1000, second));
  view.apply(traffic((HISTORY + 21) * 1000, 50, 2));
  const tunnel = view.tunnels.get('gre1');
  assert.ok(tunnel);
  assert.deepEqual(tunnel.rxRate, { packets: 25, bytes: 2500 });
  assert.equal(view.known, HISTORY);
  const history = tunnel.rxHistory.last(view.at, HISTORY);
  assert.deepEqual([history.length, history[0], history.at(-1)], [HISTORY, 2200, 2500]);
  assert.equal(view.times(HISTORY)[0], 22_000);
  assert.equal(view.uptimeSeconds, STATUS.uptimeSeconds + HISTORY + 21);
  view.apply(traffic((HISTORY + 22) * 1000, 0));
  assert.deepEqual(tunnel.rxRate, { packets: 0, bytes: 0 });
  assert.deepEqual(tunnel.rxHistory.last(view.at, 2), [2500, 0]);
});

test('a new status keeps the history of the tunnels that stay', () => {
  const view = new LiveView();
  view.apply(statusEvent({ timeMs: 0, steadyMs: 0, status: STATUS }));
  view.apply(traffic(1000, 7));
  view.apply(
    statusEvent({
      timeMs: 2000,
      steadyMs: 0,
      status: { ...STATUS, tunnels: [UP, { ...UP, name: 'new' }] },
    }),
  );
  assert.deepEqual([...view.tunnels.keys()], ['gre1', 'new']);
  assert.deepEqual(view.tunnels.get('gre1')?.rxHistory.last(view.at, 1), [700]);
  assert.deepEqual(view.tunnels.get('new')?.rxHistory.last(view.at, 2), [0, 0]);
  assert.equal(view.tunnels.get('gre1')?.rx.packets, UP.rx.packets);
});

test('drops of all tunnels and of none are summed by reason', () => {
  const view = new LiveView();
  view.apply(statusEvent({ timeMs: 0, steadyMs: 0, status: STATUS }));
  const counts: Counts = view.dropsByReason();
  assert.deepEqual(Object.fromEntries(counts), {
    'no-tunnel': 5,
    'gre-checksum': 2,
    'inner-ttl': 10,
  });
  assert.equal(total(counts), 17);
});

test('events of kinds that this version does not know are left out', () => {
  const reader = new EventReader();
  assert.deepEqual(reader.read('event: future\ndata: {"a":1}\n\n'), []);
  assert.deepEqual(reader.read('event: packets\ndata: {"isShown":true}\n\nevent: pac'), [
    { kind: 'packets', data: { isShown: true } },
  ]);
  assert.deepEqual(reader.read('kets\ndata: {"isShown":'), []);
  assert.equal(reader.read('false}\n\n').length, 1);
});

test('a peer that something came from was heard then, and its rates are of the last second', () => {
  const view = new LiveView();
  const peer: PeerStatus = {
    ...{ remote: '203.0.113.1', rx: NOTHING, tx: NOTHING, drops: {}, lastReceivedMs: null },
  };
  const status = { ...STATUS, tunnels: [{ ...UP, peers: [peer, peer] }] };
  view.apply(statusEvent({ timeMs: 0, steadyMs: 0, status }));
  const busy = { rx: { packets: 4, bytes: 400 }, tx: NOTHING };
  const peers = { gre1: [{ peer: 1, ...busy }] };
  const tunnels = { gre1: busy };
  view.apply({ kind: 'traffic', data: { timeMs: 2000, seconds: 2, tunnels, peers } });
  const [idle, heard] = view.tunnels.get('gre1')?.peers ?? [];
  assert.deepEqual([idle?.rxRate, idle?.status.lastReceivedMs], [NOTHING, null]);
  assert.deepEqual(heard?.rxRate, { packets: 2, bytes: 200 });
  assert.equal(heard?.status.lastReceivedMs, 2000);
  view.apply(traffic(3000, 0));
  assert.deepEqual([heard?.rxRate, heard?.status.lastReceivedMs], [NOTHING, 2000]);
});
