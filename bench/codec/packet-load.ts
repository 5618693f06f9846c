// A ring full of equal packets that a codec can be run over again and again.
//
// The packets lie in all slots of the ring, and neither direction changes a byte of them: decap finds no
// congestion to carry over. Before each batch their descriptors are written anew; that is the bench's own
// work and stays outside of what is timed.
import { SLOT_COUNT } from '../../asm/layout.js';
import { type CodecBuild, openCodec } from '../../src/codec/builds.js';
import type { Codec } from '../../src/codec/contract.js';
import { Scratch } from '../../src/codec/scratch.js';
import { checksum } from '../../src/packet/checksum.js';
import type { GreTunnel } from '../../src/packet/tunnel.js';
import { EXIT, Failure } from '../../src/sys/failure.js';

export type Direction = 'encap' | 'decap';
/** `plain`: GRE alone. `full`: checksum, key and sequence number on every packet. */
export type TunnelKind = 'plain' | 'full';

const PLAIN: GreTunnel = {
  name: 'plain',
  mode: 'gre',
  local: '192.0.2.1',
  remote: '192.0.2.2',
  ttl: 64,
  tos: 'inherit',
  pmtudisc: true,
  mtu: 9000,
  link: 0,
  allow: [{ address: '10.20.0.0', bits: 16 }],
  addresses: [{ address: '10.9.0.1', bits: 24 }],
  checksumOut: false,
  sequenceIn: false, // the same packet comes again and again
  sequenceOut: false,
};
const FULL: GreTunnel = {
  ...PLAIN,
  name: 'full',
  remote: '192.0.2.3',
  keyIn: 42,
  keyOut: 42,
  checksumOut: true,
  sequenceOut: true,
};
const RECORDS: Record<TunnelKind, number> = { plain: 1, full: 2 };

export class PacketLoad {
  readonly #codec: Codec;
  readonly #scratch = new Scratch([PLAIN, FULL]);

  constructor(build: CodecBuild) {
    this.#codec = openCodec(build, this.#scratch.memory);
  }

  /**
   * Prepares batches of inner packets of `size` bytes. The result runs `count` batches and returns the ms
   * that the codec took for them, the clock's own time included.
   */
  prepare(
    direction: Direction,
    kind: TunnelKind,
    size: number,
    batch: number,
  ): (count: number) => number {
    const inner = innerPacket(size);
    const packet = direction === 'encap' ? inner : this.#encapsulate(kind, inner);
    const refill = this.#prepare(
      direction,
      packet,
      direction === 'encap' ? RECORDS[kind] : 0,
      batch,
    );
    const ring = this.#scratch[direction];
    const run = (count: number): number => {
      let elapsed = 0;
      for (let done = 0; done < count; done++) {
        refill();
        const start = performance.now();
        this.#codec[direction](ring.address);
        elapsed += performance.now() - start;
        this.#codec.settle(ring.address, 0);
      }
      return elapsed;
    };
    run(1);
    this.#assertForwarded(direction);
    return run;
  }

  #prepare(direction: Direction, packet: Uint8Array, record: number, batch: number): () => void {
    const ring = this.#scratch[direction];
    this.#occupy(direction, packet);
    return () => {
      const first = ring.filled;
      for (let index = 0; index < batch; index++) {
        ring.fill((first + index) >>> 0, packet.length, record, 0);
      }
      ring.publish(batch);
    };
  }

  /** The tunnel packet that the peer would send for `inner`: ours, with the addresses exchanged. */
  #encapsulate(kind: TunnelKind, inner: Uint8Array): Uint8Array {
    const { encap } = this.#scratch;
    const position = encap.filled;
    this.#scratch.fill(encap, [{ bytes: inner, tunnel: RECORDS[kind] }]);
    this.#codec.encap(encap.address);
    const packet = this.#scratch.packet(encap, position);
    this.#codec.settle(encap.address, 0);
    const source = packet.slice(12, 16);
    packet.copyWithin(12, 16, 20);
    packet.set(source, 16);
    return packet;
  }

  #occupy(direction: Direction, packet: Uint8Array): void {
    for (let position = 0; position < SLOT_COUNT; position++) {
      this.#scratch.bytes.set(packet, this.#scratch[direction].packetAddress(position));
    }
  }

  #assertForwarded(direction: Direction): void {
    const ring = this.#scratch[direction];
    const reason = ring.reason((ring.filled - 1) >>> 0);
    if (reason === 0) return;
    throw new Failure(EXIT.bug, `bench: ${direction} dropped its packets for reason ${reason}`);
  }
}

/** A UDP-like IPv4 packet of `size` bytes that may pass both ways. */
function innerPacket(size: number): Uint8Array {
  const packet = new Uint8Array(size);
  for (let index = 0; index < size; index++) packet[index] = index * 7;
  const view = new DataView(packet.buffer);
  view.setUint32(0, 0x45000000 + size);
  view.setUint32(4, 0x00004000);
  view.setUint32(8, 0x40110000);
  view.setUint32(12, 0x0a140005); // 10.20.0.5
  view.setUint32(16, 0x0a090007); // 10.9.0.7
  view.setUint16(10, checksum(packet.subarray(0, 20)));
  return packet;
}
