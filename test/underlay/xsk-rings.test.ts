// Two AF_XDP sockets on a virtual cable between two namespaces, their rings worked by asm/xdp.ts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { XDP_ENTRY_LENGTH, XDP_ENTRY_SIZE } from '../../asm/xdp-layout.js';
import { receiveRoom, type XskPlan } from '../../src/ring/xsk-plan.js';
import { interfaceIndex } from '../../src/sys/libc.js';
import { openRedirect, type Redirect } from '../../src/underlay/redirect-program.js';
import { Xsk } from '../../src/underlay/xsk.js';
import {
  openXdpModule,
  readXskCounters,
  writeXskBlock,
  type XdpModule,
} from '../../src/underlay/xsk-rings.js';
import { ethernet } from '../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';
import { ipv4 } from '../support/packets.js';
import { SecondNamespace } from '../support/second-namespace.js';
import { xskMemory } from '../support/xsk-memory.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const namespace = enterOwnNamespace();
const skip =
  namespace || (spawnSync('nsenter', ['--version']).error ? 'needs nsenter (util-linux)' : false);
let second: SecondNamespace | undefined;

before(async () => {
  if (skip) return;
  second = await SecondNamespace.make();
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  second.enter(() => writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1'));
  ip(`link add u0 type veth peer name u1 netns ${second.pid}`);
  ip('link set u0 up');
  second.ip('link set u1 up');
});

after(() => second?.close());

const SIZE = { frameCount: 256, frameSize: 2048, ringCount: 128 } as const;
const RECEIVE_FRAMES = 128;
const { memory, plans, end } = xskMemory(SIZE, 2);
const bytes = new Uint8Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const view = new DataView(memory.buffer);
/** Tables lie in the page before the plans; their neighbours are canaries. */
const TABLES = [1024, 4096];
const TABLE_ENTRIES = 256;

/** One end, with its table. */
class End {
  readonly xsk: Xsk;
  readonly redirect: Redirect;
  readonly module: XdpModule;

  constructor(
    readonly plan: XskPlan,
    readonly table: number,
    device: string,
  ) {
    const link = interfaceIndex(device);
    const frameSize = receiveRoom(SIZE);
    this.redirect = openRedirect({ link, device, queueCount: 1, frameSize, maxPeers: 4 });
    this.xsk = new Xsk({ memory, plan, device, link, queue: 0 });
    this.redirect.setSocket(0, this.xsk.fd);
    this.redirect.addPeer({ source: '192.0.2.1', destination: '192.0.2.2', protocol: 47 });
    this.module = openXdpModule(memory);
    writeXskBlock(memory, plan, this.xsk.rings);
    assert.equal(this.module.initialise(plan.block, RECEIVE_FRAMES), RECEIVE_FRAMES);
  }

  address(entry: number): number {
    return words[(this.table + entry * XDP_ENTRY_SIZE) >>> 2] ?? 0;
  }

  length(entry: number): number {
    return words[(this.table + entry * XDP_ENTRY_SIZE + XDP_ENTRY_LENGTH) >>> 2] ?? 0;
  }

  setLength(entry: number, length: number): void {
    words[(this.table + entry * XDP_ENTRY_SIZE + XDP_ENTRY_LENGTH) >>> 2] = length;
  }

  close(): void {
    this.redirect.close();
    this.xsk.close();
  }
}

function withEnds(use: (a: End, b: End) => void): void {
  const [planA, planB] = plans as [XskPlan, XskPlan];
  const [tableA, tableB] = TABLES as [number, number];
  bytes.fill(0xa5, 0, 65536);
  bytes.fill(0xa5, end);
  const a = new End(planA, tableA, 'u0');
  assert.ok(second);
  const b = second.enter(() => new End(planB, tableB, 'u1'));
  try {
    use(a, b);
    assertCanaries();
  } finally {
    a.close();
    b.close();
  }
}

function assertCanaries(): void {
  const untouched = [
    [0, 1024],
    [1024 + TABLE_ENTRIES * XDP_ENTRY_SIZE, 4096],
    [4096 + TABLE_ENTRIES * XDP_ENTRY_SIZE, 65536],
    [end, bytes.length],
  ] as const;
  for (const [from, to] of untouched) {
    assert.ok(bytes.subarray(from, to).every((byte) => byte === 0xa5));
  }
}

const HEADER = ethernet(
  0x0800,
  ipv4({ source: '192.0.2.1', destination: '192.0.2.2', protocol: 47 }),
);
const LENGTH_MIN = HEADER.length + 8;
const LENGTH_MAX = 1514;
/** Length of frame number n: all there are, in an order that repeats late. */
const lengthOf = (n: number): number => LENGTH_MIN + ((n * 7919) % (LENGTH_MAX - LENGTH_MIN + 1));
/** Bytes behind header and number of a frame: a slice of this, from another place for each. */
const PATTERN = Uint8Array.from({ length: 4096 }, (_, n) => (n * 131 + (n >>> 8)) & 0xff);

function writeFrame(address: number, n: number): number {
  const length = lengthOf(n);
  bytes.set(HEADER, address);
  view.setFloat64(address + HEADER.length, n, true);
  const rest = length - LENGTH_MIN;
  bytes.set(PATTERN.subarray(n % 2048, (n % 2048) + rest), address + LENGTH_MIN);
  return length;
}

function assertFrame(address: number, length: number, n: number): void {
  assert.equal(length, lengthOf(n));
  const frame = Buffer.from(memory.buffer, address, length);
  assert.equal(frame.compare(HEADER, 0, HEADER.length, 0, HEADER.length), 0);
  assert.equal(frame.readDoubleLE(HEADER.length), n, 'in order, none lost, none twice');
  const rest = length - LENGTH_MIN;
  const start = n % 2048;
  assert.equal(frame.compare(PATTERN, start, start + rest, LENGTH_MIN, length), 0);
}

/** Everything that waits, checked and given back. Returns how many. */
function receiveAll({ module, plan, table, xsk }: End, first: number): number {
  let n = first;
  for (;;) {
    const count = module.receiveTake(plan.block, table, 50);
    if (count === 0) return n - first;
    for (let entry = 0; entry < count; entry++, n++) {
      const address = words[(table + entry * XDP_ENTRY_SIZE) >>> 2] ?? 0;
      const length = words[(table + entry * XDP_ENTRY_SIZE + XDP_ENTRY_LENGTH) >>> 2] ?? 0;
      assertFrame(address, length, n);
    }
    assert.equal(module.refill(plan.block, table, count), count);
    if (module.needsReceiveWakeup(plan.block) !== 0) xsk.wakeReceive();
  }
}

test('a hundred thousand frames go from one socket to the other, byte for byte', { skip }, () => {
  withEnds((a, b) => {
    const total = 100_000;
    let sent = 0;
    let received = 0;
    let rounds = 0;
    while (received < total) {
      // Batches of every size up to half of the ring, so that it wraps anywhere.
      const wanted = Math.min(1 + (rounds++ % 64), total - sent);
      const count = a.module.transmitReserve(a.plan.block, a.table, wanted);
      for (let entry = 0; entry < count; entry++) {
        a.setLength(entry, writeFrame(a.address(entry), sent + entry));
      }
      assert.equal(a.module.transmitSubmit(a.plan.block, a.table, count), count);
      sent += count;
      for (let kick = a.xsk.kick(); kick !== 'done'; kick = a.xsk.kick()) {
        assert.equal(kick, 'again');
        received += receiveAll(b, received);
      }
      received += receiveAll(b, received);
    }
    assert.equal(sent, total);
    a.module.complete(a.plan.block);
    const counters = readXskCounters(memory, a.plan);
    assert.deepEqual(counters.sent.frames, total);
    assert.deepEqual(counters.completed, total);
    assert.equal(counters.inFlight, 0);
    assert.equal(counters.free, SIZE.frameCount - RECEIVE_FRAMES);
    const there = readXskCounters(memory, b.plan);
    assert.deepEqual(there.received, counters.sent);
    for (const { xsk } of [a, b]) {
      const { receiveDropped, receiveRingFull, fillInvalid, transmitInvalid } = xsk.statistics();
      assert.deepEqual(
        [receiveDropped, receiveRingFull, fillInvalid, transmitInvalid],
        [0, 0, 0, 0],
      );
    }
  });
});

test('every frame is reserved once, and cancelled ones come back first', { skip }, () => {
  withEnds(({ module, plan, table, xsk }) => {
    const free = SIZE.frameCount - RECEIVE_FRAMES;
    const reserve = (): number[] => {
      const count = module.transmitReserve(plan.block, table, 999);
      return Array.from({ length: count }, (_, entry) => words[(table >>> 2) + entry * 2] ?? 0);
    };
    const all = reserve();
    assert.equal(all.length, free, 'the ring has as much room');
    assert.equal(new Set(all).size, free);
    for (const address of all) {
      const frame = (address - plan.umem) / SIZE.frameSize;
      assert.ok(Number.isInteger(frame) && frame >= RECEIVE_FRAMES && frame < SIZE.frameCount);
    }
    assert.deepEqual(reserve(), []);
    words.set(
      all.flatMap((address) => [address + 77, 0]),
      table >>> 2,
    );
    module.transmitCancel(plan.block, table, free);
    assert.deepEqual(reserve(), all, 'whatever place in a frame its address named');
    words.set([all[0] ?? 0, 0], table >>> 2);
    for (let n = 0; n < SIZE.frameCount + 3; n++) module.transmitCancel(plan.block, table, 1);
    assert.equal(readXskCounters(memory, plan).free, SIZE.frameCount, 'never past the stack');
    assert.equal(xsk.statistics().transmitInvalid, 0);
  });
});

test('a full transmit ring takes no more, and takes again when it has been kicked', {
  skip,
}, () => {
  withEnds((a, b) => {
    const { block } = a.plan;
    const fill = (): number => {
      const count = a.module.transmitReserve(block, a.table, 128);
      for (let entry = 0; entry < count; entry++) {
        a.setLength(entry, writeFrame(a.address(entry), entry));
      }
      return a.module.transmitSubmit(block, a.table, count);
    };
    assert.equal(a.module.transmitRoom(block), 128);
    assert.equal(fill(), 128);
    assert.equal(a.module.transmitRoom(block), 0);
    assert.equal(a.module.transmitSubmit(block, a.table, 5), 0);
    assert.equal(a.module.transmitReserve(block, a.table, 5), 0);
    assert.equal(a.module.needsKick(block), 1);
    while (a.xsk.kick() === 'again');
    assert.equal(a.module.transmitRoom(block), 128);
    assert.equal(b.module.receivePeek(b.plan.block), 128);
    // The last slot was filled, and the fill ring is empty until frames are given back.
    assert.equal(b.module.receiveTake(b.plan.block, b.table, 100), 100);
    assert.equal(b.module.receiveTake(b.plan.block, b.table + 800, 100), 28);
    assert.equal(b.module.receiveTake(b.plan.block, b.table, 100), 0);
    assert.equal(fill(), 128, 'completed frames are taken from the completion ring');
    while (a.xsk.kick() === 'again');
    assert.equal(b.module.receivePeek(b.plan.block), 0, 'no frame to receive into');
    assert.ok(b.xsk.statistics().fillRingEmpty > 0);
    assert.equal(b.module.refill(b.plan.block, b.table, 128), 128);
    assert.equal(b.module.refill(b.plan.block, b.table, 1), 0, 'the fill ring is full');
    assert.equal(a.module.transmitReserve(block, a.table, 1), 1);
    a.setLength(0, writeFrame(a.address(0), 7));
    a.module.transmitSubmit(block, a.table, 1);
    while (a.xsk.kick() === 'again');
    assert.equal(receiveAll(b, 7), 1);
  });
});

test('frames that are not of the stack come back by their first byte', { skip }, () => {
  withEnds((a, b) => {
    const { block, umem } = a.plan;
    // Of the fill ring's first frames, which the kernel never touches here: nothing comes in.
    const addresses = [umem + 100, umem + 2048 + 33, umem + 3 * 2048];
    addresses.forEach((address, entry) => {
      words[(a.table + entry * XDP_ENTRY_SIZE) >>> 2] = address;
      a.setLength(entry, writeFrame(address, entry));
    });
    assert.equal(a.module.transmitSubmit(block, a.table, 3), 3);
    while (a.xsk.kick() === 'again');
    assert.equal(a.module.completeTake(block, a.table + 512, 2), 2);
    assert.equal(a.module.completeTake(block, a.table + 512 + 16, 2), 1);
    assert.equal(a.module.completeTake(block, a.table + 512, 2), 0);
    const entries = [64, 65, 66];
    assert.deepEqual(
      entries.map((entry) => a.address(entry)),
      [umem, umem + 2048, umem + 3 * 2048],
    );
    assert.equal(receiveAll(b, 0), 3);
    assert.equal(readXskCounters(memory, a.plan).inFlight, 0);
  });
});

test('addresses outside of the UMEM go nowhere: the kernel refuses them and counts', {
  skip,
}, () => {
  withEnds((a, b) => {
    const { block, umem } = a.plan;
    const wrong = [umem - 2048, umem + SIZE.frameCount * SIZE.frameSize, 0, 0xffff_f800];
    wrong.forEach((address, entry) => {
      words[(a.table + entry * XDP_ENTRY_SIZE) >>> 2] = address;
      a.setLength(entry, 100);
    });
    assert.equal(a.module.transmitSubmit(block, a.table, wrong.length), wrong.length);
    assert.equal(a.module.transmitReserve(block, a.table, 1), 1);
    a.setLength(0, writeFrame(a.address(0), 0));
    assert.equal(a.module.transmitSubmit(block, a.table, 1), 1);
    for (const [n] of wrong.entries()) {
      a.xsk.kick();
      assert.equal(a.xsk.statistics().transmitInvalid, n + 1, 'each ends one kick');
    }
    a.xsk.kick();
    assert.equal(receiveAll(b, 0), 1);
  });
});

test('the module imports the memory, holds nothing, calls nothing and never waits', () => {
  const wasm = readFileSync(join(ROOT, 'dist/asm/xdp.wasm'));
  const module = new WebAssembly.Module(wasm);
  assert.deepEqual(WebAssembly.Module.imports(module), [
    { module: 'env', name: 'memory', kind: 'memory' },
  ]);
  assert.deepEqual(
    WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`),
    [
      'initialise',
      'receivePeek',
      'receiveTake',
      'refill',
      'needsReceiveWakeup',
      'transmitRoom',
      'transmitReserve',
      'transmitCancel',
      'transmitSubmit',
      'needsKick',
      'complete',
      'completeTake',
      'receiveSlots',
      'releaseSlots',
      'transmitSlots',
    ].map((name) => `function ${name}`),
  );
  const text = readFileSync(join(ROOT, 'dist/asm/xdp.wat'), 'utf8');
  assert.doesNotMatch(text, /\(call |\(global|\(data|\(table|\(start|memory\.(grow|fill)|wait/);
  // One publication a batch: fill and transmit produce, receive and completion consume.
  const stores = text.match(/i32\.atomic\.store/g) ?? [];
  assert.ok(stores.length > 0 && stores.length <= 12);
});

test('the layout of a block holds integers and nothing else', () => {
  const code = readFileSync(join(ROOT, 'asm/xdp-layout.ts'), 'utf8')
    .replace(/\/\*\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '');
  for (const line of code.split('\n').filter((text) => text.trim() !== '')) {
    assert.match(line, /^export const [A-Z][A-Z0-9_]* = [0-9]+;\s*$/);
  }
});
