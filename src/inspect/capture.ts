// A capture file as a stream of packets, whatever its format:
//
//   byte source -> magic -> pcap or pcapng reader -> packets as captured -> link (IP bytes)
import { type ByteSource, CaptureError } from './byte-source.js';
import type { CapturedPacket } from './captured-packet.js';
import { PCAP_MAGICS, readPcap } from './pcap.js';
import { PCAPNG_MAGIC, readPcapng } from './pcapng.js';

/** Compressed files that people hand over, and what unpacks them. */
const COMPRESSED: readonly { magic: number; mask: number; name: string; unpack: string }[] = [
  { magic: 0x1f8b0000, mask: 0xffff0000, name: 'gzip', unpack: 'gzip -dc' },
  { magic: 0x28b52ffd, mask: 0xffffffff, name: 'zstd', unpack: 'zstd -dc' },
  { magic: 0xfd377a58, mask: 0xffffffff, name: 'xz', unpack: 'xz -dc' },
  { magic: 0x04224d18, mask: 0xffffffff, name: 'lz4', unpack: 'lz4 -dc' },
  { magic: 0x425a6800, mask: 0xffffff00, name: 'bzip2', unpack: 'bzip2 -dc' },
];

/**
 * The packets of a capture file, in order. Throws CaptureError where it cannot be read on; what came
 * before that was sound.
 */
export function readCapture(source: ByteSource): Generator<CapturedPacket, void> {
  const start = source.peek(4);
  if (start.length === 0) throw new CaptureError('the file is empty');
  if (start.length < 4) {
    throw new CaptureError(`the file ends after ${start.length} bytes, before any capture header`);
  }
  const magic = new DataView(start.buffer, start.byteOffset, 4).getUint32(0);
  if (magic === PCAPNG_MAGIC) return readPcapng(source);
  if (PCAP_MAGICS.has(magic)) return readPcap(source);
  for (const format of COMPRESSED) {
    if ((magic & format.mask) >>> 0 !== format.magic) continue;
    throw new CaptureError(
      `the file is compressed with ${format.name}`,
      `${format.unpack} FILE | grebe decode -`,
    );
  }
  throw new CaptureError(
    `not a capture file: it begins with ${magic.toString(16).padStart(8, '0')}, neither pcap nor pcapng`,
  );
}
