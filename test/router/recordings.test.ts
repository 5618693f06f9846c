// A router in memory that records and is captured: what is kept of its packets, and that the counters do not notice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIRECTION_DECAP, DIRECTION_ENCAP } from '../../asm/layout.js';
import {
  REASON_INNER_SRC_SPOOF,
  REASON_NO_TUNNEL,
  REASON_NONE,
  REASON_QUEUE_FULL,
} from '../../asm/reason.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import type { RecordedPacket } from '../../src/ring/recorded.js';
import { createMemoryRouter, type MemoryRouter } from '../../src/router/memory.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { eventually } from '../support/lab.js';
import { ipv4 } from '../support/packets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const ENDS = { a: '192.0.2.1', b: '192.0.2.2' };
const OUTER_LENGTH = 28;
/** What a recorder keeps of each kind. */
const KEPT = 16;
const SNAP = 128;

function tunnelFrom(local: string, remote: string, key: number, name = 'gre1'): Tunnel {
  return { ...PLAIN_GRE, name, local, remote, keyIn: key, keyOut: key, mtu: 1472 };
}

async function withPair(
  near: readonly Tunnel[],
  far: readonly Tunnel[],
  use: (a: MemoryRouter, b: MemoryRouter) => Promise<void>,
) {
  const a = createMemoryRouter(near);
  const b = createMemoryRouter(far);
  MemoryUnderlay.join(a.underlay, b.underlay);
  try {
    await use(a, b);
  } finally {
    await Promise.all([a.stop(), b.stop()]);
  }
}

/** Tunnels with keys 7 and 8 at both ends. */
const near = [tunnelFrom(ENDS.a, ENDS.b, 7), tunnelFrom(ENDS.a, ENDS.b, 8, 'gre2')];
const far = [tunnelFrom(ENDS.b, ENDS.a, 7), tunnelFrom(ENDS.b, ENDS.a, 8, 'gre2')];

function inner(identification: number, size = 200): Uint8Array {
  const addresses = { source: '10.1.0.1', destination: '10.2.0.1' };
  return ipv4({ ...addresses, identification, payload: new Uint8Array(size).fill(7) });
}

/** Sends packets, and waits until the router has moved them all, and whoever is on its cable. */
async function send(router: MemoryRouter, device: string, ...packets: Uint8Array[]): Promise<void> {
  const tun = router.devices.get(device);
  const received = async (): Promise<number> => (await router.status()).received.device;
  const before = await received();
  for (const packet of packets) tun?.send(packet);
  assert.ok(await eventually(async () => (await received()) === before + packets.length));
  await new Promise((resolve) => setTimeout(resolve, 50));
}

const numbered = (from: number, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => inner(from + index));

function lastOf(router: MemoryRouter, tunnel: string): RecordedPacket[] {
  return [...router.recorded({ tunnel }).batches].flat();
}

/** Identification of the inner packet. */
function numberOf({ bytes, inner: start }: RecordedPacket): number {
  return ((bytes[start + 4] ?? 0) << 8) | (bytes[start + 5] ?? 0);
}

test('both ends keep the first bytes of a packet with what became of it, and when', async () => {
  await withPair(near, far, async (a, b) => {
    const beforeMs = Date.now();
    await send(a, 'gre1', inner(1));
    const [sent, ...more] = lastOf(a, 'gre1');
    const [received] = lastOf(b, 'gre1');
    assert.ok(sent && received && more.length === 0);
    const length = 220 + OUTER_LENGTH;
    for (const one of [sent, received]) {
      assert.deepEqual(
        { ...one, bytes: one.bytes.slice(OUTER_LENGTH) },
        {
          ...{ ...one, record: 1, reason: REASON_NONE, length, inner: OUTER_LENGTH, packets: 1 },
          bytes: inner(1).slice(0, SNAP - OUTER_LENGTH),
        },
      );
      assert.ok(one.timeMs >= beforeMs - 5 && one.timeMs <= Date.now() + 5, `${one.timeMs}`);
      assert.ok(one.codecNs === 0 && (one.endNs ?? 0) > 0); // the codec is not timed for one packet
    }
    assert.equal(sent.direction, DIRECTION_ENCAP);
    assert.equal(received.direction, DIRECTION_DECAP);
    assert.deepEqual(sent.bytes, received.bytes); // nothing on the way changes it
  });
});

test('of a burst the last ones are there, in their order, whatever the batches were', async () => {
  await withPair(near, far, async (a, b) => {
    for (const count of [5, 16, 17, 63, 64, 200]) {
      await send(a, 'gre1', ...numbered(1000, count));
      const expected = Array.from({ length: Math.min(count, KEPT) }, (_, n) => 1000 + count - n);
      for (const router of [a, b]) {
        const numbers = lastOf(router, 'gre1').map(numberOf);
        assert.deepEqual(
          numbers
            .slice(-expected.length)
            .reverse()
            .map((n) => n + 1),
          expected,
        );
        assert.ok(numbers.length <= KEPT);
      }
    }
    const { tunnels } = await b.status();
    assert.equal(tunnels[0]?.rx.packets, 5 + 16 + 17 + 63 + 64 + 200);
  });
});

test("a quiet tunnel's packets outlive a busy one's, and drops outlive what is forwarded", async () => {
  const strict: Tunnel[] = [
    { ...PLAIN_GRE, ...far[0], allow: [{ address: '10.1.0.0', bits: 32 }] },
    ...far.slice(1),
  ];
  const allowed = ipv4({ source: '10.1.0.0', destination: '10.2.0.1', identification: 9 });
  await withPair(near, strict, async (a, b) => {
    await send(a, 'gre2', inner(1), inner(2));
    await send(a, 'gre1', inner(3));
    await send(a, 'gre1', ...Array(500).fill(allowed));
    assert.deepEqual(lastOf(b, 'gre2').map(numberOf), [1, 2]);
    const last = lastOf(b, 'gre1');
    assert.equal(last.length, 1 + KEPT);
    assert.equal(last[0]?.reason, REASON_INNER_SRC_SPOOF);
    assert.deepEqual(last[0]?.bytes.slice(OUTER_LENGTH), inner(3).slice(0, SNAP - OUTER_LENGTH));
    assert.deepEqual(new Set(last.slice(1).map(({ reason }) => reason)), new Set([REASON_NONE]));
  });
});

test('packets of no tunnel are kept, too', async () => {
  await withPair([tunnelFrom(ENDS.a, ENDS.b, 9)], far, async (a, b) => {
    await send(a, 'gre1', inner(4));
    const [kept, ...more] = [...b.recorded('none').batches].flat();
    assert.ok(kept && more.length === 0);
    assert.deepEqual([kept.record, kept.reason, kept.inner], [0, REASON_NO_TUNNEL, 0]);
    assert.deepEqual([...b.recorded('all').batches].length, 1);
    assert.deepEqual(lastOf(b, 'gre1'), []);
  });
});

test('what the device refuses is among the drops, once', async () => {
  await withPair(near, far, async (a, b) => {
    await send(a, 'gre1', ...numbered(0, 1000)); // as many as its queue holds
    await send(a, 'gre1', ...numbered(1000, 5));
    assert.deepEqual((await b.status()).tunnels[0]?.drops, { 'queue-full': 5 });
    const last = lastOf(b, 'gre1');
    const refused = last.filter(({ reason }) => reason !== REASON_NONE);
    assert.deepEqual(refused.map(numberOf), [1000, 1001, 1002, 1003, 1004]);
    assert.deepEqual(new Set(refused.map(({ reason }) => reason)), new Set([REASON_QUEUE_FULL]));
    assert.equal(new Set(last.map(numberOf)).size, last.length);
  });
});

test('a capture has whole packets of one tunnel, and ends with what is asked for', async () => {
  await withPair(near, far, async (a, b) => {
    await send(a, 'gre1', inner(1));
    const capture = b.capture({ tunnel: 'gre1', snap: 262_144 });
    await send(a, 'gre1', inner(2, 1400), inner(3, 1400));
    await send(a, 'gre2', inner(4));
    const { packets, lost } = capture.read(1 << 20);
    assert.deepEqual(packets.map(numberOf), [2, 3]);
    assert.deepEqual(packets[0]?.bytes.slice(OUTER_LENGTH), inner(2, 1400));
    assert.deepEqual(lost, { encap: 0, decap: 0 });
    assert.deepEqual(capture.subjectOf(1), { name: 'gre1', isEthernet: false });
    capture.close();
    await send(a, 'gre1', inner(5));
    assert.deepEqual(capture.read(1 << 20).packets, []);
    assert.equal((await b.status()).tunnels[0]?.rx.packets, 4);
  });
});

test('a capture that nobody reads loses packets, counts each, and stops none', async () => {
  await withPair(near, far, async (a, b) => {
    const capture = b.capture({ tunnel: null, snap: 262_144 });
    const count = 4000;
    for (let sent = 0; sent < count; sent += 500) {
      await send(a, 'gre1', ...Array.from({ length: 500 }, (_, n) => inner(sent + n, 1400)));
      while (b.devices.get('gre1')?.take() !== undefined);
    }
    const first = capture.read(1 << 30);
    assert.equal((await b.status()).tunnels[0]?.rx.packets, count);
    assert.equal(first.packets.length + first.lost.decap, count);
    assert.ok(first.lost.decap > 0 && first.packets.length > 2000, `${first.packets.length}`);
    // What is there are the first ones, unbroken.
    assert.deepEqual(
      first.packets.map(numberOf),
      first.packets.map((_, n) => n),
    );
    await send(a, 'gre1', inner(1, 1400));
    assert.deepEqual(capture.read(1 << 30).packets.map(numberOf), [1]);
  });
});

test('a capture of 60 bytes of each has the length of all', async () => {
  await withPair(near, far, async (a, b) => {
    const capture = b.capture({ tunnel: 'gre2', snap: 60 });
    await send(a, 'gre2', inner(2, 1000));
    const [packet] = capture.read(1000).packets;
    assert.deepEqual([packet?.bytes.length, packet?.length], [60, 1020 + OUTER_LENGTH]);
    capture.close();
  });
});

test('packets of peers are those of their tunnel, in dumps and captures', async () => {
  const hub: Tunnel = {
    ...tunnelFrom(ENDS.a, 'any', 7),
    peers: [{ remote: ENDS.b, routes: [{ address: '10.2.0.0', bits: 16 }] }],
  };
  await withPair([hub, ...near.slice(1)], far, async (a) => {
    const capture = a.capture({ tunnel: 'gre1', snap: 100 });
    await send(a, 'gre1', inner(1));
    await send(a, 'gre2', inner(2));
    const { packets } = capture.read(1 << 20);
    assert.deepEqual(
      packets.map((one) => [one.record, numberOf(one)]),
      [[3, 1]],
    );
    assert.equal(capture.subjectOf(3)?.name, 'gre1');
    assert.deepEqual(lastOf(a, 'gre1').map(numberOf), [1]);
    capture.close();
  });
});

test('one capture at a time, and all of it of tunnels that are there', async () => {
  await withPair(near, far, async (a) => {
    const fails = (exitCode: number, message: RegExp) => (error: unknown) =>
      error instanceof Failure && error.exitCode === exitCode && message.test(error.message);
    const order = { tunnel: 'x', snap: 128 };
    assert.throws(() => a.capture(order), fails(EXIT.noInput, /no tunnel "x"/));
    assert.throws(() => a.recorded({ tunnel: 'x' }), fails(EXIT.noInput, /no tunnel "x"/));
    const first = a.capture({ ...order, tunnel: null });
    assert.throws(() => a.capture({ ...order, tunnel: null }), fails(EXIT.failed, /already/));
    first.close();
    first.close();
    a.capture({ ...order, tunnel: null }).close();
  });
});
