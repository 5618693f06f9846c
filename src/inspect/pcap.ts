// pcap: one header, then packet records until the end of the file.
//
//   file    magic | major, minor (u16) | zone | accuracy | snap length | link type
//   record  seconds | fraction | captured length | original length | bytes
//
// The byte order is that of the machine that wrote it: the magic tells.
import { type ByteSource, CaptureError } from './byte-source.js';
import { type CapturedPacket, checkPacketLength } from './captured-packet.js';

interface Variant {
  readonly little: boolean;
  /** ns of one unit of the fraction. */
  readonly unitNs: bigint;
  /** Bytes of a record header. */
  readonly recordSize: number;
}

/** By the first four bytes read big-endian. The 24-byte record headers are those of Kuznetzov's libpcap. */
const VARIANTS: ReadonlyMap<number, Variant> = new Map([
  [0xa1b2c3d4, { little: false, unitNs: 1000n, recordSize: 16 }],
  [0xd4c3b2a1, { little: true, unitNs: 1000n, recordSize: 16 }],
  [0xa1b23c4d, { little: false, unitNs: 1n, recordSize: 16 }],
  [0x4d3cb2a1, { little: true, unitNs: 1n, recordSize: 16 }],
  [0xa1b2cd34, { little: false, unitNs: 1000n, recordSize: 24 }],
  [0x34cdb2a1, { little: true, unitNs: 1000n, recordSize: 24 }],
]);

export const PCAP_MAGICS: ReadonlySet<number> = new Set(VARIANTS.keys());

const HEADER_SIZE = 24;
/** Version 2.4, since 1998; the fields mean the same in every 2.x that is met. */
const MAJOR = 2;

/** The packets of a pcap file. The source stands at its first byte. */
export function* readPcap(source: ByteSource): Generator<CapturedPacket, void> {
  const header = viewOf(source.require(HEADER_SIZE, 'the file header'));
  const variant = VARIANTS.get(header.getUint32(0));
  if (variant === undefined) throw new CaptureError('not a pcap file');
  const { little, unitNs, recordSize } = variant;
  const major = header.getUint16(4, little);
  if (major !== MAJOR) throw new CaptureError(`pcap version ${major} is not known, only ${MAJOR}`);
  const snapLength = header.getUint32(16, little);
  // The upper 16 bits tell how long a frame check sequence is; it trails the packet and is ignored.
  const linkType = header.getUint32(20, little) & 0xffff;

  for (let number = 1; ; number++) {
    const bytes = source.take(recordSize, `the header of packet ${number}`);
    if (bytes === null) return;
    const record = viewOf(bytes);
    const seconds = record.getUint32(0, little);
    const fraction = record.getUint32(4, little);
    const captured = record.getUint32(8, little);
    const originalLength = record.getUint32(12, little);
    checkPacketLength(captured, snapLength, number);
    yield {
      number,
      timestampNs: BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * unitNs,
      linkType,
      bytes: source.require(captured, `packet ${number}`).slice(),
      originalLength,
    };
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
