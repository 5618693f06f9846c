// Two AF_XDP sockets on a virtual cable between two namespaces; asm/xdp.ts moves packets between their rings and
// the slots of two lanes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SUM,
  DESCRIPTOR_TUNNEL,
  RING_DESCRIPTORS,
  RING_SLOTS,
  SLOT_COUNT,
  SLOT_STRIDE,
} from '../../../asm/layout.js';
import {
  REASON_ECN,
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TX_ENOBUFS,
} from '../../../asm/reason.js';
import { XDP_NEED_WAKEUP } from '../../../asm/xdp-layout.js';
import { Ring } from '../../../src/ring/ring.js';
import type { XskPlan } from '../../../src/ring/xsk-plan.js';
import { readXskCounters } from '../../../src/underlay/xdp/xsk-rings.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import { SecondNamespace } from '../../support/second-namespace.js';
import {
  bytes,
  CANARY,
  CANARY_SIZE,
  canaries,
  End,
  ETHERNET_LENGTH,
  fillPacket,
  freeFrames,
  HEADER,
  lengthOf,
  memory,
  memoryPlan,
  plans,
  RECEIVE_FRAMES,
  RECORD,
  receiveAll,
  SEND_FRAMES,
  SIZE,
  view,
  words,
} from '../../support/xsk-end.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
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

function withEnds(use: (a: End, b: End) => void): void {
  const [planA, planB] = plans as [XskPlan, XskPlan];
  for (const from of canaries) bytes.fill(CANARY, from, from + CANARY_SIZE);
  const a = new End(planA, 0, 'u0');
  assert.ok(second);
  const b = second.enter(() => new End(planB, 1, 'u1'));
  try {
    use(a, b);
    for (const from of canaries) {
      assert.ok(bytes.subarray(from, from + CANARY_SIZE).every((byte) => byte === CANARY));
    }
    for (const { xsk } of [a, b]) {
      const { fillInvalid, transmitInvalid } = xsk.statistics();
      assert.deepEqual([fillInvalid, transmitInvalid], [0, 0]);
    }
  } finally {
    a.close();
    b.close();
  }
}

test('a hundred thousand packets go from slots to slots, byte for byte', { skip }, () => {
  withEnds((a, b) => {
    const total = 100_000;
    let sent = 0;
    let received = 0;
    let rounds = 0;
    while (received < total) {
      // Batches of every size up to half of the kernel's ring, so that all rings wrap anywhere.
      const wanted = Math.min(1 + (rounds++ % 64), total - sent);
      const batch = a.fill(sent, wanted);
      assert.equal(a.transmit(batch), wanted);
      sent += wanted;
      for (let kick = a.xsk.kick(); kick !== 'done'; kick = a.xsk.kick()) {
        assert.equal(kick, 'again');
        received += receiveAll(b, received);
      }
      received += receiveAll(b, received);
    }
    assert.equal(sent, total);
    a.module.complete(a.plan.block);
    const counters = readXskCounters(memory, a.plan);
    let size = 0;
    for (let n = 0; n < total; n++) size += ETHERNET_LENGTH + lengthOf(n);
    assert.deepEqual(counters.sent, { frames: total, bytes: size });
    assert.deepEqual(
      [counters.completed, counters.inFlight, counters.free],
      [total, 0, SEND_FRAMES],
    );
    const all = Array.from({ length: SEND_FRAMES }, (_, n) => RECEIVE_FRAMES + n);
    assert.deepEqual(
      freeFrames(a).sort((x, y) => x - y),
      all,
      'each frame came back once',
    );
    assert.deepEqual(readXskCounters(memory, b.plan).received, counters.sent);
    const { receiveDropped, receiveRingFull } = b.xsk.statistics();
    assert.deepEqual([receiveDropped, receiveRingFull], [0, 0]);
  });
});

test('a received packet is described as one that Ring.fill describes, and no further', {
  skip,
}, () => {
  withEnds((a, b) => {
    const other = memoryPlan.lanes[0];
    assert.ok(other);
    // A ring whose descriptors were all ones, filled by the host.
    const reference = new Ring(memory, other.decap);
    const descriptorOf = (ring: Ring, position: number): number =>
      (words[(ring.address + RING_DESCRIPTORS) >>> 2] ?? 0) +
      (position & (SLOT_COUNT - 1)) * DESCRIPTOR_SIZE;
    for (const { address } of [reference, b.decap]) {
      const start = words[(address + RING_DESCRIPTORS) >>> 2] ?? 0;
      bytes.fill(0xff, start, start + SLOT_COUNT * DESCRIPTOR_SIZE);
    }
    a.transmit(a.fill(1, 1));
    a.kick();
    const { from, count } = b.receive(9);
    assert.equal(count, 1);
    reference.fill(from, lengthOf(1), 0, b.link);
    const expected = bytes.slice(descriptorOf(reference, from)).subarray(0, DESCRIPTOR_SIZE);
    const address = b.decap.processedAddress(from);
    new DataView(expected.buffer).setUint32(DESCRIPTOR_ADDRESS, address, true);
    const start = descriptorOf(b.decap, from);
    assert.deepEqual(bytes.slice(start, start + DESCRIPTOR_SIZE), expected);
    // What is compared is what is meant: each field, and none of the codec's (EMIT, NEXT, MERGED).
    const word = (offset: number): number => view.getUint32(start + offset, true);
    const fields = [
      DESCRIPTOR_LENGTH,
      DESCRIPTOR_TUNNEL,
      DESCRIPTOR_REASON,
      DESCRIPTOR_INNER_LENGTH,
      DESCRIPTOR_LINK,
      DESCRIPTOR_PAYLOAD_LENGTH,
      DESCRIPTOR_SUM,
    ].map(word);
    const length = lengthOf(1);
    assert.deepEqual(fields, [length, 0, 0, length, b.link, 0, 0]);
    assert.equal(view.getUint16(start + DESCRIPTOR_PACKETS, true), 1);
    const next = bytes.subarray(start + DESCRIPTOR_SIZE, start + 2 * DESCRIPTOR_SIZE);
    assert.ok(
      next.every((byte) => byte === 0xff),
      'the next slot',
    );
    b.release(from, 1);
  });
});

test('what cannot be sent gets its reason, and the packets around it go', { skip }, () => {
  withEnds((a, b) => {
    const { from, to } = a.fill(0, 6);
    const at = (n: number): number => (from + n) >>> 0;
    a.encap.setReason(at(1), REASON_ECN);
    const unknown = a.encap.packetAddress(at(2));
    bytes.set(HEADER, unknown);
    a.encap.fill(at(2), 100, RECORD + 1, 0);
    a.encap.fill(at(3), SIZE.frameSize - ETHERNET_LENGTH + 1, RECORD, 0);
    fillPacket(a.encap, at(4), 1);
    fillPacket(a.encap, at(5), 2);
    assert.equal(a.transmit({ from, to }), 3);
    const reasons = Array.from({ length: 6 }, (_, n) => a.encap.reason(at(n)));
    const expected = [REASON_NONE, REASON_ECN, REASON_NO_ROUTE, REASON_TOO_BIG, 0, 0];
    assert.deepEqual(reasons, expected);
    a.kick();
    assert.equal(receiveAll(b, 0), 3);
  });
});

test('a full transmit ring takes no more, and takes again when it has been kicked', {
  skip,
}, () => {
  withEnds((a, b) => {
    const first = a.fill(0, SIZE.sendFrames + 9);
    assert.equal(a.transmit(first), SIZE.sendFrames);
    const reasons = Array.from({ length: SIZE.sendFrames + 9 }, (_, n) =>
      a.encap.reason((first.from + n) >>> 0),
    );
    const full = new Array<number>(9).fill(REASON_TX_ENOBUFS);
    assert.deepEqual(reasons, [...new Array<number>(SIZE.sendFrames).fill(REASON_NONE), ...full]);
    assert.equal(a.transmit(a.fill(0, 1)), 0);
    a.kick();
    assert.equal(receiveAll(b, 0), SIZE.sendFrames);
    assert.equal(a.transmit(a.fill(0, 64)), 64, 'completed frames are used again');
    a.kick();
    assert.equal(receiveAll(b, 0), 64);
  });
});

test('frames are given back once, and without them the kernel has nowhere to receive', {
  skip,
}, () => {
  withEnds((a, b) => {
    a.transmit(a.fill(0, RECEIVE_FRAMES));
    a.kick();
    const held = b.receive(100);
    const rest = b.receive(100);
    assert.deepEqual([held.count, rest.count], [100, RECEIVE_FRAMES - 100]);
    a.transmit(a.fill(0, 1));
    a.kick();
    assert.equal(b.receive(100).count, 0, 'no frame to receive into');
    assert.ok(b.xsk.statistics().fillRingEmpty > 0);

    assert.equal(b.release(held.from, 40), 40);
    assert.equal(b.release(held.from, 100), 60, 'those that are still held');
    assert.equal(b.release(held.from, 100), 0);
    assert.equal(b.release((rest.from - 3) >>> 0, rest.count + 3), rest.count);
    a.transmit(a.fill(0, RECEIVE_FRAMES));
    a.kick();
    assert.equal(receiveAll(b, 0), RECEIVE_FRAMES);
  });
});

test('whether the driver wants to be woken is what the flag of its fill ring says', {
  skip,
}, () => {
  withEnds(({ module, plan: { block }, xsk }) => {
    const flags = xsk.rings.fill.flags >>> 2;
    assert.equal(module.needsReceiveWakeup(block), 0, 'never, in copy mode');
    words[flags] = XDP_NEED_WAKEUP;
    assert.equal(module.needsReceiveWakeup(block), 1);
    assert.equal(xsk.wakeReceive(), 'done');
    words[flags] = 0;
  });
});

test('a completion that names no frame of ours writes nothing past the free stack', {
  skip,
}, () => {
  withEnds(({ module, plan: { block, free, umem }, xsk }) => {
    // Where the kernel keeps its hands off: nothing was sent.
    const { completion } = xsk.rings;
    const stackEnd = (free >>> 2) + SIZE.receiveFrames + SIZE.sendFrames;
    const behind = words[stackEnd];
    for (let n = 0; n < SIZE.sendFrames * 2; n++) {
      const entry = (completion.descriptors >>> 2) + (n & completion.mask) * 2;
      words[entry] = 5 * SIZE.frameSize + 33;
      words[entry + 1] = 0;
      Atomics.store(words, completion.producer >>> 2, n + 1);
      assert.equal(module.complete(block), 1);
    }
    assert.equal(
      readXskCounters(memory, plans[0] as XskPlan).free,
      SIZE.receiveFrames + SIZE.sendFrames,
    );
    assert.equal(words[(free >>> 2) + SEND_FRAMES], umem + 5 * SIZE.frameSize, 'its first byte');
    assert.equal(words[stackEnd], behind);
  });
});

test('slots of the lanes are read and never written', { skip }, () => {
  withEnds((a, b) => {
    const slots = words[(b.decap.address + RING_SLOTS) >>> 2] ?? 0;
    bytes.fill(0x5a, slots, slots + SLOT_COUNT * SLOT_STRIDE);
    a.transmit(a.fill(0, 64));
    a.kick();
    assert.equal(receiveAll(b, 0), 64);
    const written = bytes.subarray(slots, slots + SLOT_COUNT * SLOT_STRIDE);
    assert.equal(Buffer.from(written.slice()).equals(Buffer.alloc(written.length, 0x5a)), true);
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
      'receiveSlots',
      'releaseSlots',
      'needsReceiveWakeup',
      'transmitSlots',
      'complete',
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
