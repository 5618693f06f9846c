// /v1/events: what clients are told, by one look a second for all of them, and what becomes of one that stalls.
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { createApp } from '../../src/control/app.js';
import { followText } from '../../src/control/client.js';
import { createDoor } from '../../src/control/door.js';
import { encodeEvent, type LiveEvent } from '../../src/control/event.js';
import { eventsRoute } from '../../src/control/event-stream.js';
import { LiveFeed, WATCHERS_MAX } from '../../src/control/live-feed.js';
import { Page } from '../../src/control/page.js';
import { NOTHING, route } from '../../src/control/route.js';
import { claimSocket } from '../../src/control/socket.js';
import type { PeerStatus, Router, RouterStatus, TunnelStatus } from '../../src/router/contract.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { EventReader } from '../../src/view/event-reader.js';
import { eventually } from '../support/lab.js';
import { requestFrom } from './request.js';
import { createRouter, STATUS, tracedRouter } from './router.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-events-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
/** Looks at the router come so fast here, so that tests are short. */
const LOOK_MS = 20;

/** Serves the events of `router` alone on a unix socket. */
async function withEvents(
  router: Router,
  use: (path: string) => Promise<void>,
  patience?: { readonly bytes: number; readonly ms: number },
): Promise<void> {
  const path = join(folder, `${++count}.sock`);
  const feed = new LiveFeed(LOOK_MS);
  const app = createApp([eventsRoute(feed, patience)], () => router, new Page());
  const server = createDoor(app, { kind: 'socket' }, 100);
  await claimSocket(server, path);
  try {
    await use(path);
  } finally {
    feed.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Follows events until `isEnough`. */
async function eventsOf(
  path: string,
  isEnough: (events: readonly LiveEvent[]) => boolean,
  query = '',
): Promise<LiveEvent[]> {
  const ending = new AbortController();
  const reader = new EventReader();
  const events: LiveEvent[] = [];
  await followText(path, `/v1/events${query}`, ending.signal, (piece) => {
    events.push(...reader.read(piece));
    if (isEnough(events)) ending.abort();
  });
  return events;
}

const kindsOf = (events: readonly LiveEvent[]): string[] => events.map(({ kind }) => kind);

/** A router whose status is another each time it is asked, and counts how often that is. */
function changingRouter(change: (asked: number) => RouterStatus) {
  let asked = 0;
  return {
    router: { ...createRouter(), status: async () => change(asked++) },
    asked: () => asked,
  };
}

const [UP, DOWN] = STATUS.tunnels;
assert.ok(UP && DOWN);

test('the first event is the status, and what changes comes as it changes', async () => {
  const { router } = changingRouter((asked) => ({
    ...STATUS,
    tunnels: [
      {
        ...UP,
        rx: { packets: 4 + asked, bytes: 336 + 84 * asked },
        drops: { 'inner-ttl': 10 + (asked === 2 ? 3 : 0) },
        ...(asked === 2 ? { state: 'down', downReason: 'device' } : {}),
      },
      DOWN,
    ],
  }));
  await withEvents(router, async (path) => {
    const events = await eventsOf(path, (so) => so.length >= 5);
    assert.deepEqual(kindsOf(events).slice(0, 5), [
      'status',
      'traffic',
      'traffic',
      'drops',
      'state',
    ]);
    const [, first, , drops, state] = events;
    assert.ok(first?.kind === 'traffic' && drops?.kind === 'drops' && state?.kind === 'state');
    assert.deepEqual(first.data.tunnels, {
      gre1: { rx: { packets: 1, bytes: 84 }, tx: { packets: 0, bytes: 0 } },
    });
    assert.ok(first.data.seconds > 0 && first.data.seconds < 5);
    assert.deepEqual(drops.data.tunnels, { gre1: { 'inner-ttl': 3 } });
    assert.deepEqual(drops.data.none, {});
    const { timeMs: _, ...told } = state.data;
    assert.deepEqual(told, { tunnel: 'gre1', state: 'down', downReason: 'device' });
  });
});

test('tunnels that come, go or count anew are told as a new status', async () => {
  for (const other of [
    { tunnels: [UP] },
    { tunnels: [UP, { ...DOWN, name: 'sit2' }] },
    { tunnels: [{ ...UP, rx: { packets: 0, bytes: 0 } }, DOWN] },
    { tunnels: [{ ...UP, drops: {} }, DOWN] },
    { codec: 'scalar' },
  ]) {
    const { router } = changingRouter((asked) => (asked === 0 ? STATUS : { ...STATUS, ...other }));
    await withEvents(router, async (path) => {
      const events = await eventsOf(path, (so) => so.length >= 3);
      assert.deepEqual(kindsOf(events), ['status', 'status', 'traffic'], JSON.stringify(other));
    });
  }
});

/** A tunnel with `count` peers, of which those of `busy` differ with each look. */
const hub = (count: number, asked: number, busy: readonly number[]): TunnelStatus => {
  const peers = Array.from({ length: count }, (_, n): PeerStatus => {
    const packets = busy.includes(n) ? asked : 0;
    return {
      remote: `203.0.${n >> 8}.${n & 255}`,
      rx: { packets, bytes: 84 * packets },
      tx: { packets: 0, bytes: 0 },
      drops: packets === 0 ? {} : { 'inner-ttl': packets },
      lastReceivedMs: null,
      ...(packets > 1 ? { downReason: 'it has no address' } : {}),
    };
  });
  const packets = busy.length * asked;
  const drops = { 'inner-ttl': 10 + packets };
  return { ...UP, name: 'hub', rx: { packets, bytes: 84 * packets }, drops, peers };
};

test('of ten thousand peers those are told that differ, and no others', async () => {
  const busy = [3, 9999];
  const { router } = changingRouter((asked) => ({
    ...STATUS,
    tunnels: [hub(10_000, Math.min(asked, 2), busy)],
  }));
  await withEvents(router, async (path) => {
    const events = await eventsOf(path, (so) => so.length >= 7);
    const [status, first, drops, second, , turns, rest] = events;
    assert.deepEqual(kindsOf(events).slice(0, 7), [
      ...['status', 'traffic', 'drops', 'traffic', 'drops', 'peers', 'traffic'],
    ]);
    assert.ok(status?.kind === 'status' && first?.kind === 'traffic' && drops?.kind === 'drops');
    assert.ok(second?.kind === 'traffic' && turns?.kind === 'peers' && rest?.kind === 'traffic');
    assert.equal(status.data.status.tunnels[0]?.peers?.length, 10_000);
    const passed = { rx: { packets: 1, bytes: 84 }, tx: { packets: 0, bytes: 0 } };
    assert.deepEqual(first.data.peers, { hub: busy.map((peer) => ({ peer, ...passed })) });
    assert.deepEqual(drops.data.peers, {
      hub: busy.map((peer) => ({ peer, drops: { 'inner-ttl': 1 } })),
    });
    assert.deepEqual(drops.data.tunnels, { hub: { 'inner-ttl': 2 } });
    const { timeMs: _, ...told } = turns.data;
    const downReason = 'it has no address';
    assert.deepEqual(told, { tunnels: { hub: busy.map((peer) => ({ peer, downReason })) } });
    assert.equal('peers' in rest.data, false);
    for (const event of [first, drops, second, turns, rest]) {
      assert.ok(encodeEvent(event).length < 350, JSON.stringify(event));
    }
  });
});

test('peers that come, go, change places or count anew are told as a new status', async () => {
  const same = hub(3, 1, [0]);
  const [first, second, third] = same.peers ?? [];
  assert.ok(first && second && third);
  const none = { packets: 0, bytes: 0 };
  for (const peers of [
    [first, second],
    [second, first, third],
    [{ ...first, rx: none }, second, third],
    [{ ...first, drops: {} }, second, third],
  ]) {
    const { router } = changingRouter((asked) => ({
      ...STATUS,
      tunnels: [asked === 0 ? same : { ...same, peers }],
    }));
    await withEvents(router, async (path) => {
      const events = await eventsOf(path, (so) => so.length >= 3);
      assert.deepEqual(kindsOf(events), ['status', 'status', 'traffic'], JSON.stringify(peers));
    });
  }
});

test('a tunnel that is called __proto__ is told like any other', async () => {
  const { router } = changingRouter((asked) => ({
    ...STATUS,
    tunnels: [{ ...UP, name: '__proto__', rx: { packets: asked, bytes: asked } }],
  }));
  await withEvents(router, async (path) => {
    const [, event] = await eventsOf(path, (so) => so.length >= 2);
    assert.ok(event?.kind === 'traffic');
    assert.deepEqual(Object.keys(event.data.tunnels), ['__proto__']);
  });
});

test('any number of clients cost one look at a time, and none costs none', async () => {
  const { router, asked } = changingRouter(() => STATUS);
  await withEvents(router, async (path) => {
    await sleep(3 * LOOK_MS);
    assert.equal(asked(), 0);
    const all = await Promise.all(
      Array.from({ length: 10 }, () => eventsOf(path, (so) => so.length >= 10)),
    );
    for (const events of all) assert.equal(events[0]?.kind, 'status');
    assert.ok(asked() < 40, `${asked()} looks for ten clients with ten events each`);
    assert.ok(
      await eventually(async () => {
        const before = asked();
        await sleep(3 * LOOK_MS);
        return asked() === before;
      }),
      'nobody looks when nobody watches',
    );
  });
});

test('a client too many is refused with the reason, and let in when another leaves', async () => {
  await withEvents(createRouter(), async (path) => {
    const ending = new AbortController();
    setMaxListeners(WATCHERS_MAX, ending.signal);
    let begun = 0;
    const watching = Array.from({ length: WATCHERS_MAX }, () => {
      let isFirst = true;
      return followText(path, '/v1/events', ending.signal, () => {
        if (isFirst) begun++;
        isFirst = false;
      });
    });
    assert.ok(await eventually(() => begun === WATCHERS_MAX));
    await assert.rejects(
      eventsOf(path, () => true),
      (error) => error instanceof Failure && /32 clients watch/.test(error.message),
    );
    ending.abort();
    await Promise.all(watching);
    assert.ok(
      await eventually(() =>
        eventsOf(path, (so) => so.length > 0).then(
          () => true,
          () => false,
        ),
      ),
    );
  });
});

/** Opens a stream and reads nothing of it. */
function stalledClient(
  path: string,
  target = '/v1/events',
): {
  readonly isClosed: () => boolean;
  readonly end: () => void;
} {
  let isClosed = false;
  const socket = createConnection(path, () =>
    socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
  );
  socket.on('error', () => {});
  socket.once('close', () => {
    isClosed = true;
  });
  socket.pause();
  // A paused socket hears of nothing: what the kernel says when it is written to tells.
  const timer = setInterval(() => socket.write('\r\n'), LOOK_MS);
  socket.once('close', () => clearInterval(timer));
  return { isClosed: () => isClosed, end: () => socket.destroy() };
}

test('a client that takes nothing is cut off: for the bytes that wait for it, or for its time', async () => {
  // Each look is half a megabyte of other tunnels: more than the kernel keeps is soon there.
  const tunnels = Array.from({ length: 2000 }, (_, index) => ({ ...UP, name: `gre${index}` }));
  for (const patience of [
    { bytes: 2 * 1024 * 1024, ms: 60_000 },
    { bytes: 1024 * 1024 * 1024, ms: 300 },
  ]) {
    const { router } = changingRouter((asked) => ({ ...STATUS, codec: `${asked}`, tunnels }));
    await withEvents(
      router,
      async (path) => {
        const stalled = stalledClient(path);
        const before = process.memoryUsage().arrayBuffers;
        assert.ok(await eventually(stalled.isClosed, 8000), JSON.stringify(patience));
        const grown = process.memoryUsage().arrayBuffers - before;
        assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes`);
        stalled.end();
        // Others are served as before.
        const events = await eventsOf(path, (so) => so.length >= 2);
        assert.deepEqual(kindsOf(events), ['status', 'status']);
      },
      patience,
    );
  }
});

test('dropped packets are told and explained to those who ask, while nobody else traces', async () => {
  const traced = tracedRouter();
  await withEvents(traced.router, async (path) => {
    const plain = await eventsOf(path, (so) => so.length >= 3);
    assert.deepEqual(kindsOf(plain), ['status', 'traffic', 'traffic']);
    assert.deepEqual(traced.asked, []);
    const events = await eventsOf(
      path,
      (so) => so.some(({ kind }) => kind === 'packet'),
      '?packets=1',
    );
    const packet = events.find((one) => one.kind === 'packet');
    assert.ok(packet?.kind === 'packet');
    assert.equal(packet.data.reason, 'no-tunnel');
    assert.equal(packet.data.stages.at(-1)?.passed, false);
    assert.deepEqual(traced.asked, [{ tunnel: null, dropsOnly: true, limit: 10, yields: true }]);
    assert.ok(await eventually(() => !traced.isOpen()), 'the trace ends with who asked for it');
  });
  const busy: Router = {
    ...createRouter(),
    trace: () => {
      throw new Failure(EXIT.failed, 'packets are traced already');
    },
  };
  await withEvents(busy, async (path) => {
    const isTold = (event: LiveEvent): boolean => event.kind === 'packets' && !event.data.isShown;
    await eventsOf(path, (so) => so.some(isTold), '?packets=1');
  });
});

test('an answer that nobody takes is given up', async () => {
  const large = route({
    ...{ method: 'GET', path: '/large', summary: 'a test', access: 'open', takes: NOTHING },
    answer: { description: 'more than the kernel keeps', schema: z.object({}) },
    handle: () => ({ text: 'x'.repeat(10_000_000) }),
  });
  const app = createApp([large], () => createRouter(), new Page(), 2000);
  const server = createDoor(app, { kind: 'socket' }, 10);
  const path = join(folder, `${++count}.sock`);
  await claimSocket(server, path);
  try {
    const stalled = stalledClient(path, '/large');
    assert.equal((await requestFrom(path, 'GET', '/large')).body.length, 10_000_011);
    assert.ok(await eventually(stalled.isClosed, 8000));
    stalled.end();
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test('HEAD of a stream ends, and a router that is starting says so', async () => {
  await withEvents(createRouter(), async (path) => {
    const { status, body } = await requestFrom(path, 'HEAD', '/v1/events');
    assert.deepEqual([status, body], [200, '']);
  });
});
