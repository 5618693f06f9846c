// A router in memory that is traced: what the reader gets, and that the counters do not notice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tunnel } from '../../src/packet/tunnel.js';
import type { TracedPacket } from '../../src/router/contract.js';
import { createMemoryRouter, type MemoryRouter } from '../../src/router/memory.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { eventually } from '../support/lab.js';
import { ipv4 } from '../support/packets.js';

const ENDS = { a: '192.0.2.1', b: '192.0.2.2' };

function tunnelFrom(local: string, remote: string, keyOut = 7): Tunnel {
  return {
    ...{ name: 'gre1', mode: 'gre', local, remote, keyIn: 7, keyOut, ttl: 64, tos: 0 },
    ...{ pmtudisc: true, mtu: 1472, link: 0, allow: 'any', addresses: [] },
    ...{ checksumOut: false, sequenceIn: false, sequenceOut: false },
  } as Tunnel;
}

/** Two routers on one cable, of which the first sends with `key`. */
async function withPair(key: number, use: (a: MemoryRouter, b: MemoryRouter) => Promise<void>) {
  const a = createMemoryRouter([tunnelFrom(ENDS.a, ENDS.b, key)]);
  const b = createMemoryRouter([tunnelFrom(ENDS.b, ENDS.a)]);
  MemoryUnderlay.join(a.underlay, b.underlay);
  try {
    await use(a, b);
  } finally {
    await Promise.all([a.stop(), b.stop()]);
  }
}

const INNER = ipv4({ source: '10.1.0.1', destination: '10.2.0.1', payload: new Uint8Array(200) });

/** Sends from one router to the other, and waits until both are through with it. */
async function send(from: MemoryRouter, to: MemoryRouter, count: number): Promise<void> {
  const before = (await to.status()).received.underlay;
  const device = from.devices.get('gre1');
  for (let sent = 0; sent < count; sent++) device?.send(INNER);
  const isThrough = async (): Promise<boolean> => {
    const { received, tunnels, drops } = await to.status();
    const dropped = Object.values(drops).reduce((sum, one) => sum + one, 0);
    const done = (tunnels[0]?.rx.packets ?? 0) + dropped;
    return received.underlay === before + count && done === received.underlay;
  };
  assert.ok(await eventually(isThrough), `${count} packets pass`);
}

const ALL = { tunnel: null, dropsOnly: false, limit: 10_000 };

test('both ends of a tunnel show each packet as it came, with what became of it', async () => {
  await withPair(7, async (a, b) => {
    const [near, far] = [a.trace(ALL), b.trace(ALL)];
    await send(a, b, 3);
    const sent = near.read().packets;
    const received = far.read().packets;
    const shape = ({ direction, record, reason, length }: TracedPacket) => ({
      ...{ direction, record, reason, length },
    });
    const ok = { record: 1, reason: null };
    assert.deepEqual(sent.map(shape), Array(3).fill({ ...ok, direction: 'encap', length: 220 }));
    assert.deepEqual(
      received.map(shape),
      Array(3).fill({ ...ok, direction: 'decap', length: 248 }),
    );
    assert.deepEqual(sent[0]?.bytes, INNER.slice(0, 128));
    assert.deepEqual(received[0]?.bytes.slice(28), INNER.slice(0, 100));
    near.close();
    far.close();
    await send(a, b, 2);
    assert.deepEqual(near.read(), { packets: [], missed: 0 });
    assert.equal((await b.status()).tunnels[0]?.rx.packets, 5);
  });
});

test('drops alone and one tunnel alone can be asked for', async () => {
  await withPair(8, async (a, b) => {
    const near = a.trace({ ...ALL, dropsOnly: true });
    const far = b.trace({ ...ALL, dropsOnly: true });
    await send(a, b, 2);
    assert.deepEqual(near.read(), { packets: [], missed: 0 });
    assert.deepEqual(
      far.read().packets.map(({ reason, record }) => [reason, record]),
      [
        ['no-tunnel', 0],
        ['no-tunnel', 0],
      ],
    );
    far.close();
    const named = b.trace({ ...ALL, tunnel: 'gre1' });
    await send(a, b, 2);
    assert.deepEqual(named.read(), { packets: [], missed: 0 });
    assert.deepEqual((await b.status()).drops, { 'no-tunnel': 4 });
  });
});

test('what comes faster than asked for is counted, and changes no counter', async () => {
  await withPair(7, async (a, b) => {
    const far = b.trace({ ...ALL, limit: 20 });
    const count = 1000;
    await send(a, b, count);
    let packets = 0;
    let missed = 0;
    const isAll = await eventually(() => {
      const found = far.read();
      packets += found.packets.length;
      missed += found.missed;
      return packets + missed === count;
    });
    assert.ok(isAll, `${packets} and ${missed} missed of ${count}`);
    assert.ok(packets >= 1 && packets <= 200, `${packets} of 20 a second`);
    assert.equal((await b.status()).tunnels[0]?.rx.packets, count);
  });
});

test('one trace at a time, and of a tunnel that is there', async () => {
  await withPair(7, async (a) => {
    const fails = (exitCode: number, message: RegExp) => (error: unknown) =>
      error instanceof Failure && error.exitCode === exitCode && message.test(error.message);
    assert.throws(() => a.trace({ ...ALL, tunnel: 'x' }), fails(EXIT.noInput, /no tunnel "x"/));
    const first = a.trace(ALL);
    assert.throws(() => a.trace(ALL), fails(EXIT.failed, /traced already/));
    first.close();
    first.close();
    a.trace(ALL).close();
  });
});

test('a trace that yields ends when another is asked for, and is refused while that is open', async () => {
  await withPair(7, async (a, b) => {
    const quiet = { ...ALL, yields: true };
    const watcher = b.trace(quiet);
    assert.equal(watcher.isEnded(), false);
    const other = b.trace(ALL);
    assert.equal(watcher.isEnded(), true);
    assert.throws(() => b.trace(quiet), /traced already/);
    await send(a, b, 2);
    assert.deepEqual(watcher.read(), { packets: [], missed: 0 });
    watcher.close(); // the lanes are the other's
    await send(a, b, 2);
    let seen = 0;
    assert.ok(
      await eventually(() => {
        seen += other.read().packets.length;
        return seen === 4;
      }),
    );
    other.close();
    const again = b.trace(quiet);
    assert.throws(() => b.trace(quiet), /traced already/);
    again.close();
    assert.equal((await b.status()).tunnels[0]?.rx.packets, 4);
  });
});
