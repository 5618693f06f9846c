// The recorder's module alone: its border, and descriptors that no sound codec leaves.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { DESCRIPTOR_SIZE, RING_DESCRIPTORS, SLOT_COUNT } from '../../asm/layout.js';
import {
  REASON_CODEC_FAULT,
  REASON_COUNT,
  REASON_INNER_TTL,
  REASON_NONE,
  REASON_TX_ERROR,
} from '../../asm/reason.js';
import { Recorder } from '../../src/lane/recorder.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { RecorderReader, recorderRecords } from '../../src/ring/recorder.js';
import { Ring } from '../../src/ring/ring.js';
import { ipv4 } from '../support/packets.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Twice its size today. */
const LARGEST = 6000;
const KEPT = 8;

test('the module imports the memory, exports its three functions, and holds nothing', () => {
  const bytes = readFileSync(join(ROOT, 'dist/asm/recorder.wasm'));
  const module = new WebAssembly.Module(bytes);
  assert.deepEqual(WebAssembly.Module.imports(module), [
    { module: 'env', name: 'memory', kind: 'memory' },
  ]);
  assert.deepEqual(
    WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`),
    ['function note', 'function take', 'function finish'],
  );
  assert.ok(bytes.length < LARGEST, `${bytes.length} bytes`);
});

function openBench() {
  const records = recorderRecords(4);
  const plan = planMemory(1, () => {}, { packets: KEPT, records });
  const [lane] = plan.lanes;
  assert.ok(lane.recorder);
  const memory = createMemory(plan);
  const words = new Uint32Array(memory.buffer);
  return {
    ...{ memory, words, records },
    bytes: new Uint8Array(memory.buffer),
    recorder: new Recorder(memory, lane.recorder),
    reader: new RecorderReader(memory, lane.recorder),
    encap: new Ring(memory, lane.encap),
    decap: new Ring(memory, lane.decap),
  };
}

const PACKET = ipv4({ source: '10.1.0.1', destination: '10.2.0.1', payload: new Uint8Array(40) });

/** Fills `count` packets in, for `record`. */
function fill(
  { bytes }: ReturnType<typeof openBench>,
  ring: Ring,
  count: number,
  record = 1,
): void {
  for (let position = 0; position < count; position++) {
    bytes.set(PACKET, ring.packetAddress(position));
    ring.fill(position, PACKET.length, record, 0);
  }
  ring.publish(count);
}

test('whatever a codec leaves of descriptors: no trap, nothing written elsewhere, every reason told', () => {
  const bench = openBench();
  const { words, bytes, recorder, reader, encap, decap, records, memory } = bench;
  const word = fc.oneof(
    fc.nat(0xffffffff),
    fc.constantFrom(0, 1, 0xffffffff, memory.buffer.byteLength - 1, memory.buffer.byteLength),
  );
  const descriptor = fc.array(word, {
    minLength: DESCRIPTOR_SIZE / 4,
    maxLength: DESCRIPTOR_SIZE / 4,
  });
  const counters = bytes.slice(0, 4096);
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(descriptor, { minLength: 1, maxLength: 40 }),
      (isDecap, found) => {
        const ring = isDecap ? decap : encap;
        ring.restore(0, 0, 0);
        fill(bench, ring, found.length);
        recorder.filled(ring, isDecap);
        const at = words[(ring.address + RING_DESCRIPTORS) >>> 2] ?? 0;
        found.forEach((values, index) => {
          words.set(values, (at + index * DESCRIPTOR_SIZE) >>> 2);
        });
        ring.restore(found.length, found.length, 0);
        recorder.taken(ring);
        recorder.done(ring);
        for (let record = 0; record < records; record += 97) {
          for (const { reason = -1, bytes: kept, packets } of reader.read(record)) {
            assert.ok(reason >= 0 && reason < 48 && kept.length <= 128 && packets <= 0xffff);
          }
        }
        assert.deepEqual(bytes.slice(0, 4096), counters);
      },
    ),
    { numRuns: 300 },
  );
  const last = reader.read(0).filter(({ reason }) => reason === REASON_CODEC_FAULT);
  assert.ok(last.length > 0 && REASON_CODEC_FAULT < REASON_COUNT);
});

test('packets whose verdict is not there yet are shown as under way, and then as what became of them', () => {
  const bench = openBench();
  const { recorder, reader, encap: ring } = bench;
  fill(bench, ring, 3);
  recorder.filled(ring, false);
  ring.restore(3, 3, 0);
  recorder.taken(ring);
  assert.deepEqual(
    reader.read(1).map(({ reason, endNs }) => [reason, endNs]),
    Array(3).fill([undefined, undefined]),
  );
  recorder.done(ring);
  assert.deepEqual(
    reader.read(1).map(({ reason }) => reason),
    Array(3).fill(REASON_NONE),
  );
  assert.deepEqual(
    reader.read(1).map(({ bytes }) => bytes),
    Array(3).fill(PACKET),
  );
});

test('what is refused in the end is told of the packet that was refused, whoever took its place', () => {
  const bench = openBench();
  const { recorder, reader, encap: ring, bytes } = bench;
  const count = 64;
  fill(bench, ring, count);
  for (let position = 0; position < count; position++) {
    ring.fill(position, PACKET.length, 1 + (position % 2), 0); // of two tunnels in turn: none follows its own
    bytes[ring.packetAddress(position) + 5] = position;
  }
  recorder.filled(ring, false);
  ring.restore(count, count, 0);
  ring.setReason(2, REASON_INNER_TTL);
  recorder.taken(ring);
  for (const position of [4, 6, 62]) ring.setReason(position, REASON_TX_ERROR);
  recorder.done(ring);
  const told = (record: number, isDropped: boolean): (number | undefined)[][] =>
    reader
      .read(record)
      .filter(({ reason }) => (reason === REASON_NONE) !== isDropped)
      .map(({ bytes: kept, reason }) => [kept[5], reason])
      .sort(([a = 0], [b = 0]) => a - b);
  const refused = [4, 6, 62].map((position) => [position, REASON_TX_ERROR]);
  assert.deepEqual(told(1, true), [[2, REASON_INNER_TTL], ...refused]);
  const sent = (from: number, end: number): number[][] =>
    Array.from({ length: count }, (_, position) => [position, REASON_NONE]).filter(
      ([position = 0]) => position >= from && position < end && position % 2 === from % 2,
    );
  assert.deepEqual(told(1, false), sent(48, 62));
  assert.deepEqual(told(2, false), sent(49, 64));
  assert.deepEqual(told(2, true), []);
});

test('a storm of drops leaves the last ones, each once', () => {
  const bench = openBench();
  const { recorder, reader, encap: ring, bytes } = bench;
  const count = 40;
  fill(bench, ring, count);
  for (let position = 0; position < count; position++) {
    bytes[ring.packetAddress(position) + 5] = position;
    ring.setReason(position, REASON_INNER_TTL);
  }
  recorder.filled(ring, false);
  ring.restore(count, count, 0);
  recorder.taken(ring);
  recorder.done(ring);
  const kept = reader.read(1).map(({ bytes: one }) => one[5]);
  assert.deepEqual(
    kept,
    Array.from({ length: KEPT }, (_, n) => count - KEPT + n),
  );
  assert.equal(reader.dropped(1), count);
});

test('records beyond those that rings were planned for are left out', () => {
  const bench = openBench();
  const { recorder, reader, encap: ring, records } = bench;
  fill(bench, ring, SLOT_COUNT / 2, records);
  recorder.filled(ring, false);
  ring.restore(SLOT_COUNT / 2, SLOT_COUNT / 2, 0);
  recorder.taken(ring);
  recorder.done(ring);
  assert.deepEqual(reader.read(records), []);
  assert.equal(reader.dropped(records), 0);
});
