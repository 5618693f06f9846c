// One suite over every underlay: what the contract promises holds for each.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DESCRIPTOR_LINK, DESCRIPTOR_SIZE, RING_DESCRIPTORS } from '../../asm/layout.js';
import { REASON_ECN, REASON_NO_ROUTE, REASON_NONE, REASON_TOO_BIG } from '../../asm/reason.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Ring } from '../../src/ring/ring.js';
import type { Underlay } from '../../src/underlay/contract.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { RawUnderlay } from '../../src/underlay/raw/raw.js';
import { RawSocketUnderlay } from '../../src/underlay/raw-socket-package.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';

const GRE = 47;
const noNamespace = enterOwnNamespace();

/** Both rings of a dataplane's memory, filled and settled by the test in the codec's stead. */
class Bench {
  readonly memory: WebAssembly.Memory;
  readonly encap: Ring;
  readonly decap: Ring;
  readonly #bytes: Uint8Array;

  constructor() {
    const plan = planMemory(1);
    this.memory = createMemory(plan);
    const [lane] = plan.lanes;
    assert.ok(lane);
    this.encap = new Ring(this.memory, lane.encap);
    this.decap = new Ring(this.memory, lane.decap);
    this.#bytes = new Uint8Array(this.memory.buffer);
  }

  /** Puts packets into the encap ring as if the codec had processed them; returns the reasons after `send`. */
  send(
    underlay: Underlay,
    packets: readonly Uint8Array[],
    reasons: readonly number[] = [],
  ): number[] {
    const from = this.encap.filled;
    packets.forEach((packet, n) => {
      const position = (from + n) >>> 0;
      this.#bytes.set(packet, this.encap.packetAddress(position));
      this.encap.fill(position, packet.length, 1, 0);
      this.encap.setReason(position, reasons[n] ?? REASON_NONE);
    });
    const to = (from + packets.length) >>> 0;
    this.encap.restore(to, to, from);
    underlay.send(this.encap, from, to);
    this.encap.restore(to, to, to);
    return packets.map((_, n) => this.encap.reason((from + n) >>> 0));
  }

  /** Receives until `count` packets are there or a second has passed. */
  async receive(underlay: Underlay, count: number, max = 64): Promise<Uint8Array[]> {
    const packets: Uint8Array[] = [];
    for (let tries = 0; tries < 100 && packets.length < count; tries++) {
      const from = this.decap.filled;
      const received = underlay.receive(this.decap, max);
      assert.ok(received <= max);
      assert.equal(this.decap.filled, (from + received) >>> 0);
      for (let n = 0; n < received; n++) {
        const position = (from + n) >>> 0;
        const address = this.decap.packetAddress(position);
        packets.push(this.#bytes.slice(address, address + this.decap.length(position)));
      }
      this.decap.restore(this.decap.filled, this.decap.filled, this.decap.filled);
      if (received === 0) await sleep(10);
    }
    return packets;
  }

  get words(): Uint32Array {
    return new Uint32Array(this.memory.buffer);
  }
}

/** An outer packet of `length` bytes from 127.0.0.1 whose last byte is `mark`. */
function packet(mark: number, length = 64, destination = [127, 0, 0, 1]): Uint8Array {
  const bytes = new Uint8Array(length).fill(0x5a);
  bytes.set([0x45, 0, length >> 8, length & 0xff, 0x12, mark, 0x40, 0, 64, GRE, 0, 0]);
  bytes.set([127, 0, 0, 1], 12);
  bytes.set(destination, 16);
  let sum = 0;
  for (let n = 0; n < 20; n += 2) sum += ((bytes[n] ?? 0) << 8) | (bytes[n + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes.set([(~sum >> 8) & 0xff, ~sum & 0xff], 10);
  bytes[length - 1] = mark;
  return bytes;
}

interface Kind {
  readonly name: string;
  readonly skip: string | false;
  /** Two ends that hear each other; real sockets on loopback are both at once. */
  open(sender: Bench, receiver: Bench): readonly [Underlay, Underlay];
}

const KINDS: readonly Kind[] = [
  {
    name: 'memory',
    skip: false,
    open(sender, receiver) {
      const ends = [
        new MemoryUnderlay(sender.memory),
        new MemoryUnderlay(receiver.memory),
      ] as const;
      MemoryUnderlay.join(...ends);
      return ends;
    },
  },
  {
    name: 'raw',
    skip: noNamespace,
    open: (sender, receiver) => [openRaw(sender), openRaw(receiver)],
  },
  {
    name: 'raw-socket',
    skip: noNamespace || lackingPackage(),
    open: (sender, receiver) => [
      new RawSocketUnderlay(sender.memory, []),
      new RawSocketUnderlay(receiver.memory, [GRE]),
    ],
  },
];

function openRaw(bench: Bench, links = new Map<number, string>(), link = 0): RawUnderlay {
  return new RawUnderlay(bench.memory, {
    protocols: [{ version: 4, protocol: GRE }],
    versions: [4],
    groups: [],
    links,
    linkOf: () => link,
    lane: 0,
    laneCount: 1,
  });
}

function lackingPackage(): string | false {
  try {
    createRequire(import.meta.url).resolve('raw-socket');
    return false;
  } catch {
    return 'needs the optional package raw-socket (npm run setup:raw-socket)';
  }
}

for (const kind of KINDS) {
  const withEnds = (
    what: string,
    body: (sender: Bench, out: Underlay, receiver: Bench, into: Underlay) => Promise<void>,
  ): void => {
    test(`${kind.name}: ${what}`, { skip: kind.skip }, async () => {
      const sender = new Bench();
      const receiver = new Bench();
      const [out, into] = kind.open(sender, receiver);
      try {
        await body(sender, out, receiver, into);
      } finally {
        out.close();
        into.close();
      }
    });
  };

  withEnds(
    'what one end sends, the other receives, byte for byte',
    async (sender, out, receiver, into) => {
      for (const length of [20, 21, 64, 1500, 9000]) {
        const sent = packet(7, length);
        if (length < 24) sent[length - 1] = packet(7)[length - 1] ?? 0;
        assert.deepEqual(sender.send(out, [sent]), [REASON_NONE]);
        assert.deepEqual(await receiver.receive(into, 1), [sent], `${length} bytes`);
      }
    },
  );

  withEnds(
    'a batch arrives whole and in order, round and round the ring',
    async (sender, out, receiver, into) => {
      for (let round = 0; round < 7; round++) {
        const batch = Array.from({ length: 50 }, (_, n) => packet(n));
        sender.send(out, batch);
        assert.deepEqual(await receiver.receive(into, 50), batch);
      }
    },
  );

  withEnds('a packet that has a reason is not sent', async (sender, out, receiver, into) => {
    const reasons = sender.send(out, [packet(1), packet(2), packet(3)], [0, REASON_ECN, 0]);
    assert.deepEqual(reasons, [0, REASON_ECN, 0]);
    const marks = (await receiver.receive(into, 2)).map((bytes) => bytes.at(-1));
    assert.deepEqual(marks, [1, 3]);
  });

  withEnds('receive takes no more than it may', async (sender, out, receiver, into) => {
    sender.send(
      out,
      Array.from({ length: 20 }, (_, n) => packet(n)),
    );
    assert.equal((await receiver.receive(into, 20, 3)).length, 20);
  });

  withEnds('receive returns 0 when nothing waits', async (_sender, _out, receiver, into) => {
    assert.equal(into.receive(receiver.decap, 64), 0);
  });

  if (kind.name === 'memory') continue;

  withEnds(
    'a destination without a route is no-route, and the packets around it go',
    async (sender, out, receiver, into) => {
      const reasons = sender.send(out, [packet(1), packet(2, 64, [198, 51, 100, 9]), packet(3)]);
      assert.deepEqual(reasons, [0, REASON_NO_ROUTE, 0]);
      assert.equal((await receiver.receive(into, 2)).length, 2);
    },
  );

  withEnds('a packet larger than the link is too-big', async (sender, out) => {
    ip('link set dev lo mtu 1500');
    try {
      assert.deepEqual(sender.send(out, [packet(1, 1501), packet(2, 1500)]), [REASON_TOO_BIG, 0]);
    } finally {
      ip('link set dev lo mtu 65536');
    }
  });
}

test('raw: a tunnel bound to a device sends through it, and what arrives names it', {
  skip: noNamespace,
}, async () => {
  const bench = new Bench();
  const loopback = 1;
  const underlay = openRaw(bench, new Map([[loopback, 'lo']]), loopback);
  try {
    assert.deepEqual(bench.send(underlay, [packet(9)]), [REASON_NONE]);
    const from = bench.decap.filled;
    assert.equal((await bench.receive(underlay, 1)).length, 1);
    const descriptors = bench.words[(bench.decap.address + RING_DESCRIPTORS) >>> 2] ?? 0;
    const link = (descriptors + from * DESCRIPTOR_SIZE + DESCRIPTOR_LINK) >>> 2;
    assert.equal(bench.words[link], loopback, 'DESCRIPTOR_LINK');
  } finally {
    underlay.close();
  }
});

test('raw: binding to a device that is not there fails by name and leaves no socket open', {
  skip: noNamespace,
}, () => {
  const bench = new Bench();
  assert.throws(() => openRaw(bench, new Map([[99, 'nosuch0']])), /nosuch0: ENODEV/);
});

test('memory: an end without a peer lets packets go, and a full queue drops the newest', () => {
  const sender = new Bench();
  const alone = new MemoryUnderlay(sender.memory);
  assert.deepEqual(sender.send(alone, [packet(1)]), [REASON_NONE]);
  const receiver = new MemoryUnderlay(new Bench().memory);
  let taken = 0;
  while (receiver.inject(packet(1))) taken++;
  assert.equal(taken, 4096);
});
