// The known batch through coalesce and separate: runs, bytes, device headers, and nothing written around them.
import { DEVICE_HEADER_SIZE, MERGE_TCP, MERGE_UDP, SLOT_COUNT } from '../../asm/layout.js';
import type { Ring } from '../ring/ring.js';
import type { Codec } from './contract.js';
import { fromHex, toHex } from './hex.js';
import { KNOWN_ARRIVALS, KNOWN_RUNS } from './known-runs.js';
import type { Scratch } from './scratch.js';

const MASK = SLOT_COUNT - 1;
const NO_HEADER = '00'.repeat(DEVICE_HEADER_SIZE);

/** Puts the known batch into the decap ring. Returns the position of its first packet. */
export function arriveKnown(scratch: Scratch): number {
  return scratch.arrive(
    KNOWN_ARRIVALS.map(({ tunnel, packet, device }) => ({
      tunnel,
      bytes: fromHex(packet),
      deviceHeader: fromHex(device ?? NO_HEADER),
    })),
  );
}

/** What `codec` makes of the known runs that it must not, or null. The decap ring is empty again then. */
export function runFault(codec: Codec, scratch: Scratch): string | null {
  const ring = scratch.decap;
  const first = arriveKnown(scratch);
  const end = ring.filled;
  try {
    codec.coalesce(ring.address, MERGE_TCP | MERGE_UDP);
  } catch (error) {
    return `coalesce trapped on the known packets: ${String(error)}`;
  }
  const fault = mergeFault(scratch, first) ?? separateFault(codec, scratch, first);
  ring.restore(end, end, end);
  return fault;
}

function mergeFault(scratch: Scratch, first: number): string | null {
  const ring = scratch.decap;
  const found: number[][] = [];
  for (let index = 0; index < KNOWN_ARRIVALS.length; index++) {
    const slot = ring.emitted((first + index) >>> 0);
    if (slot >= 0) found.push(membersOf(ring, slot, first));
  }
  for (const [place, { name, members }] of KNOWN_RUNS.entries()) {
    const is = found[place] ?? [];
    if (String(is) !== String(members)) {
      return `coalesce, ${name}: packets ${is.join(' ')}, not ${members.join(' ')}`;
    }
  }
  if (found.length !== KNOWN_RUNS.length) return `coalesce: ${found.length} runs`;
  for (const { name, members, packet, device } of KNOWN_RUNS) {
    if (packet === undefined) continue;
    const pieces = members.map((index) => toHex(scratch.packet(ring, (first + index) >>> 0)));
    if (pieces.join('') !== packet) return `coalesce, ${name}: ${pieces.join('')}, not ${packet}`;
    const header = toHex(scratch.deviceHeader(scratch.decap, (first + (members[0] ?? 0)) >>> 0));
    if (header !== device) return `coalesce, ${name}: device header ${header}, not ${device}`;
  }
  return intactFault(scratch, first, 'coalesce');
}

/** Packets of the run that begins in `slot`, as indexes of arrivals; cut off where it does not end. */
function membersOf(ring: Ring, slot: number, first: number): number[] {
  const members: number[] = [];
  for (let at = slot; at >= 0 && members.length <= KNOWN_ARRIVALS.length; at = ring.next(at)) {
    members.push((at - first) & MASK);
  }
  return members;
}

function separateFault(codec: Codec, scratch: Scratch, first: number): string | null {
  const ring = scratch.decap;
  for (const { members } of KNOWN_RUNS) {
    if (members.length < 2) continue;
    try {
      codec.separate(ring.address, (first + (members[0] ?? 0)) & MASK);
    } catch (error) {
      return `separate trapped on the known packets: ${String(error)}`;
    }
  }
  for (const [index, { packet, device = NO_HEADER }] of KNOWN_ARRIVALS.entries()) {
    const position = (first + index) >>> 0;
    const found = toHex(scratch.packet(ring, position));
    if (found !== packet) return `separate: packet ${index}: ${found}, not ${packet}`;
    const header = toHex(scratch.deviceHeader(ring, position));
    if (header !== device)
      return `separate: packet ${index}: device header ${header}, not ${device}`;
  }
  return intactFault(scratch, first, 'separate');
}

function intactFault(scratch: Scratch, first: number, name: string): string | null {
  for (const [index, { packet }] of KNOWN_ARRIVALS.entries()) {
    if (!scratch.isIntact(scratch.decap, (first + index) >>> 0, packet.length / 2, 0)) {
      return `${name}: it wrote outside packet ${index}`;
    }
  }
  return null;
}
