// All 65536 flag words with 0 to 40 bytes behind the outer header: 2.7 million packets a build.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SLOT_COUNT } from '../../asm/layout.js';
import { reasonName } from '../../src/packet/reason.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { assertProcessed, Oracle } from '../support/oracle.js';
import { internetChecksum, ipv4 } from '../support/packets.js';
import type { Filled, Plane, Processed } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const LONGEST = 40;
const KEY = 42;

const KEYLESS: Tunnel = { ...PLAIN_GRE, name: 'keyless' };
const KEYED: Tunnel = { ...KEYLESS, name: 'keyed', keyIn: KEY, keyOut: KEY };
const TUNNELS = [KEYLESS, KEYED];

let planes: Plane[] = [];
before(() => {
  planes = createPlanes(['simd', 'scalar']);
});

/** Outer packets that carry 0 to 40 bytes, still zero. */
const OUTERS = Array.from({ length: LONGEST + 1 }, (_, length) =>
  ipv4({
    source: '198.51.100.2',
    destination: '192.0.2.1',
    protocol: 47,
    payload: new Uint8Array(length),
  }),
);
/** Whole inner packets of 20 to 36 bytes, for every room that a header of 4 to 16 bytes leaves. */
const INNERS = Array.from({ length: LONGEST + 1 }, (_, length) =>
  ipv4({
    source: '10.1.1.5',
    destination: '10.2.2.9',
    payload: new Uint8Array(Math.max(0, length - 20)).fill(0x5a),
  }),
);

/** A packet with these flags and everything else right, as far as `length` bytes reach. */
function packet(flags: number, length: number): Uint8Array {
  const bytes = OUTERS[length]?.slice() ?? new Uint8Array(0);
  const gre = new Uint8Array(56);
  const view = new DataView(gre.buffer);
  view.setUint16(0, flags);
  view.setUint16(2, 0x0800);
  let offset = flags & 0x8000 ? 8 : 4;
  if (flags & 0x2000) {
    view.setUint32(offset, KEY);
    offset += 4;
  }
  if (flags & 0x1000) {
    view.setUint32(offset, 7);
    offset += 4;
  }
  gre.set(INNERS[Math.max(20, length - offset)] ?? [], offset);
  if (flags & 0x8000 && length >= 8) view.setUint16(4, internetChecksum(gre.subarray(0, length)));
  bytes.set(gre.subarray(0, length), 20);
  return bytes;
}

/** RFC 2784 and 2890 once more, in one line each. */
function expectedReason(flags: number, length: number): string | null {
  if (length < 4) return 'gre-truncated';
  if (flags & 0x0007) return 'gre-version';
  if (flags & 0x4000) return 'gre-routing-present';
  const header = 4 + [0x8000, 0x2000, 0x1000].filter((bit) => flags & bit).length * 4;
  if (length < header) return 'gre-truncated';
  if (flags & 0x0c00) return 'gre-reserved-bits';
  return length - header < 20 ? 'inner-truncated' : null;
}

test('every flag word with 0 to 40 bytes gets the same verdict from simd, scalar and reference', () => {
  const oracle = new Oracle(TUNNELS);
  for (const plane of planes) plane.publish(TUNNELS);
  const before = planes.map((plane) => plane.counters());
  let batch: Filled[] = [];
  let expected: Processed[] = [];
  const flush = (): void => {
    for (const plane of planes) {
      for (const [index, processed] of plane.run('decap', batch).entries()) {
        const wanted = expected[index];
        assert.ok(wanted);
        assertProcessed(processed, wanted, plane.codec.name);
      }
    }
    batch = [];
    expected = [];
  };
  for (let flags = 0; flags <= 0xffff; flags++) {
    for (let length = 0; length <= LONGEST; length++) {
      const filled = { bytes: packet(flags, length) };
      const wanted = oracle.expect('decap', filled);
      if (reasonName(wanted.reason) !== expectedReason(flags, length)) {
        assert.fail(`flags ${flags.toString(16)}, ${length} bytes: ${reasonName(wanted.reason)}`);
      }
      batch.push(filled);
      expected.push(wanted);
      if (batch.length === SLOT_COUNT) flush();
    }
  }
  flush();
  for (const [index, plane] of planes.entries()) {
    const counted = before[index];
    assert.ok(counted);
    oracle.assertCounters(counted, plane.counters());
    plane.assertCanaries();
  }
});
