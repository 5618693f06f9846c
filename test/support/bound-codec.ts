import type { Codec } from '../../src/codec/contract.js';

/** A codec's functions as plain properties, so that a test can replace some. */
export function bindCodec(codec: Codec): Codec {
  return {
    name: codec.name,
    segment: (ring, position, room, keep) => codec.segment(ring, position, room, keep),
    encap: (ring) => codec.encap(ring),
    decap: (ring) => codec.decap(ring),
    coalesce: (ring, kinds) => codec.coalesce(ring, kinds),
    separate: (ring, index) => codec.separate(ring, index),
    settle: (ring, nowMs) => codec.settle(ring, nowMs),
    checksum: (address, length) => codec.checksum(address, length),
  };
}
