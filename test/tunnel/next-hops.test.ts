// Next hops in shared memory: what a lane reads at any moment is one of those that were set, whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  ADJACENCY_CAPACITY,
  ADJACENCY_DEVICE,
  ADJACENCY_HEADER,
  ADJACENCY_MTU,
  ADJACENCY_SIZE,
  CONTROL_NEXT_HOPS,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import {
  type NextHop,
  type NextHopPlan,
  NextHopTable,
  planNextHops,
} from '../../src/tunnel/next-hops.js';

interface Bench {
  readonly memory: WebAssembly.Memory;
  readonly plan: NextHopPlan;
  readonly table: NextHopTable;
  /** Address of a record's adjacency, or 0. */
  readonly addressOf: (record: number) => number;
  /** What an adjacency says. */
  readonly read: (address: number) => { header: string; device: number; mtu: number };
}

function open(): Bench {
  let nextHopPlan: NextHopPlan | undefined;
  const memory = createMemory(
    planMemory(1, (reserve) => {
      nextHopPlan = planNextHops(reserve);
    }),
  );
  assert.ok(nextHopPlan);
  const plan = nextHopPlan;
  const words = new Uint32Array(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  return {
    memory,
    plan,
    table: new NextHopTable(memory, plan),
    addressOf: (record) => words[(plan.nextHops >>> 2) + record] ?? -1,
    read: (address) => {
      const header = Buffer.from(bytes.slice(address, address + 14)).toString('hex');
      const word = (offset: number): number => words[(address + offset) >>> 2] ?? -1;
      return { header, device: word(ADJACENCY_DEVICE), mtu: word(ADJACENCY_MTU) };
    },
  };
}

/** Next hop number n: no two are alike. */
function hop(n: number): NextHop {
  const destination = new Uint8Array(6);
  new DataView(destination.buffer).setUint32(2, n);
  const source = Uint8Array.of(2, 0, 0, 0, 0, n % 5);
  return { version: n % 3 === 0 ? 6 : 4, device: n % 7, source, destination, mtu: 1500 };
}

function expected({
  version,
  device,
  source,
  destination,
  mtu,
}: NextHop): ReturnType<Bench['read']> {
  const type = version === 4 ? [0x08, 0x00] : [0x86, 0xdd];
  const header = Buffer.from([...destination, ...source, ...type]).toString('hex');
  return { header, device, mtu };
}

test('at first no next hop is known, and lanes know where they are kept', () => {
  const { memory, plan, addressOf } = open();
  assert.equal(new Uint32Array(memory.buffer)[CONTROL_NEXT_HOPS >>> 2], plan.nextHops);
  for (let record = 0; record < TUNNEL_CAPACITY; record++) assert.equal(addressOf(record), 0);
});

test('a next hop that is set is an Ethernet header, a device and an MTU', () => {
  const { table, addressOf, read } = open();
  const first: NextHop = {
    ...{ version: 4, device: 3, mtu: 1400 },
    source: Uint8Array.of(2, 4, 6, 8, 10, 12),
    destination: Uint8Array.of(1, 3, 5, 7, 9, 11),
  };
  assert.equal(table.set(5, first), true);
  const header = '01030507090b' + '020406080a0c' + '0800';
  assert.deepEqual(read(addressOf(5)), { header, device: 3, mtu: 1400 });
  assert.equal(table.set(5, { ...first }), false, 'the same again');
  const address = addressOf(5);
  const changes = [
    { mtu: 1300 },
    { device: 2 },
    { source: hop(1).source },
    { version: 6 },
  ] as const;
  for (const change of changes) {
    assert.equal(table.set(5, { ...first, ...change }), true);
    assert.notEqual(addressOf(5), address);
    assert.deepEqual(read(addressOf(5)), expected({ ...first, ...change }));
  }
  assert.deepEqual(read(address), expected(first), 'a lane may still be reading it');
  assert.equal(table.set(5, undefined), true);
  assert.equal(addressOf(5), 0);
  assert.equal(table.set(5, undefined), false);
});

test('tunnels with the same next hop share one, and leave it one by one', () => {
  const { table, addressOf, read } = open();
  for (const record of [1, 2, 3]) table.set(record, hop(9));
  assert.equal(new Set([1, 2, 3].map(addressOf)).size, 1);
  const shared = addressOf(1);
  table.set(2, hop(10));
  table.set(3, undefined);
  assert.equal(addressOf(1), shared);
  assert.deepEqual(read(shared), expected(hop(9)));
  table.set(4, hop(9));
  assert.equal(addressOf(4), shared, 'it is there as long as one uses it');
});

test('a place is used again only when all others have been', () => {
  const { table, addressOf, plan, read } = open();
  const seen = new Set<number>();
  for (let n = 0; n < ADJACENCY_CAPACITY; n++) {
    table.set(1, hop(n));
    const address = addressOf(1);
    assert.ok(!seen.has(address), `place of change ${n}`);
    seen.add(address);
    const index = (address - plan.adjacencies) / ADJACENCY_SIZE;
    assert.ok(Number.isInteger(index) && index >= 0 && index < ADJACENCY_CAPACITY);
  }
  table.set(1, hop(ADJACENCY_CAPACITY));
  assert.equal(addressOf(1), plan.adjacencies, 'the one that was left first');
  assert.deepEqual(read(addressOf(1)), expected(hop(ADJACENCY_CAPACITY)));
});

test('every record has a next hop of its own, and all change, again and again', () => {
  const { table, addressOf, read } = open();
  for (const round of [0, 1, 2, 3]) {
    for (let record = 1; record < TUNNEL_CAPACITY; record++) {
      assert.equal(table.set(record, hop(round * TUNNEL_CAPACITY + record)), true);
    }
    const addresses = new Set<number>();
    for (let record = 1; record < TUNNEL_CAPACITY; record++) {
      addresses.add(addressOf(record));
      assert.deepEqual(read(addressOf(record)), expected(hop(round * TUNNEL_CAPACITY + record)));
    }
    assert.equal(addresses.size, TUNNEL_CAPACITY - 1);
    assert.equal(addressOf(0), 0, 'record 0 is no tunnel');
  }
});

/** Reads the next hop of record 1 as fast as it can; every byte of it must be that of one next hop. */
const READER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { memory, nextHops, header, device, stop } = workerData;
  const words = new Int32Array(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  let [reads, torn] = [0, 0];
  const seen = new Set();
  parentPort.postMessage('ready');
  while (Atomics.load(words, stop) === 0) {
    const address = Atomics.load(words, (nextHops >>> 2) + 1);
    if (address === 0) continue;
    const value = bytes[address + header];
    for (let n = 1; n < 12; n++) if (bytes[address + header + n] !== value) torn++;
    if ((words[(address + device) >>> 2] & 0xff) !== value) torn++;
    seen.add(value);
    reads++;
  }
  parentPort.postMessage({ reads, torn, seen: seen.size });
`;

test('a lane that reads while the main thread writes never sees half of a next hop', async () => {
  const { memory, plan, table } = open();
  const stop = 4000 >>> 2; // of the control block, where nothing else is
  const workerData = {
    memory,
    nextHops: plan.nextHops,
    header: ADJACENCY_HEADER,
    device: ADJACENCY_DEVICE,
    stop,
  };
  const reader = new Worker(READER, { eval: true, workerData });
  await new Promise((resolve) => reader.once('message', resolve));
  for (let n = 0; n < 300_000; n++) {
    const value = n & 0xff;
    const address = new Uint8Array(6).fill(value);
    table.set(1, { version: 4, device: value, source: address, destination: address, mtu: n });
  }
  const result = new Promise<{ reads: number; torn: number; seen: number }>((resolve) => {
    reader.once('message', resolve);
  });
  Atomics.store(new Int32Array(memory.buffer), stop, 1);
  const { reads, torn, seen } = await result;
  assert.equal(torn, 0, `of ${reads} reads`);
  assert.ok(reads > 10_000 && seen > 50, `${reads} reads of ${seen} next hops`);
});
