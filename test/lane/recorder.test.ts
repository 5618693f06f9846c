// The recorder's module alone: its border, and descriptors that no sound codec leaves.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { DESCRIPTOR_SIZE, RING_DESCRIPTORS, SLOT_COUNT } from '../../asm/layout.js';
import { REASON_CODEC_FAULT, REASON_COUNT, REASON_NONE } from '../../asm/reason.js';
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
