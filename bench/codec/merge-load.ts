// What a codec does to superpackets: one of a device split into segments, a batch of segments merged into one.
//
// segment overwrites the headers of what it splits; coalesce cuts what it merges, and separate mends that. The bench
// does both between two runs, outside of what is timed.
import { MERGE_TCP, MERGE_UDP, SEGMENT_LIMIT, SLOT_COUNT } from '../../asm/layout.js';
import { type CodecBuild, openCodec } from '../../src/codec/builds.js';
import type { Codec } from '../../src/codec/contract.js';
import { Scratch, type ScratchArrival } from '../../src/codec/scratch.js';
import { segment } from '../../src/packet/segment.js';
import { EXIT, Failure } from '../../src/sys/failure.js';

/** `segment`: 64 KB of TCP. `coalesce`: its segments. `apart`: as many packets as a batch has, each of its own flow. */
export type MergeKind = 'segment' | 'coalesce' | 'apart';

/** Payload of a full segment in a tunnel of the usual MTU, and how many of them fit a superpacket. */
const SEGMENT_SIZE = 1424;
const SEGMENTS = 45;
const FLOWS = 64;
const HEADERS = 52;
/** Offset of the source port. */
const PORT = 20;
/** Offset of the TCP checksum. */
const CHECKSUM = 36;

export class MergeLoad {
  readonly #codec: Codec;
  readonly #scratch = new Scratch([]);

  constructor(build: CodecBuild) {
    this.#codec = openCodec(build, this.#scratch.memory);
  }

  /** Packets that one call splits into or merges. */
  static packets(kind: MergeKind): number {
    return kind === 'apart' ? FLOWS : SEGMENTS;
  }

  /** Returns what runs `count` calls and returns the ms they took, the clock's own time included. */
  prepare(kind: MergeKind): (count: number) => number {
    return kind === 'segment' ? this.#prepareSegment() : this.#prepareCoalesce(kind);
  }

  #prepareSegment(): (count: number) => number {
    const ring = this.#scratch.encap;
    const { bytes } = this.#scratch;
    const { packet, header } = superpacket();
    const address = ring.packetAddress(0);
    const headers = packet.slice(0, HEADERS);
    bytes.set(packet, address);
    const run = (count: number): number => {
      let elapsed = 0;
      for (let done = 0; done < count; done++) {
        bytes.set(headers, address);
        bytes.set(header, ring.deviceHeader(0));
        ring.fill(0, packet.length, 1, 0);
        const start = performance.now();
        const segments = this.#codec.segment(ring.address, 0, SEGMENT_LIMIT, 0);
        elapsed += performance.now() - start;
        if (segments !== SEGMENTS) throw fault(`segment made ${segments} packets`);
        bytes.set(packet.subarray(HEADERS, HEADERS + SEGMENT_SIZE), address + HEADERS);
      }
      return elapsed;
    };
    run(1);
    return run;
  }

  #prepareCoalesce(kind: 'coalesce' | 'apart'): (count: number) => number {
    const ring = this.#scratch.decap;
    ring.restore(0, 0, 0);
    this.#scratch.arrive(kind === 'coalesce' ? segments() : flows());
    const runs = kind === 'coalesce' ? 1 : FLOWS;
    const run = (count: number): number => {
      let elapsed = 0;
      for (let done = 0; done < count; done++) {
        const start = performance.now();
        this.#codec.coalesce(ring.address, MERGE_TCP | MERGE_UDP);
        elapsed += performance.now() - start;
        if (kind === 'coalesce') this.#codec.separate(ring.address, 0);
      }
      return elapsed;
    };
    run(1);
    let emitted = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot++) if (ring.emitted(slot) >= 0) emitted++;
    if (emitted !== runs) throw fault(`coalesce made ${emitted} runs`);
    return run;
  }
}

function fault(text: string): Failure {
  return new Failure(EXIT.bug, `bench: ${text}`);
}

/** TCP over IPv4 with timestamps, its checksum left open, and the device header that asks to split it. */
function superpacket(): { packet: Uint8Array; header: Uint8Array } {
  const packet = new Uint8Array(HEADERS + SEGMENTS * SEGMENT_SIZE);
  for (let index = HEADERS; index < packet.length; index++) packet[index] = index * 7;
  const view = new DataView(packet.buffer);
  view.setUint32(0, 0x45000000 + packet.length);
  view.setUint32(4, 0x00004000);
  view.setUint32(8, 0x40060000);
  view.setUint32(12, 0x0a140005); // 10.20.0.5
  view.setUint32(16, 0x0a090007); // 10.9.0.7
  view.setUint32(20, 0x14519c40); // 5201 > 40000
  view.setUint32(24, 1);
  view.setUint32(28, 7);
  view.setUint32(32, 0x80100200);
  view.setUint32(40, 0x0101080a);
  let pseudo = 0x0a14 + 0x0005 + 0x0a09 + 0x0007 + 6 + packet.length - PORT;
  while (pseudo > 0xffff) pseudo = (pseudo & 0xffff) + (pseudo >>> 16);
  view.setUint16(CHECKSUM, pseudo);
  const header = new Uint8Array(10);
  const device = new DataView(header.buffer);
  device.setUint8(0, 1);
  device.setUint8(1, 1);
  device.setUint16(2, HEADERS, true);
  device.setUint16(4, SEGMENT_SIZE, true);
  device.setUint16(6, PORT, true);
  device.setUint16(8, CHECKSUM - PORT, true);
  return { packet, header };
}

/** The segments of the superpacket, as they would come out of a tunnel. */
function segments(): ScratchArrival[] {
  const { packet, header } = superpacket();
  const cut = segment(packet, header, SEGMENT_LIMIT) ?? [];
  return cut.map((bytes) => ({ bytes, tunnel: 1, deviceHeader: new Uint8Array(10) }));
}

/** The first segment in as many flows as a batch has packets: one word of the checksum's sum differs. */
function flows(): ScratchArrival[] {
  const [first] = segments();
  return Array.from({ length: FLOWS }, (_, flow) => {
    const bytes = first?.bytes.slice() ?? new Uint8Array(0);
    const view = new DataView(bytes.buffer);
    view.setUint16(PORT, view.getUint16(PORT) + flow);
    return { bytes, tunnel: 1, deviceHeader: new Uint8Array(10) };
  });
}
