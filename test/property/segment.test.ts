// segment in every build against the reference, and the reference against the stream it cuts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEVICE_HEADER_SIZE, SEGMENT_LIMIT, SLOT_HEADROOM } from '../../asm/layout.js';
import { loadBuild, openCodec } from '../../src/codec/builds.js';
import { Scratch } from '../../src/codec/scratch.js';
import { segment } from '../../src/packet/segment.js';
import { internetChecksum, ipv4, ipv6, tcp, udp } from '../support/packets.js';

const BUILDS = ['simd', 'scalar', 'js'] as const;
const CANARY = 0xa5;
const GUARD = 64;
const SOURCE4 = Uint8Array.of(10, 1, 1, 5);
const DESTINATION4 = Uint8Array.of(10, 2, 2, 9);
const SOURCE6 = '20010db8000a00000000000000000005';
const DESTINATION6 = '20010db8000b00000000000000000009';

interface Read {
  readonly packet: Uint8Array;
  readonly header: Uint8Array;
}

function deviceHeader(fields: {
  flags: number;
  type: number;
  headers: number;
  size: number;
  start: number;
  field: number;
}): Uint8Array {
  const view = new DataView(new ArrayBuffer(DEVICE_HEADER_SIZE));
  view.setUint8(0, fields.flags);
  view.setUint8(1, fields.type);
  view.setUint16(2, fields.headers, true);
  view.setUint16(4, fields.size, true);
  view.setUint16(6, fields.start, true);
  view.setUint16(8, fields.field, true);
  return new Uint8Array(view.buffer);
}

/** TCP of any size with the header that asks to split it. */
const superpacket: fc.Arbitrary<Read> = fc
  .record({
    version: fc.constantFrom(4, 6),
    headerWords: fc.constantFrom(5, 8, 15),
    size: fc.oneof(fc.constantFrom(1, 7, 536, 1400, 1436, 1448), fc.integer({ min: 1, max: 2000 })),
    count: fc.integer({ min: 1, max: SEGMENT_LIMIT }),
    last: fc.double({ min: 0, max: 1, noNaN: true }),
    flags: fc.integer({ min: 0, max: 255 }),
    sequence: fc.constantFrom(0, 0x7fffff00, 0xffffff00, 0xffffffff),
    identification: fc.constantFrom(0, 1, 0xfffe, 0xffff),
    fill: fc.integer({ min: 0, max: 255 }),
  })
  .map((fields) => {
    const own = fields.headerWords * 4;
    const most = 65000 - 60 - own;
    const wanted = (fields.count - 1) * fields.size + Math.ceil(fields.size * fields.last);
    const payload = new Uint8Array(own - 20 + Math.min(most, Math.max(1, wanted)));
    payload.forEach((_, index) => {
      payload[index] = (fields.fill + index * 7) & 0xff;
    });
    const four = fields.version === 4;
    const segment = tcp({
      source: four ? SOURCE4 : Buffer.from(SOURCE6, 'hex'),
      destination: four ? DESTINATION4 : Buffer.from(DESTINATION6, 'hex'),
      checksum: 'partial',
      headerWords: fields.headerWords,
      payload,
    });
    const view = new DataView(segment.buffer);
    view.setUint32(4, fields.sequence);
    view.setUint8(13, fields.flags);
    const packet = four
      ? ipv4({
          source: SOURCE4.join('.'),
          destination: DESTINATION4.join('.'),
          protocol: 6,
          identification: fields.identification,
          fragment: 0x4000,
          payload: segment,
        })
      : ipv6({
          source: SOURCE6,
          destination: DESTINATION6,
          nextHeader: 6,
          payload: segment,
        });
    const start = four ? 20 : 40;
    return {
      packet,
      header: deviceHeader({
        flags: 1,
        type: four ? 1 : 4,
        headers: start + own,
        size: fields.size,
        start,
        field: 16,
      }),
    };
  });

const datagram: fc.Arbitrary<Read> = fc
  .record({ payload: fc.uint8Array({ maxLength: 2000 }), flags: fc.constantFrom(0, 1) })
  .map(({ payload, flags }) => {
    const body = udp({
      source: SOURCE4,
      destination: DESTINATION4,
      checksum: 'partial',
      payload,
    });
    return {
      packet: ipv4({
        source: SOURCE4.join('.'),
        destination: DESTINATION4.join('.'),
        protocol: 17,
        payload: body,
      }),
      header: deviceHeader({ flags, type: 0, headers: 0, size: 0, start: 20, field: 6 }),
    };
  });

/** Device headers that lie, over packets that may be nothing. */
const nonsense: fc.Arbitrary<Read> = fc.record({
  packet: fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    superpacket.map(({ packet }) => packet),
  ),
  header: fc
    .record({
      flags: fc.constantFrom(0, 1, 1, 1, 2, 255),
      type: fc.constantFrom(0, 1, 1, 4, 4, 3, 5, 0x81),
      headers: fc.constantFrom(0, 40, 0xffff),
      size: fc.constantFrom(0, 1, 100, 1436, 0xffff),
      start: fc.constantFrom(0, 19, 20, 24, 40, 60, 1000, 0xffff),
      field: fc.constantFrom(0, 6, 16, 17, 1000, 0xffff),
    })
    .map(deviceHeader),
});

const PLANES = BUILDS.map((name) => {
  const scratch = new Scratch([]);
  return { name, scratch, codec: openCodec(loadBuild(name), scratch.memory) };
});

for (const { name, scratch, codec } of PLANES) {
  test(`${name} makes of every packet what the reference makes, and touches nothing around it`, () => {
    const ring = scratch.encap;
    const room = SEGMENT_LIMIT;
    fc.assert(
      fc.property(fc.oneof(superpacket, datagram, nonsense), ({ packet, header }) => {
        const expected = segment(packet, header, room) ?? [new Uint8Array(0)];
        const position = ring.filled;
        for (let index = 0; index <= expected.length; index++) {
          const address = ring.packetAddress((position + index) >>> 0);
          const length = index === 0 ? packet.length : (expected[index]?.length ?? 0);
          scratch.bytes.fill(CANARY, address - SLOT_HEADROOM, address + length + GUARD);
        }
        const address = ring.packetAddress(position);
        scratch.bytes.set(header, ring.deviceHeader(position));
        scratch.bytes.set(packet, address);
        ring.fill(position, packet.length, 3, 9);

        assert.equal(codec.segment(ring.address, position, room, 0), expected.length);
        assert.equal(ring.filled, position, 'nothing is published');
        for (const [index, bytes] of expected.entries()) {
          const at = (position + index) >>> 0;
          assert.deepEqual(Buffer.from(scratch.packet(ring, at)), Buffer.from(bytes), `${index}`);
          assert.equal(ring.tunnel(at), 3);
          assert.equal(ring.reason(at), 0);
          const length = index === 0 ? packet.length : bytes.length;
          assert.ok(scratch.isIntact(ring, at, length, 0), `around ${index}`);
        }
        const behind = (position + expected.length) >>> 0;
        assert.ok(scratch.isIntact(ring, behind, 0, 0), 'the slot behind the last');
        ring.publish(expected.length);
        ring.restore(ring.filled, ring.filled, ring.filled);
      }),
      { numRuns: 1500 },
    );
  });
}

test('the segments of a superpacket are its stream again, in order, with right checksums', () => {
  fc.assert(
    fc.property(superpacket, ({ packet, header }) => {
      const segments = segment(packet, header, 1 << 16);
      assert.ok(segments);
      const view = new DataView(header.buffer);
      const start = view.getUint16(6, true);
      const headers = view.getUint16(2, true);
      const size = view.getUint16(4, true);
      const first = Buffer.from(packet);
      const stream: Uint8Array[] = [];
      let sequence = first.readUInt32BE(start + 4);
      for (const [index, bytes] of segments.entries()) {
        const found = Buffer.from(bytes);
        const payload = found.subarray(headers);
        assert.ok(payload.length <= size && payload.length > 0);
        assert.ok(payload.length === size || index === segments.length - 1);
        assert.equal(found.readUInt32BE(start + 4), sequence >>> 0);
        sequence += payload.length;
        stream.push(payload);
        assert.equal(transportChecksum(found, start), 0, 'TCP checksum');
        if (start === 20) {
          assert.equal(internetChecksum(found.subarray(0, 20)), 0, 'IPv4 checksum');
          assert.equal(found.readUInt16BE(2), found.length);
          assert.equal(found.readUInt16BE(4), (first.readUInt16BE(4) + index) & 0xffff);
        } else {
          assert.equal(found.readUInt16BE(4), found.length - 40);
        }
      }
      assert.deepEqual(Buffer.concat(stream), first.subarray(headers));
    }),
  );
});

/** 0 when the checksum of a TCP packet is right. */
function transportChecksum(packet: Buffer, start: number): number {
  const addresses = start === 20 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const upper = packet.subarray(start);
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(6, 0);
  rest.writeUInt16BE(upper.length, 2);
  return internetChecksum(Buffer.concat([addresses, rest, upper]));
}
