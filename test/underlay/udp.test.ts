// The underlay of gre-udp on loopback: what one end sends, the other receives, packet by packet and in order.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SLOT_COUNT } from '../../asm/layout.js';
import { REASON_NONE, REASON_TOO_BIG, REASON_TUNNEL_DOWN } from '../../asm/reason.js';
import { readIpv4 } from '../../src/packet/ipv4.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Ring } from '../../src/ring/ring.js';
import { Failure } from '../../src/sys/failure.js';
import { CombinedUnderlay } from '../../src/underlay/combined.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { UdpUnderlay } from '../../src/underlay/udp.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';
import { greUdp, internetChecksum, ipv4 } from '../support/packets.js';

const noNamespace = enterOwnNamespace();
const SENDER = '127.0.0.1';
const RECEIVER = '127.0.0.2';
const HEAD = 28;

interface Fields {
  readonly size?: number;
  readonly tos?: number;
  readonly ttl?: number;
  readonly fragment?: number;
  readonly sourcePort?: number;
  /** Bytes of the packet that lie in the first of two pieces. */
  readonly cut?: number;
}

/** An outer packet whose payload is `size` bytes of `mark`. */
function packet(mark: number, { size = 100, ...fields }: Fields = {}): Uint8Array {
  const { sourcePort = 50_000, tos = 0, ttl = 64, fragment = 0x4000 } = fields;
  const payload = new Uint8Array(size).fill(mark);
  const datagram = greUdp({ source: SENDER, destination: RECEIVER, sourcePort, payload });
  const outer = { source: SENDER, destination: RECEIVER, protocol: 17, tos, ttl, fragment };
  return ipv4({ ...outer, payload: datagram });
}

/** Both rings of a dataplane's memory, filled and settled by the test in the codec's stead. */
class Bench {
  readonly underlay: UdpUnderlay;
  readonly memory: WebAssembly.Memory;
  readonly encap: Ring;
  readonly decap: Ring;
  refused = 0;
  readonly #bytes: Uint8Array;

  constructor(local: string) {
    const plan = planMemory(1);
    const [lane] = plan.lanes;
    this.memory = createMemory(plan);
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.encap = new Ring(this.memory, lane.encap);
    this.decap = new Ring(this.memory, lane.decap);
    this.underlay = new UdpUnderlay(this.memory, {
      locals: [local],
      links: new Map(),
      isShared: false,
      linkOf: () => 0,
      onSegmentationRefused: () => this.refused++,
    });
  }

  /** Sends packets as if the codec had processed them; returns the reasons they have then. */
  send(packets: readonly Uint8Array[], cut = 0, reasons: readonly number[] = []): number[] {
    const from = this.encap.filled;
    for (const [n, bytes] of packets.entries()) {
      const position = (from + n) >>> 0;
      const address = this.encap.packetAddress(position);
      const first = cut === 0 ? bytes.length : cut;
      this.#bytes.set(bytes.subarray(0, first), address);
      this.#bytes.set(bytes.subarray(first), address + 4000);
      this.encap.fill(position, first, 1, 0);
      this.encap.setPayload(position, address + 4000, bytes.length - first);
      this.encap.setReason(position, reasons[n] ?? REASON_NONE);
    }
    const to = (from + packets.length) >>> 0;
    this.encap.restore(to, to, from);
    this.underlay.send(this.encap, from, to);
    this.encap.restore(to, to, to);
    return packets.map((_, n) => this.encap.reason((from + n) >>> 0));
  }

  /** Receives until `count` packets are there or a second has passed. `calls` get how many each call brought. */
  async receive(count: number, calls: number[] = []): Promise<Uint8Array[]> {
    const packets: Uint8Array[] = [];
    for (let tries = 0; tries < 100 && packets.length < count; tries++) {
      const from = this.decap.filled;
      const received = this.underlay.receive(this.decap, 64);
      assert.equal(this.decap.filled, (from + received) >>> 0);
      for (let n = 0; n < received; n++) packets.push(this.#packet((from + n) >>> 0));
      this.decap.restore(this.decap.filled, this.decap.filled, this.decap.filled);
      if (received === 0) await sleep(10);
      else calls.push(received);
    }
    return packets;
  }

  #packet(position: number): Uint8Array {
    const ring = this.decap;
    const [head, payload] = [ring.processedAddress(position), ring.processedPayload(position)];
    return Uint8Array.from([
      ...this.#bytes.subarray(head, head + ring.length(position)),
      ...this.#bytes.subarray(payload, payload + ring.payloadLength(position)),
    ]);
  }
}

async function withPair(use: (a: Bench, b: Bench) => Promise<void>): Promise<void> {
  const a = new Bench(SENDER);
  const b = new Bench(RECEIVER);
  try {
    await use(a, b);
  } finally {
    a.underlay.close();
    b.underlay.close();
  }
}

/** What arrived is `sent`, whatever port the flow was given, in headers that are right. */
function assertArrived(arrived: readonly Uint8Array[], sent: readonly Uint8Array[]): void {
  assert.equal(arrived.length, sent.length);
  for (const [n, bytes] of arrived.entries()) {
    const wanted = sent[n] ?? new Uint8Array(0);
    assert.deepEqual(bytes.subarray(HEAD), wanted.subarray(HEAD), `payload ${n}`);
    const [header, original] = [readIpv4(bytes), readIpv4(wanted)];
    assert.equal(internetChecksum(bytes.subarray(0, 20)), 0);
    assert.deepEqual(
      { ...header, dontFragment: false, fragmentOffset: 0 },
      { ...original, dontFragment: false, fragmentOffset: 0 },
    );
    const udp = new DataView(bytes.buffer, bytes.byteOffset + 20);
    assert.ok(udp.getUint16(0) >= 49152);
    assert.equal(udp.getUint16(2), 4754);
    assert.equal(udp.getUint16(4), bytes.length - 20);
  }
}

const skip = noNamespace;

test('packets of a flow, the last one shorter, travel as one message and arrive one by one', {
  skip,
}, async () => {
  await withPair(async (a, b) => {
    const sizes = [...new Array<number>(40).fill(1400), 300];
    const sent = sizes.map((size, n) => packet(n, { size }));
    assert.deepEqual(new Set(a.send(sent)), new Set([REASON_NONE]));
    const calls: number[] = [];
    assertArrived(await b.receive(sent.length, calls), sent);
    assert.deepEqual(calls, [41]);
  });
});

test('packets in two pieces arrive in one', { skip }, async () => {
  await withPair(async (a, b) => {
    const sent = Array.from({ length: 50 }, (_, n) => packet(n, { size: 900 }));
    a.send(sent, 60);
    assertArrived(await b.receive(sent.length), sent);
  });
});

test('a change of size, TOS, TTL or DF begins another message and keeps the order', {
  skip,
}, async () => {
  await withPair(async (a, b) => {
    const shapes: Fields[] = [
      {},
      { tos: 1 },
      { tos: 1 },
      { tos: 3, size: 40 },
      { size: 200 },
      { size: 100 },
      { size: 200 },
      { ttl: 9 },
      { ttl: 9, fragment: 0 },
      { fragment: 0 },
      {},
      { size: 1 },
    ];
    const sent = shapes.map((fields, n) => packet(n, fields));
    assert.deepEqual(new Set(a.send(sent)), new Set([REASON_NONE]));
    assertArrived(await b.receive(sent.length), sent);
  });
});

test('packets of several flows all arrive, each flow in order and from one port', {
  skip,
}, async () => {
  await withPair(async (a, b) => {
    const flows = [49152, 49153, 60_000];
    const sent = Array.from({ length: 60 }, (_, n) =>
      packet(n, { sourcePort: flows[n % flows.length] as number }),
    );
    for (let round = 0; round < 3; round++) {
      a.send(sent);
      const arrived = await b.receive(sent.length);
      assert.equal(arrived.length, sent.length);
      for (const [flow] of flows.entries()) {
        const ofFlow = arrived.filter((bytes) => (bytes[HEAD] as number) % flows.length === flow);
        assert.deepEqual(
          ofFlow.map((bytes) => bytes[HEAD]),
          Array.from({ length: 20 }, (_, n) => n * flows.length + flow),
        );
        const ports = ofFlow.map((bytes) => ((bytes[20] as number) << 8) | (bytes[21] as number));
        assert.equal(new Set(ports).size, 1);
      }
    }
  });
});

test('a packet with a reason is not sent, and one that is too large for the way gets its own', {
  skip,
}, async () => {
  await withPair(async (a, b) => {
    ip('link set lo mtu 1500');
    try {
      const sent = [packet(1), packet(2), packet(3, { size: 1600 }), packet(4, { size: 1600 })];
      const reasons = a.send(sent, 0, [REASON_NONE, REASON_TUNNEL_DOWN]);
      assert.deepEqual(reasons, [REASON_NONE, REASON_TUNNEL_DOWN, REASON_TOO_BIG, REASON_TOO_BIG]);
      assertArrived(await b.receive(1), [sent[0] as Uint8Array]);
      assert.equal(a.refused, 0);
    } finally {
      ip('link set lo mtu 65536');
    }
  });
});

test('an empty datagram is one packet, and so is one from a port below the range', {
  skip,
}, async () => {
  await withPair(async (_a, b) => {
    const stranger = createSocket('udp4');
    stranger.bind(4000, SENDER);
    await once(stranger, 'listening');
    stranger.send(new Uint8Array(0), 4754, RECEIVER);
    stranger.send(Uint8Array.of(7), 4754, RECEIVER);
    const [empty, single] = await b.receive(2);
    stranger.close();
    assert.equal(empty?.length, HEAD);
    assert.deepEqual(single?.subarray(20), Uint8Array.of(0x0f, 0xa0, 0x12, 0x92, 0, 9, 0, 0, 7));
  });
});

test('a full ring takes nothing more, and what waits comes later', { skip }, async () => {
  await withPair(async (a, b) => {
    const sent = Array.from({ length: 64 }, (_, n) => packet(n, { size: 50 }));
    for (let n = 0; n < 5; n++) a.send(sent);
    let taken = 0;
    for (let n = 0; n < 5; n++) taken += b.underlay.receive(b.decap, 64);
    assert.ok(taken <= SLOT_COUNT);
    assert.equal(taken, 192); // room for one message more is kept
    b.decap.restore(0, 0, 0);
    assert.equal((await b.receive(128)).length, 128);
  });
});

test('a port that is taken is a Failure that names it', { skip }, async () => {
  const other = createSocket('udp4');
  other.bind(4754, SENDER);
  await once(other, 'listening');
  assert.throws(
    () => new Bench(SENDER),
    (error) =>
      error instanceof Failure &&
      /UDP port 4754 of 127\.0\.0\.1: EADDRINUSE/.test(error.message) &&
      error.hint !== undefined,
  );
  other.close();
});

test('beside another underlay each gets the packets of its tunnels, and both are heard', {
  skip,
}, async () => {
  await withPair(async (a, b) => {
    const plain = new MemoryUnderlay(a.memory);
    const plainSent: number[] = [];
    plain.onSent = (bytes) => plainSent.push(bytes[HEAD] as number);
    const both = new CombinedUnderlay(plain, a.underlay, (record) => record === 2);
    assert.equal(both.name, 'memory');
    assert.deepEqual(both.fds, a.underlay.fds);
    const bytes = new Uint8Array(a.memory.buffer);
    const records = [1, 2, 2, 1, 2];
    for (const [n, record] of records.entries()) {
      const sent = packet(n);
      bytes.set(sent, a.encap.packetAddress(n));
      a.encap.fill(n, sent.length, record, 0);
    }
    a.encap.restore(5, 5, 0);
    both.send(a.encap, 0, 5);
    assert.deepEqual(plainSent, [0, 3]);
    assert.deepEqual(
      (await b.receive(3)).map((packet) => packet[HEAD]),
      [1, 2, 4],
    );

    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 100; n++) plain.inject(packet(n));
      const stranger = createSocket('udp4');
      stranger.send(Uint8Array.of(7), 4754, SENDER);
      await once(stranger, 'listening').then(() => sleep(20));
      stranger.close();
    }
    const counts = [1, 2, 3, 4].map(() => {
      const count = both.receive(a.decap, 64);
      a.decap.restore(0, 0, 0);
      return count;
    });
    assert.equal(
      counts.reduce((sum, count) => sum + count),
      202,
    );
  });
});
