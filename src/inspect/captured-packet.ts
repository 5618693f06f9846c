import { CaptureError } from './byte-source.js';

/** One packet of a capture file. */
export interface CapturedPacket {
  /** Place in the file, counted from 1. */
  readonly number: number;
  /** Time since 1970 in ns; null where the file has none (simple packet blocks). */
  readonly timestampNs: bigint | null;
  /** LINKTYPE_*: what `bytes` begins with. */
  readonly linkType: number;
  /** The captured bytes, owned by the receiver. */
  readonly bytes: Uint8Array;
  /** Bytes that were on the wire: more than were captured where a snap length cut the packet. */
  readonly originalLength: number;
}

/** Largest packet of a file whose header does not promise larger ones. */
const PACKET_LIMIT = 256 * 1024;
/** Largest packet at all: a length beyond it is damage, and is not worth the memory. */
const PACKET_CAPACITY = 16 * 1024 * 1024;

/** Throws CaptureError when `captured` is no believable packet length under a snap length. */
export function checkPacketLength(captured: number, snapLength: number, number: number): void {
  const limit = Math.min(Math.max(PACKET_LIMIT, snapLength), PACKET_CAPACITY);
  if (captured <= limit) return;
  throw new CaptureError(`packet ${number} claims ${captured} bytes, the most here is ${limit}`);
}
