// The underlay of gre-udp on loopback, over either version of IP: what one end sends, the other receives, packet by
// packet and in order.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SLOT_COUNT } from '../../../asm/layout.js';
import {
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TUNNEL_DOWN,
  REASON_TX_ERROR,
} from '../../../asm/reason.js';
import { readIpv4 } from '../../../src/packet/ipv4.js';
import { addressBytes } from '../../../src/sys/address-bytes.js';
import { Failure } from '../../../src/sys/failure.js';
import { CombinedUnderlay } from '../../../src/underlay/combined.js';
import { MemoryUnderlay } from '../../../src/underlay/memory.js';
import { UdpUnderlay } from '../../../src/underlay/udp/udp.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import { greUdp, internetChecksum, ipv4, ipv6 } from '../../support/packets.js';
import { RingBench, type SendOptions } from '../../support/ring-bench.js';

const noNamespace = enterOwnNamespace();
if (!noNamespace) for (const n of [1, 2]) ip(`address add fd00::${n}/128 dev lo nodad`);

interface Family {
  readonly version: 4 | 6;
  readonly sender: string;
  readonly receiver: string;
  /** Bytes of IP and UDP header. */
  readonly head: number;
}

const IPV4: Family = { version: 4, sender: '127.0.0.1', receiver: '127.0.0.2', head: 28 };
const IPV6: Family = { version: 6, sender: 'fd00::1', receiver: 'fd00::2', head: 48 };
const FAMILIES = [IPV4, IPV6];

interface Fields {
  readonly size?: number;
  readonly tos?: number;
  readonly ttl?: number;
  readonly fragment?: number;
  readonly sourcePort?: number;
}

/** An outer packet whose payload is `size` bytes of `mark`. */
function packet(mark: number, { size = 100, ...fields }: Fields = {}, family = IPV4): Uint8Array {
  const { sourcePort = 50_000, tos = 0, ttl = 64, fragment = 0x4000 } = fields;
  const { sender: source, receiver: destination } = family;
  const payload = new Uint8Array(size).fill(mark);
  if (family.version === 4) {
    const datagram = greUdp({ source, destination, sourcePort, payload });
    const outer = { source, destination, protocol: 17, tos, ttl, fragment };
    return ipv4({ ...outer, payload: datagram });
  }
  const digits = (text: string): string => Buffer.from(addressBytes(text)).toString('hex');
  return ipv6({
    ...{ source: digits(source), destination: digits(destination), nextHeader: 17 },
    ...{ trafficClass: tos, hopLimit: ttl },
    // The kernel writes a header of its own: what the checksum says does not matter.
    payload: greUdp({ source: '0.0.0.0', destination: '0.0.0.0', sourcePort, payload }),
  });
}

/** Both rings of a dataplane's memory, and the underlay between them. */
class Bench extends RingBench {
  readonly underlay: UdpUnderlay;
  refused = 0;

  constructor(...locals: string[]) {
    super();
    this.underlay = new UdpUnderlay(this.memory, {
      locals: locals.map((address) => ({ address, link: 0 })),
      ...{ groups: [], links: new Map<number, string>(), isShared: false, linkOf: () => 0 },
      onSegmentationRefused: () => this.refused++,
    });
  }

  sendAll(packets: readonly Uint8Array[], options: SendOptions = {}): number[] {
    return this.send(this.underlay, packets, options);
  }

  /** Receives until `count` packets are there or a second has passed. `calls` get how many each call brought. */
  async receiveAll(count: number, calls: number[] = []): Promise<Uint8Array[]> {
    const packets: Uint8Array[] = [];
    for (let tries = 0; tries < 100 && packets.length < count; tries++) {
      const received = this.receiveNow(this.underlay);
      packets.push(...received.map(({ bytes }) => bytes));
      if (received.length === 0) await sleep(10);
      else calls.push(received.length);
    }
    return packets;
  }
}

async function withPair(family: Family, use: (a: Bench, b: Bench) => Promise<void>): Promise<void> {
  const a = new Bench(family.sender);
  const b = new Bench(family.receiver);
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
    const { version, head } = bytes[0] === 0x45 ? IPV4 : IPV6;
    assert.deepEqual(bytes.subarray(head), wanted.subarray(head), `payload ${n}`);
    if (version === 4) {
      assert.equal(internetChecksum(bytes.subarray(0, 20)), 0);
      assert.deepEqual(
        { ...readIpv4(bytes), dontFragment: false, fragmentOffset: 0 },
        { ...readIpv4(wanted), dontFragment: false, fragmentOffset: 0 },
      );
    } else {
      assert.deepEqual(bytes.subarray(0, 40), wanted.subarray(0, 40), `header ${n}`);
    }
    const udp = new DataView(bytes.buffer, bytes.byteOffset + head - 8);
    assert.ok(udp.getUint16(0) >= 49152);
    assert.equal(udp.getUint16(2), 4754);
    assert.equal(udp.getUint16(4), bytes.length - head + 8);
    assert.equal(udp.getUint16(6), 0);
  }
}

const skip = noNamespace;

for (const family of FAMILIES) {
  const { head } = family;
  const make = (mark: number, fields?: Fields): Uint8Array => packet(mark, fields, family);

  test(`IPv${family.version}: packets of a flow, the last one shorter, travel as one message and arrive one by one`, {
    skip,
  }, async () => {
    await withPair(family, async (a, b) => {
      const sizes = [...new Array<number>(40).fill(1400), 300];
      const sent = sizes.map((size, n) => make(n, { size }));
      assert.deepEqual(new Set(a.sendAll(sent)), new Set([REASON_NONE]));
      const calls: number[] = [];
      assertArrived(await b.receiveAll(sent.length, calls), sent);
      assert.deepEqual(calls, [41]);
    });
  });

  test(`IPv${family.version}: packets in two pieces arrive in one`, { skip }, async () => {
    await withPair(family, async (a, b) => {
      const sent = Array.from({ length: 50 }, (_, n) => make(n, { size: 900 }));
      a.sendAll(sent, { cut: 60 });
      assertArrived(await b.receiveAll(sent.length), sent);
    });
  });

  test(`IPv${family.version}: a change of size, TOS, TTL or DF begins another message and keeps the order`, {
    skip,
  }, async () => {
    await withPair(family, async (a, b) => {
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
      const sent = shapes.map((fields, n) => make(n, fields));
      assert.deepEqual(new Set(a.sendAll(sent)), new Set([REASON_NONE]));
      assertArrived(await b.receiveAll(sent.length), sent);
    });
  });

  test(`IPv${family.version}: packets of several flows all arrive, each flow in order and from one port`, {
    skip,
  }, async () => {
    await withPair(family, async (a, b) => {
      const flows = [49152, 49153, 60_000];
      const sent = Array.from({ length: 60 }, (_, n) =>
        make(n, { sourcePort: flows[n % flows.length] as number }),
      );
      for (let round = 0; round < 3; round++) {
        a.sendAll(sent);
        const arrived = await b.receiveAll(sent.length);
        assert.equal(arrived.length, sent.length);
        for (const [flow] of flows.entries()) {
          const ofFlow = arrived.filter((bytes) => (bytes[head] as number) % flows.length === flow);
          assert.deepEqual(
            ofFlow.map((bytes) => bytes[head]),
            Array.from({ length: 20 }, (_, n) => n * flows.length + flow),
          );
          const ports = ofFlow.map(
            (bytes) => ((bytes[head - 8] as number) << 8) | (bytes[head - 7] as number),
          );
          assert.equal(new Set(ports).size, 1);
        }
      }
    });
  });

  test(`IPv${family.version}: a packet with a reason is not sent, and one that is too large for the way gets its own`, {
    skip,
  }, async () => {
    await withPair(family, async (a, b) => {
      ip('link set lo mtu 1500');
      try {
        const sent = [make(1), make(2), make(3, { size: 1600 }), make(4, { size: 1600 })];
        const reasons = a.sendAll(sent, { reasons: [REASON_NONE, REASON_TUNNEL_DOWN] });
        assert.deepEqual(reasons, [
          REASON_NONE,
          REASON_TUNNEL_DOWN,
          REASON_TOO_BIG,
          REASON_TOO_BIG,
        ]);
        assertArrived(await b.receiveAll(1), [sent[0] as Uint8Array]);
        assert.equal(a.refused, 0);
      } finally {
        ip('link set lo mtu 65536');
      }
    });
  });
}

test('one underlay serves both families: each packet goes by its own, and both are heard', {
  skip,
}, async () => {
  const a = new Bench(IPV4.sender, IPV6.sender);
  const b = new Bench(IPV4.receiver, IPV6.receiver);
  try {
    const sent = Array.from({ length: 60 }, (_, n) =>
      packet(n, { size: 500 }, n % 5 < 2 ? IPV4 : IPV6),
    );
    assert.deepEqual(new Set(a.sendAll(sent)), new Set([REASON_NONE]));
    const arrived = await b.receiveAll(sent.length);
    for (const first of [0x45, 0x60]) {
      const ofFamily = (packets: readonly Uint8Array[]) => packets.filter(([one]) => one === first);
      assertArrived(ofFamily(arrived), ofFamily(sent));
    }
    const strange = Uint8Array.from(packet(1)).fill(0x15, 0, 1);
    const reasons = a.sendAll([packet(1), strange, strange, packet(2, {}, IPV6)], {
      reasons: [REASON_NONE, REASON_NONE, REASON_TUNNEL_DOWN],
    });
    assert.deepEqual(reasons, [REASON_NONE, REASON_TX_ERROR, REASON_TUNNEL_DOWN, REASON_NONE]);
    assert.equal((await b.receiveAll(2)).length, 2);
  } finally {
    a.underlay.close();
    b.underlay.close();
  }
});

test('a socket for all addresses of a family stands beside that of the other, also in place of many', {
  skip,
}, async () => {
  for (const v4 of [
    ['0.0.0.0', IPV4.sender],
    Array.from({ length: 9 }, (_, n) => `127.0.1.${n}`),
  ]) {
    const all = new Bench(...v4, '::', IPV6.receiver);
    try {
      assert.equal(all.underlay.fds.length, 2);
      for (const family of FAMILIES) {
        const sent = packet(1, {}, { ...family, sender: family.receiver });
        all.sendAll([sent]);
        assertArrived(await all.receiveAll(1), [sent]);
      }
    } finally {
      all.underlay.close();
    }
  }
});

test('an empty datagram is one packet, and so is one from a port below the range', {
  skip,
}, async () => {
  await withPair(IPV4, async (_a, b) => {
    const stranger = createSocket('udp4');
    stranger.bind(4000, IPV4.sender);
    await once(stranger, 'listening');
    stranger.send(new Uint8Array(0), 4754, IPV4.receiver);
    stranger.send(Uint8Array.of(7), 4754, IPV4.receiver);
    const [empty, single] = await b.receiveAll(2);
    stranger.close();
    assert.equal(empty?.length, IPV4.head);
    assert.deepEqual(single?.subarray(20), Uint8Array.of(0x0f, 0xa0, 0x12, 0x92, 0, 9, 0, 0, 7));
  });
});

test('a full ring takes nothing more, and what waits comes later', { skip }, async () => {
  await withPair(IPV4, async (a, b) => {
    const sent = Array.from({ length: 64 }, (_, n) => packet(n, { size: 50 }));
    for (let n = 0; n < 5; n++) a.sendAll(sent);
    let taken = 0;
    for (let n = 0; n < 5; n++) taken += b.underlay.receive(b.decap, 64);
    assert.ok(taken <= SLOT_COUNT);
    assert.equal(taken, 192); // room for one message more is kept
    b.decap.restore(0, 0, 0);
    assert.equal((await b.receiveAll(128)).length, 128);
  });
});

test('a port that is taken is a Failure that names it', { skip }, async () => {
  const other = createSocket('udp4');
  other.bind(4754, IPV4.sender);
  await once(other, 'listening');
  assert.throws(
    () => new Bench(IPV4.sender),
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
  await withPair(IPV4, async (a, b) => {
    const plain = new MemoryUnderlay(a.memory);
    const plainSent: number[] = [];
    plain.onSent = (bytes) => plainSent.push(bytes[IPV4.head] as number);
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
      (await b.receiveAll(3)).map((packet) => packet[IPV4.head]),
      [1, 2, 4],
    );

    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 100; n++) plain.inject(packet(n));
      const stranger = createSocket('udp4');
      stranger.send(Uint8Array.of(7), 4754, IPV4.sender);
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
