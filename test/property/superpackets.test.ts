// segment, then encap, then settle: what the device read is on the wire as if each segment had come by itself,
// or as one superpacket where a kernel behind us splits it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { MERGE_TCP, MERGE_UDP, SEGMENT_LIMIT, SLOT_HEADROOM } from '../../asm/layout.js';
import { type Encapped, encapInto } from '../../src/packet/encap.js';
import { REASON } from '../../src/packet/reason.js';
import { segment } from '../../src/packet/segment.js';
import { createState, type TunnelState } from '../../src/packet/state.js';
import { createEntry } from '../../src/packet/table.js';
import { carries, type Tunnel } from '../../src/packet/tunnel.js';
import { tunnel } from '../support/arbitrary.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';
import { type Read, type Superpacket, superpacket, unfinished } from '../support/superpackets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const RECORD = 1;

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});
after(() => {
  for (const plane of planes) plane.assertCanaries();
});

/** What must become of one packet in the ring. */
interface Due {
  readonly result: Encapped;
  /** Packets and bytes that it counts for. */
  readonly packets: number;
  readonly bytes: number;
}

/** Every segment by itself. */
function dueSegments({ packet, header }: Read, near: Tunnel, state: TunnelState): Due[] {
  const isFrame = carries(near.mode) === 'ethernet';
  const segments = segment(packet, header, SEGMENT_LIMIT, isFrame) ?? [new Uint8Array(0)];
  return segments.map((bytes) => ({
    result: encapInto(bytes, createEntry(near), state),
    packets: 1,
    bytes: bytes.length,
  }));
}

/** The superpacket as it is, if it is of a kind to be kept. */
function dueWhole(read: Superpacket, near: Tunnel, keep: number, state: TunnelState): Due[] {
  const { packet, headers, size, count, kind } = read;
  const isKind = (keep & (kind === 'tcp' ? MERGE_TCP : MERGE_UDP)) !== 0;
  const fits = count > 1 && count <= SEGMENT_LIMIT && packet.length <= 65535 - SLOT_HEADROOM;
  if (!isKind || !fits || carries(near.mode) === 'ethernet') return dueSegments(read, near, state);
  const whole = { length: headers + size, count };
  const result = encapInto(packet, createEntry(near), state, whole);
  return [{ result, packets: count, bytes: packet.length + (count - 1) * headers }];
}

/** Takes one read packet through segment, encap and settle, and compares packets, verdicts and counters. */
function assertEncapped(plane: Plane, read: Read, keep: number, due: readonly Due[]): void {
  const ring = plane.rings.encap;
  const position = ring.filled;
  const was = plane.counters().records[RECORD];
  const packet = { bytes: read.packet, tunnel: RECORD };
  for (let index = 1; index < due.length; index++) {
    plane.use('encap', position + index, SLOT_HEADROOM + read.packet.length);
  }
  const count = plane.segment(packet, read.header, SEGMENT_LIMIT, keep);
  assert.equal(count, due.length, plane.codec.name);
  ring.publish(count);
  assert.equal(plane.codec.encap(ring.address), count);
  for (const [index, { result }] of due.entries()) {
    const at = (position + index) >>> 0;
    const expected = result.verdict === 'ok' ? 0 : REASON[result.reason];
    assert.equal(ring.reason(at), expected, `${plane.codec.name}: verdict on ${index}`);
    if (result.verdict === 'drop') continue;
    const found = plane.packet('encap', at);
    assert.equal(
      Buffer.compare(found, result.packet),
      0,
      `${plane.codec.name}: packet ${index}: ${Buffer.from(found.subarray(0, 100)).toString('hex')}, not ${Buffer.from(result.packet.subarray(0, 100)).toString('hex')}`,
    );
    assert.notEqual(ring.processedAddress(at), -1);
  }
  plane.codec.settle(ring.address, 1);
  assertCounted(plane, due, was);
  for (let index = 0; index < count; index++) plane.soil('encap', position + index);
}

function assertCounted(
  plane: Plane,
  due: readonly Due[],
  was: ReturnType<Plane['counters']>['records'][number] | undefined,
): void {
  const is = plane.counters().records[RECORD];
  assert.ok(is);
  const sent = due.filter(({ result }) => result.verdict === 'ok');
  const total = (of: (due: Due) => number): number => sent.reduce((sum, one) => sum + of(one), 0);
  assert.equal(
    is.tx.packets - (was?.tx.packets ?? 0),
    total(({ packets }) => packets),
  );
  assert.equal(
    is.tx.bytes - (was?.tx.bytes ?? 0),
    total(({ bytes }) => bytes),
  );
  const drops: Record<string, number> = { ...was?.encapDrops };
  for (const { result, packets } of due) {
    if (result.verdict === 'drop') drops[result.reason] = (drops[result.reason] ?? 0) + packets;
  }
  assert.deepEqual({ ...is.encapDrops }, drops);
}

/** Compares several packets in turn, so that sequence numbers and identifications go on. */
function assertAll<T extends Read>(
  near: Tunnel,
  reads: readonly T[],
  keep: number,
  dueOf: (read: T, state: TunnelState) => Due[],
): void {
  const state = createState().of(near, RECORD);
  const due = reads.map((read) => dueOf(read, state));
  for (const plane of planes) {
    plane.publish([near]);
    for (const [index, read] of reads.entries()) {
      assertEncapped(plane, read, keep, due[index] ?? []);
    }
  }
}

/** Any tunnel; as often one that checksums and lets segments through. */
const anyTunnel = fc.oneof(
  tunnel,
  fc
    .record({ pmtudisc: fc.boolean(), sequenceOut: fc.boolean(), checksumOut: fc.boolean() })
    .map((fields): Tunnel => ({ ...PLAIN_GRE, ...fields, keyOut: 42, mtu: 9000 })),
);

test('segments leave as if each had come by itself: outer headers, GRE checksum, sequence, counters', () => {
  const read: fc.Arbitrary<Read> = fc.oneof(superpacket, unfinished);
  const reads = fc.array(read, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(anyTunnel, reads, (near, list) => {
      assertAll(near, list, 0, (read, state) => dueSegments(read, near, state));
    }),
    { numRuns: 500 },
  );
});

test('a superpacket that is kept leaves whole: its MTU is that of a segment, it counts for all of them', () => {
  const keeps = fc.constantFrom(MERGE_TCP, MERGE_UDP, MERGE_TCP | MERGE_UDP);
  const reads = fc.array(superpacket, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(anyTunnel, keeps, reads, (near, keep, list) => {
      assertAll(near, list, keep, (read, state) => dueWhole(read, near, keep, state));
    }),
    { numRuns: 700 },
  );
});

test('the cases reach kept superpackets that go, are too big and take identifications', () => {
  const reached = new Map<string, number>();
  const cases = fc.tuple(anyTunnel, superpacket);
  for (const [near, read] of fc.sample(cases, { seed: 1, numRuns: 1000 })) {
    const keep = MERGE_TCP | MERGE_UDP;
    for (const { result, packets } of dueWhole(read, near, keep, createState().of(near, RECORD))) {
      if (packets === 1) continue;
      const outcome = result.verdict === 'ok' ? 'sent' : result.reason;
      const name =
        result.verdict === 'ok' && (result.packet[6] ?? 0) === 0 ? 'sent, with DF clear' : outcome;
      reached.set(name, (reached.get(name) ?? 0) + 1);
    }
  }
  for (const name of ['sent', 'sent, with DF clear', 'too-big', 'no-route', 'unknown-protocol']) {
    assert.ok((reached.get(name) ?? 0) >= 10, `${name}: ${reached.get(name)}`);
  }
});
