// V8 compiles WebAssembly twice: at once and quickly on the first call, again and well when a function
// has run for a while, and it never changes over inside a running call. The code belongs to the module,
// not to the instance: what is warmed up here is warm in every lane that opens the same build.
//
// Measured (Node 20, two cores): the first batch of 64 packets takes 0.4 ms, the next 200 to 400 batches
// 55-60 ns a packet, then 30; a worker that opens a warm module is at full speed from its second batch.
import { MERGE_TCP, MERGE_UDP, SEGMENT_LIMIT, SLOT_COUNT } from '../../asm/layout.js';
import type { Ring } from '../ring/ring.js';
import type { Codec } from './contract.js';
import { fromHex } from './hex.js';
import { KNOWN_RUNS } from './known-runs.js';
import { KNOWN_SEGMENTS } from './known-segments.js';
import { arriveKnown } from './run-fault.js';
import type { Scratch } from './scratch.js';

/** Beyond the 400 batches after which V8 was seen to change over. */
const ROUNDS = 600;
const BATCH = 64;
/** Superpackets that a batch of full segments comes in, at their usual sizes. */
const SUPERPACKETS = 4;
const CHECKSUM_SIZE = 1460;

/**
 * Runs packets through every function of a codec that was opened over `scratch`. A codec changes none of
 * the bytes that an encap packet came with, nor those of one that decap drops, so both stay in their
 * slots: `sent` must be a packet that `tunnel` takes, `dropped` one that decap refuses.
 */
export function warmUp(
  codec: Codec,
  scratch: Scratch,
  sent: { readonly bytes: Uint8Array; readonly tunnel: number },
  dropped: Uint8Array,
): void {
  warmSegment(codec, scratch);
  warmRuns(codec, scratch);
  const { encap, decap } = scratch;
  occupy(scratch, encap, sent.bytes);
  occupy(scratch, decap, dropped);
  const address = encap.packetAddress(0);
  for (let round = 0; round < ROUNDS; round++) {
    describe(encap, sent.bytes.length, sent.tunnel);
    codec.encap(encap.address);
    codec.settle(encap.address, 0);
    describe(decap, dropped.length, 0);
    codec.decap(decap.address);
    codec.settle(decap.address, 0);
    codec.checksum(address, CHECKSUM_SIZE);
  }
}

/** Segments overwrite the headers of what they are cut from: each time it is written anew. */
function warmSegment(codec: Codec, scratch: Scratch): void {
  const ring = scratch.encap;
  const known = KNOWN_SEGMENTS.map(({ packet, device }) => ({
    packet: fromHex(packet),
    device: fromHex(device),
  }));
  for (let done = 0; done < ROUNDS * SUPERPACKETS; done++) {
    for (const { packet, device } of known) {
      scratch.bytes.set(packet, ring.packetAddress(ring.filled));
      scratch.bytes.set(device, ring.deviceHeader(ring.filled));
      ring.fill(ring.filled, packet.length, 1, 0);
      codec.segment(ring.address, ring.filled, SEGMENT_LIMIT, 0);
    }
  }
}

/** A run that was taken apart is what it was: the same packets are merged again and again. */
function warmRuns(codec: Codec, scratch: Scratch): void {
  const ring = scratch.decap;
  const first = arriveKnown(scratch);
  for (let round = 0; round < ROUNDS; round++) {
    codec.coalesce(ring.address, MERGE_TCP | MERGE_UDP);
    for (const { members } of KNOWN_RUNS) {
      const slot = (first + (members[0] ?? 0)) & (SLOT_COUNT - 1);
      if (members.length > 1) codec.separate(ring.address, slot);
    }
  }
  ring.restore(ring.filled, ring.filled, ring.filled);
}

/** Puts the same packet into every slot. */
function occupy(scratch: Scratch, ring: Ring, bytes: Uint8Array): void {
  for (let position = 0; position < SLOT_COUNT; position++) {
    scratch.bytes.set(bytes, ring.packetAddress(position));
  }
}

/** Publishes the next batch of what lies in the slots. */
function describe(ring: Ring, length: number, tunnel: number): void {
  const first = ring.filled;
  for (let index = 0; index < BATCH; index++) {
    const position = (first + index) >>> 0;
    ring.fill(position, length, tunnel, 0);
  }
  ring.publish(BATCH);
}
