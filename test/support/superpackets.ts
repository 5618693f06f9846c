// Packets as a device hands them over: superpackets, unfinished checksums, and device headers that lie.
import fc from 'fast-check';
import { DEVICE_HEADER_SIZE, SEGMENT_LIMIT } from '../../asm/layout.js';
import { internetChecksum, ipv4, ipv6 } from './packets.js';

const SOURCE4 = '10.1.1.5';
const DESTINATION4 = '10.2.2.9';
const SOURCE6 = '20010db8000a00000000000000000005';
const DESTINATION6 = '20010db8000b00000000000000000009';
const LONGEST = 65535;

/** A packet and the device header it comes with. */
export interface Read {
  readonly packet: Uint8Array;
  readonly header: Uint8Array;
}

/** A superpacket, and what its makers know of it. */
export interface Superpacket extends Read {
  readonly kind: 'tcp' | 'udp';
  /** Bytes of IP header. */
  readonly start: number;
  /** Bytes of IP and transport header. */
  readonly headers: number;
  readonly size: number;
  readonly count: number;
}

export interface HeaderFields {
  readonly flags: number;
  readonly type: number;
  readonly headers: number;
  readonly size: number;
  readonly start: number;
  readonly field: number;
}

/** struct virtio_net_hdr. */
export function deviceHeader(fields: HeaderFields): Uint8Array {
  const view = new DataView(new ArrayBuffer(DEVICE_HEADER_SIZE));
  view.setUint8(0, fields.flags);
  view.setUint8(1, fields.type);
  view.setUint16(2, fields.headers, true);
  view.setUint16(4, fields.size, true);
  view.setUint16(6, fields.start, true);
  view.setUint16(8, fields.field, true);
  return new Uint8Array(view.buffer);
}

/** Bytes that differ from place to place. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (seed + at * 7 + (at >>> 8)) & 0xff;
  return bytes;
}

interface Shape {
  readonly version: 4 | 6;
  readonly kind: 'tcp' | 'udp';
  /** 32-bit words of the TCP header. */
  readonly headerWords: number;
  /** Eights of bytes between the fixed IP header and the transport header. */
  readonly extra: number;
  readonly flags: number;
  readonly sequence: number;
  readonly identification: number;
  readonly fragment: number;
  readonly trafficClass: number;
  readonly hopLimit: number;
}

/** A packet of `payload` whose checksum is left open. Returns it with the lengths of its headers. */
function build(
  shape: Shape,
  payload: Uint8Array,
): { packet: Uint8Array; start: number; headers: number } {
  const isTcp = shape.kind === 'tcp';
  const own = isTcp ? shape.headerWords * 4 : 8;
  const upper = Buffer.alloc(own + payload.length);
  upper.writeUInt16BE(49152, 0);
  upper.writeUInt16BE(443, 2);
  if (isTcp) {
    upper.writeUInt32BE(shape.sequence, 4);
    upper.writeUInt32BE(0x01020304, 8);
    upper[12] = shape.headerWords << 4;
    upper[13] = shape.flags;
    upper.writeUInt16BE(502, 14);
    upper.set(pattern(own - 20, 0x55), 20);
  } else {
    upper.writeUInt16BE(upper.length, 4);
  }
  upper.set(payload, own);
  const protocol = isTcp ? 6 : 17;
  const addresses =
    shape.version === 4
      ? Buffer.from([...SOURCE4.split('.'), ...DESTINATION4.split('.')].map(Number))
      : Buffer.from(SOURCE6 + DESTINATION6, 'hex');
  const rest = Buffer.from([0, protocol, upper.length >>> 8, upper.length & 0xff]);
  const pseudo = ~internetChecksum(Buffer.concat([addresses, rest])) & 0xffff;
  upper.writeUInt16BE(pseudo, isTcp ? 16 : 6);

  if (shape.version === 4) {
    const packet = ipv4({
      source: SOURCE4,
      destination: DESTINATION4,
      protocol,
      identification: shape.identification,
      fragment: shape.fragment,
      tos: shape.trafficClass,
      ttl: shape.hopLimit,
      options: new Uint8Array(shape.extra * 8).fill(1),
      payload: upper,
    });
    const start = 20 + shape.extra * 8;
    return { packet, start, headers: start + own };
  }
  // Destination options of nothing but padding.
  const extension = Buffer.alloc(shape.extra * 8);
  if (shape.extra > 0) {
    extension[0] = protocol;
    extension[1] = shape.extra - 1;
    extension[2] = 1;
    extension[3] = extension.length - 4;
  }
  const packet = ipv6({
    source: SOURCE6,
    destination: DESTINATION6,
    nextHeader: shape.extra > 0 ? 60 : protocol,
    hopLimit: shape.hopLimit,
    trafficClass: shape.trafficClass,
    payload: Buffer.concat([extension, upper]),
  });
  const start = 40 + extension.length;
  return { packet, start, headers: start + own };
}

const shape: fc.Arbitrary<Shape> = fc.record({
  version: fc.constantFrom(4 as const, 6 as const),
  kind: fc.constantFrom('tcp' as const, 'tcp' as const, 'udp' as const),
  headerWords: fc.integer({ min: 5, max: 15 }),
  extra: fc.constantFrom(0, 0, 0, 1, 5),
  flags: fc.integer({ min: 0, max: 255 }),
  sequence: fc.constantFrom(0, 0x7fffff00, 0xffffff00, 0xffffffff),
  identification: fc.constantFrom(0, 1, 0xfffe, 0xffff),
  fragment: fc.constantFrom(0, 0x4000),
  trafficClass: fc.constantFrom(0, 1, 0xb8, 0xff),
  hopLimit: fc.constantFrom(1, 64, 255),
});

/** TCP or UDP of any size with the header that asks to split it; of one segment, too. */
export const superpacket: fc.Arbitrary<Superpacket> = fc
  .record({
    shape,
    size: fc.oneof(
      fc.constantFrom(1, 7, 536, 1400, 1436, 1448, 0xffff),
      fc.integer({ min: 1, max: 2000 }),
    ),
    count: fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: 1, max: SEGMENT_LIMIT }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(SEGMENT_LIMIT, SEGMENT_LIMIT + 1, SEGMENT_LIMIT + 9),
      },
    ),
    last: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.integer({ min: 0, max: 255 }),
  })
  .map((fields) => {
    const { headers: empty } = build(fields.shape, new Uint8Array(0));
    const wanted = (fields.count - 1) * fields.size + Math.ceil(fields.size * fields.last);
    const length = Math.min(LONGEST - empty, Math.max(1, wanted));
    const { packet, start, headers } = build(fields.shape, pattern(length, fields.seed));
    const { kind, version } = fields.shape;
    const header = deviceHeader({
      flags: 1,
      type: kind === 'udp' ? 5 : version === 4 ? 1 : 4,
      headers,
      size: fields.size,
      start,
      field: kind === 'udp' ? 6 : 16,
    });
    const count = Math.ceil(length / fields.size);
    return { packet, header, kind, start, headers, size: fields.size, count };
  });

/** A packet with nothing but its checksum left to do, or not even that. */
export const unfinished: fc.Arbitrary<Read> = fc
  .record({
    shape,
    payload: fc.uint8Array({ maxLength: 2000 }),
    flags: fc.constantFrom(0, 1, 2, 3),
  })
  .map(({ shape: of, payload, flags }) => {
    const { packet, start } = build(of, payload);
    const field = of.kind === 'udp' ? 6 : 16;
    return { packet, header: deviceHeader({ flags, type: 0, headers: 0, size: 0, start, field }) };
  });

const anyHeader = fc
  .record({
    flags: fc.constantFrom(0, 1, 1, 1, 2, 255),
    type: fc.constantFrom(0, 1, 1, 4, 4, 5, 5, 3, 0x81, 0xff),
    headers: fc.constantFrom(0, 40, 0xffff),
    size: fc.constantFrom(0, 1, 100, 1436, 0xffff),
    start: fc.oneof(
      fc.constantFrom(0, 19, 20, 24, 40, 41, 60, 1000, 0xffff),
      fc.integer({ min: 0, max: 100 }),
    ),
    field: fc.constantFrom(0, 5, 6, 16, 16, 17, 1000, 0xffff),
  })
  .map(deviceHeader);

/** Device headers that lie, over packets that may be nothing. */
export const nonsense: fc.Arbitrary<Read> = fc.oneof(
  fc.record({
    packet: fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      superpacket.map(({ packet }) => packet),
    ),
    header: anyHeader,
  }),
  // A sound superpacket, but for one field of the header or one byte of the packet.
  fc
    .record({
      sound: superpacket,
      field: fc.constantFrom(2, 4, 6, 8),
      value: fc.constantFrom(0, 1, 0xfffe, 0xffff),
      isAdded: fc.boolean(),
    })
    .map(({ sound: { packet, header }, field, value, isAdded }) => {
      const changed = header.slice();
      const view = new DataView(changed.buffer);
      view.setUint16(field, ((isAdded ? view.getUint16(field, true) : 0) + value) & 0xffff, true);
      return { packet, header: changed };
    }),
  fc
    .record({
      sound: superpacket,
      offset: fc.integer({ min: 0, max: 70 }),
      value: fc.oneof(fc.constantFrom(0, 0x40, 0x46, 0x60, 0xff), fc.integer({ min: 0, max: 255 })),
    })
    .map(({ sound: { packet, header }, offset, value }) => {
      const changed = packet.slice();
      if (offset < changed.length) changed[offset] = value;
      return { packet: changed, header };
    }),
);
