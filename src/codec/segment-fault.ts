// The known superpackets and unfinished checksums through segment: packets, and what is noted of each.
import { SEGMENT_LIMIT } from '../../asm/layout.js';
import { fold, sum } from '../packet/checksum.js';
import type { Codec } from './contract.js';
import { fromHex, toHex } from './hex.js';
import { KNOWN_SEGMENTS, type KnownSegments } from './known-segments.js';
import type { Scratch } from './scratch.js';

/**
 * What `codec` makes of the known superpackets that it must not, or null. Nothing is published: segment works on
 * the slots in front of FILLED.
 */
export function segmentFault(codec: Codec, scratch: Scratch): string | null {
  for (const known of KNOWN_SEGMENTS) {
    const fault = answerFault(codec, scratch, known);
    if (fault !== null) return `segment, ${known.name}: ${fault}`;
  }
  return null;
}

function answerFault(codec: Codec, scratch: Scratch, known: KnownSegments): string | null {
  const ring = scratch.encap;
  const position = ring.filled;
  const packet = fromHex(known.packet);
  scratch.bytes.set(fromHex(known.device), ring.deviceHeader(position));
  scratch.bytes.set(packet, ring.packetAddress(position));
  ring.fill(position, packet.length, 1, 0);
  const { results, kept } = known;
  let count: number;
  try {
    count = codec.segment(ring.address, position, SEGMENT_LIMIT, kept?.kinds ?? 0);
  } catch (error) {
    return `it trapped: ${String(error)}`;
  }
  if (count !== Math.max(1, results.length)) return `${count} packets`;
  for (let index = 0; index < count; index++) {
    const at = (position + index) >>> 0;
    const found = toHex(scratch.packet(ring, at));
    const expected = results[index] ?? '';
    if (found !== expected) return `${index}: ${found}, not ${expected}`;
    const fault = noteFault(scratch, at, known);
    if (fault !== null) return `${index}: ${fault}`;
  }
  return null;
}

/** What is noted wrongly of the packet at `position`. */
function noteFault(scratch: Scratch, position: number, { kept }: KnownSegments): string | null {
  const ring = scratch.encap;
  const packet = scratch.packet(ring, position);
  const packets = ring.packets(position);
  const due = kept?.packets ?? 1;
  if (packets !== due) return `it counts for ${packets} packets, not ${due}`;
  if (kept !== undefined) {
    const device = toHex(scratch.deviceHeader(ring, position));
    if (device !== kept.device) return `device header ${device}, not ${kept.device}`;
  }
  const { innerLength, sum: noted } = scratch.notes(ring, position);
  const bytes = kept?.bytes ?? packet.length;
  if (packet.length > 0 && innerLength !== bytes) return `${innerLength} bytes, not ${bytes}`;
  // As it lies in memory: the bytes of a word exchanged.
  const folded = fold(sum(packet));
  const swapped = ((folded & 0xff) << 8) | (folded >>> 8);
  if (noted !== 0 && noted !== swapped) return `its sum is ${swapped}, it says ${noted}`;
  if (noted === 0 && ring.payloadLength(position) > 0) return 'it is in two pieces without a sum';
  return null;
}
