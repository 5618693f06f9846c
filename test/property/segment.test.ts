// segment in every build against the reference, and the reference against the stream it cuts.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import {
  DESCRIPTOR_SIZE,
  DEVICE_HEADER_SIZE,
  MERGE_TCP,
  MERGE_UDP,
  SEGMENT_LIMIT,
  SLOT_COUNT,
  SLOT_HEADROOM,
} from '../../asm/layout.js';
import { superpacket as readSuperpacket, segment } from '../../src/packet/segment.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { frame, internetChecksum } from '../support/packets.js';
import type { Plane } from '../support/plane.js';
import { CODECS, createPlanes } from '../support/planes.js';
import { nonsense, type Read, superpacket, unfinished } from '../support/superpackets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const TUNNEL = 3;
const KEEPS = [0, MERGE_TCP, MERGE_UDP, MERGE_TCP | MERGE_UDP];

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});
after(() => {
  for (const plane of planes) plane.assertCanaries();
});

/** One's-complement sum of a packet's words as they lie in memory, little-endian, folded. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) sum += (bytes[at] ?? 0) * (at % 2 === 0 ? 1 : 256);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/** Lets `plane` segment a packet and compares packets, descriptors and every byte around them. */
function assertSegments(
  plane: Plane,
  { packet, header }: Read,
  room: number,
  isFrame = false,
): void {
  const expected = segment(packet, header, room, isFrame) ?? [new Uint8Array(0)];
  const ring = plane.rings.encap;
  const position = ring.filled;
  const slots = Array.from({ length: SEGMENT_LIMIT + 2 }, (_, index) => position + index - 1);
  for (const at of slots) plane.soil('encap', at);
  const descriptors = plane.descriptors('encap');
  for (const [index, { length }] of expected.entries()) {
    if (index > 0) plane.use('encap', position + index, SLOT_HEADROOM + length);
  }
  const count = plane.segment({ bytes: packet, tunnel: TUNNEL, link: 9 }, header, room, 0);

  assert.equal(count, expected.length);
  assert.equal(ring.filled, position, 'nothing is published');
  for (const [index, bytes] of expected.entries()) {
    const at = (position + index) >>> 0;
    assert.notEqual(ring.processedAddress(at), -1);
    if (ring.payloadLength(at) > 0) assert.notEqual(ring.processedPayload(at), -1);
    assert.equal(Buffer.compare(plane.packet('encap', at), bytes), 0, `segment ${index}`);
    assert.equal(ring.tunnel(at), TUNNEL);
    assert.equal(ring.reason(at), 0);
    assert.equal(ring.packets(at), 1);
    if (bytes.length > 0) assert.equal(plane.innerLength('encap', at), bytes.length);
    const size = plane.bytes.subarray(ring.deviceHeader(at) + 4, ring.deviceHeader(at) + 6);
    assert.deepEqual([...size], [0, 0], 'gso_size: it is no superpacket any more');
    const sum = plane.sum('encap', at);
    if (sum !== 0) assert.equal(sum, sumOf(bytes), 'the noted sum');
    if (ring.payloadLength(at) > 0) assert.notEqual(sum, 0, 'nobody sums what is in two pieces');
  }
  assertOthers(plane, descriptors, position, count);
  for (const at of slots) plane.assertSlot('encap', at);
  const home = ring.packetAddress(position) - SLOT_HEADROOM;
  assert.ok(plane.bytes.subarray(home, home + SLOT_HEADROOM).every((byte) => byte === 0xa5));
  ring.publish(count);
  ring.restore(ring.filled, ring.filled, ring.filled);
}

/** No descriptor changed but those of the `count` slots from `position` on. */
function assertOthers(plane: Plane, was: Uint8Array, position: number, count: number): void {
  const is = plane.descriptors('encap');
  for (let index = 0; index < count; index++) {
    const start = ((position + index) & (SLOT_COUNT - 1)) * DESCRIPTOR_SIZE;
    was.set(is.subarray(start, start + DESCRIPTOR_SIZE), start);
  }
  assert.equal(Buffer.compare(is, was), 0, 'descriptors of other slots');
}

for (const [what, packets, runs] of [
  ['superpacket', superpacket, 1000],
  ['packet whose checksum is left open', unfinished, 500],
  ['packet with a device header that lies', nonsense, 2500],
] as const) {
  for (const name of CODECS) {
    test(`${name} makes of every ${what} what the reference makes, and touches nothing else`, () => {
      const plane = planes.find(({ codec }) => codec.name === name);
      assert.ok(plane);
      const room = fc.constantFrom(SEGMENT_LIMIT, SEGMENT_LIMIT, 1, 2, 40);
      fc.assert(
        fc.property(packets, room, (read: Read, limit) => assertSegments(plane, read, limit)),
        { numRuns: runs },
      );
    });
  }
}

for (const name of CODECS) {
  test(`${name} makes of every frame what the reference makes, and touches nothing else`, () => {
    const plane = planes.find(({ codec }) => codec.name === name);
    assert.ok(plane);
    const packets = fc.oneof(superpacket, unfinished, nonsense);
    const room = fc.constantFrom(SEGMENT_LIMIT, SEGMENT_LIMIT, 2);
    const tags = fc.constantFrom([], [], [7], [7, 8], [7, 8, 9]);
    const tap: Tunnel = { ...PLAIN_GRE, mode: 'gretap' };
    plane.publish([undefined, undefined, tap]);
    fc.assert(
      fc.property(packets, room, tags, (read: Read, limit, vlans) => {
        assertSegments(plane, inFrame(read, vlans), limit, true);
      }),
      { numRuns: 1500 },
    );
    plane.publish([]);
  });
}

/** The packet in an Ethernet frame; its device header counts from there. */
function inFrame({ packet, header }: Read, tags: readonly number[]): Read {
  const whole = frame({ tags, payload: packet });
  const link = whole.length - packet.length;
  const moved = header.slice();
  const view = new DataView(moved.buffer);
  view.setUint16(6, (view.getUint16(6, true) + link) & 0xffff, true);
  return { packet: whole, header: moved };
}

test('a frame is split as its packet is, each segment behind the same Ethernet header', () => {
  fc.assert(
    fc.property(superpacket, (read) => {
      const { packet, header } = inFrame(read, [7]);
      const frames = segment(packet, header, SEGMENT_LIMIT, true);
      const packets = segment(read.packet, read.header, SEGMENT_LIMIT);
      const link = packet.subarray(0, 18);
      assert.deepEqual(frames, packets?.map((one) => Uint8Array.from([...link, ...one])) ?? null);
    }),
    { numRuns: 200 },
  );
});

test('a superpacket that is to be kept stays as it is in every build, and is described', () => {
  fc.assert(
    fc.property(superpacket, fc.constantFrom(...KEEPS), (read, keep) => {
      const { packet, header, headers, size, count, kind } = read;
      fc.pre(count > 1 && (keep & (kind === 'tcp' ? MERGE_TCP : MERGE_UDP)) !== 0);
      fc.pre(count <= SEGMENT_LIMIT && packet.length <= 65535 - SLOT_HEADROOM);
      assert.deepEqual(readSuperpacket(packet, header), { kind, headers, size, count });
      // What the kernel says of the length of the headers is a hint that may be wrong.
      const hinted = header.slice();
      hinted.set([0xff, 0xff], 2);
      for (const plane of planes) {
        const ring = plane.rings.encap;
        const position = ring.filled;
        assert.equal(plane.segment({ bytes: packet, tunnel: TUNNEL }, hinted, 1, keep), 1);
        assert.equal(Buffer.compare(plane.packet('encap', position), packet), 0);
        const at = ring.deviceHeader(position);
        assert.deepEqual(plane.bytes.slice(at, at + DEVICE_HEADER_SIZE), header);
        assert.equal(ring.packets(position), count);
        assert.equal(
          plane.innerLength('encap', position),
          packet.length + (count - 1) * headers,
          'what its segments add up to',
        );
        plane.assertSlot('encap', position);
        plane.assertSlot('encap', position + 1);
      }
    }),
    { numRuns: 500 },
  );
});

test('a superpacket too long for its outer headers, or of too many segments, is not kept', () => {
  fc.assert(
    fc.property(superpacket, (read) => {
      const { packet, header, count } = read;
      fc.pre(count > SEGMENT_LIMIT || packet.length > 65535 - SLOT_HEADROOM);
      for (const plane of planes) {
        const ring = plane.rings.encap;
        const position = ring.filled;
        const found = plane.segment({ bytes: packet, tunnel: TUNNEL }, header, SEGMENT_LIMIT, 3);
        const due = segment(packet, header, SEGMENT_LIMIT) ?? [new Uint8Array(0)];
        assert.equal(found, due.length);
        assert.equal(Buffer.compare(plane.packet('encap', position), due[0] ?? packet), 0);
        for (let index = 0; index < found; index++) {
          plane.use('encap', position + index, SLOT_HEADROOM + packet.length);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('whatever a device header says, all builds keep, split and refuse the same', () => {
  const room = fc.constantFrom(SEGMENT_LIMIT, 1, 2);
  fc.assert(
    fc.property(nonsense, fc.constantFrom(...KEEPS), room, ({ packet, header }, keep, limit) => {
      const found = planes.map((plane) => {
        const ring = plane.rings.encap;
        const position = ring.filled;
        const count = plane.segment({ bytes: packet, tunnel: TUNNEL }, header, limit, keep);
        return Array.from({ length: count }, (_, index) => {
          const at = (position + index) >>> 0;
          plane.use('encap', at, SLOT_HEADROOM + packet.length);
          const bytes = Buffer.from(plane.packet('encap', at)).toString('latin1');
          const device = plane.bytes.subarray(ring.deviceHeader(at), ring.deviceHeader(at) + 6);
          const size = bytes === '' ? 0 : plane.innerLength('encap', at);
          const kept = (device[4] ?? 0) | ((device[5] ?? 0) << 8);
          return { bytes, packets: ring.packets(at), size, kept };
        });
      });
      assert.deepEqual(found[1], found[0]);
      assert.deepEqual(found[2], found[0]);
    }),
    { numRuns: 1500 },
  );
});

test('the segments of a superpacket are its stream again, in order, with right checksums', () => {
  fc.assert(
    fc.property(superpacket, ({ packet, header, kind, start, headers, size }) => {
      const segments = segment(packet, header, 1 << 16);
      assert.ok(segments);
      const whole = Buffer.from(packet);
      const stream: Uint8Array[] = [];
      let offset = 0;
      for (const [index, bytes] of segments.entries()) {
        const found = Buffer.from(bytes);
        const payload = found.subarray(headers);
        const isLast: boolean = index === segments.length - 1;
        assert.ok(payload.length === size || (isLast && payload.length <= size));
        assert.equal(upperChecksum(found, start, kind), 0, 'transport checksum');
        if (whole.readUInt8(0) >>> 4 === 4) {
          assert.equal(internetChecksum(found.subarray(0, start)), 0, 'IPv4 checksum');
          assert.equal(found.readUInt16BE(2), found.length);
          assert.equal(found.readUInt16BE(4), (whole.readUInt16BE(4) + index) & 0xffff);
        } else {
          assert.equal(found.readUInt16BE(4), found.length - 40);
        }
        if (kind === 'udp') {
          assert.equal(found.readUInt16BE(start + 4), found.length - start);
          assert.notEqual(found.readUInt16BE(start + 6), 0);
        } else {
          const sequence = (whole.readUInt32BE(start + 4) + offset) >>> 0;
          assert.equal(found.readUInt32BE(start + 4), sequence);
          const unset: number = (isLast ? 0 : 0x09) | (index === 0 ? 0 : 0x80); // FIN and PSH; CWR
          assert.equal(found[start + 13], whole.readUInt8(start + 13) & ~unset);
        }
        offset += payload.length;
        stream.push(payload);
      }
      assert.deepEqual(Buffer.concat(stream), whole.subarray(headers));
    }),
    { numRuns: 300 },
  );
});

test('the random superpackets reach every shape', () => {
  const reached = new Map<string, number>();
  const count = (name: string, is: boolean): void => {
    if (is) reached.set(name, (reached.get(name) ?? 0) + 1);
  };
  for (const read of fc.sample(superpacket, { seed: 1, numRuns: 2000 })) {
    const { packet, kind, start, headers, size } = read;
    const version = (packet[0] ?? 0) >>> 4;
    count(`${kind} over IPv${version}`, true);
    count('one segment', read.count === 1);
    count(`${SEGMENT_LIMIT} segments`, read.count === SEGMENT_LIMIT);
    count('more than fit the slots', read.count > SEGMENT_LIMIT);
    count('IP options or extension headers', start !== (version === 4 ? 20 : 40));
    count('TCP options', kind === 'tcp' && headers - start > 20);
    count('odd sizes', read.count > 1 && size % 2 === 1);
    count('a shorter last segment', (packet.length - headers) % size !== 0);
    count('as long as a packet can be', packet.length === 65535);
  }
  for (const [name, times] of reached) assert.ok(times >= 15, `${name}: ${times}`);
  assert.equal(reached.size, 12, [...reached.keys()].join(', '));
});

/** 0 when the transport checksum of a packet is right. */
function upperChecksum(packet: Buffer, start: number, kind: 'tcp' | 'udp'): number {
  const isFour = packet.readUInt8(0) >>> 4 === 4;
  const upper = packet.subarray(start);
  const rest = Buffer.from([0, kind === 'tcp' ? 6 : 17, upper.length >>> 8, upper.length & 0xff]);
  const addresses = isFour ? packet.subarray(12, 20) : packet.subarray(8, 40);
  return internetChecksum(Buffer.concat([addresses, rest, upper]));
}
