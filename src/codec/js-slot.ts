// What the `js` codec does with one slot: the functions of src/packet, between descriptors.
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_EMIT,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_IP,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_LINK,
  DESCRIPTOR_LOCAL,
  DESCRIPTOR_MERGED,
  DESCRIPTOR_NEXT,
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_PAYLOAD_LENGTH,
  DESCRIPTOR_REASON,
  DESCRIPTOR_SUM,
  DESCRIPTOR_TUNNEL,
  DEVICE_GSO_SIZE,
  DEVICE_HEADER_LENGTH,
  LOCAL_ANSWER,
  LOCAL_KEEPALIVE,
  LOCAL_PROBE,
  LOCAL_REFLECT,
  MERGE_TCP,
  MERGE_UDP,
  NO_TUNNEL,
  SEGMENT_LIMIT,
  SLOT_HEADROOM,
} from '../../asm/layout.js';
import { REASON_EARLY, REASON_LOCAL, REASON_NONE } from '../../asm/reason.js';
import { setU16, u8, u16 } from '../packet/bytes.js';
import type { Arrived, Run } from '../packet/coalesce.js';
import { decap } from '../packet/decap.js';
import { encapInto, recordOf } from '../packet/encap.js';
import { IPV6_HEADER } from '../packet/ipv6.js';
import type { Local } from '../packet/local.js';
import { REASON } from '../packet/reason.js';
import { segment, superpacket } from '../packet/segment.js';
import { createTunnelState, type State } from '../packet/state.js';
import type { Table } from '../packet/table.js';
import { udpChecksum, udpLength } from '../packet/udp.js';
import type { Slot } from './slot.js';

const LENGTH_LIMIT = 65535;

const LOCAL: Readonly<Record<Local, number>> = {
  keepalive: LOCAL_KEEPALIVE,
  answer: LOCAL_ANSWER,
  probe: LOCAL_PROBE,
  reflect: LOCAL_REFLECT,
};

/** Does what the device header of the packet in slot 0 asks for; its segments go to the slots from there on. */
export function segmentSlots(
  slotAt: (index: number) => Slot,
  room: number,
  keep: number,
  isFrame: boolean,
): number {
  const source = slotAt(0);
  const packet = source.packet();
  const header = source.deviceHeader();
  const whole = isFrame ? null : superpacket(packet, header);
  if (whole !== null && isKept(whole, packet.length, keep)) {
    const { headers, count } = whole;
    new DataView(header.buffer, header.byteOffset).setUint16(DEVICE_HEADER_LENGTH, headers, true);
    source.setHalf(DESCRIPTOR_PACKETS, count);
    source.setWord(DESCRIPTOR_INNER_LENGTH, packet.length + (count - 1) * headers);
    return 1;
  }
  const packets = segment(packet, header, room, isFrame);
  const tunnel = source.word(DESCRIPTOR_TUNNEL);
  if (packets === null) {
    source.setWord(DESCRIPTOR_LENGTH, 0);
    header.fill(0);
    return 1;
  }
  for (const [index, bytes] of packets.entries()) {
    const slot = slotAt(index);
    slot.bytes.set(bytes, slot.home);
    slot.deviceHeader().fill(0);
    slot.setWord(DESCRIPTOR_ADDRESS, slot.home);
    slot.setWord(DESCRIPTOR_LENGTH, bytes.length);
    slot.setWord(DESCRIPTOR_TUNNEL, tunnel);
    slot.setWord(DESCRIPTOR_REASON, REASON_NONE);
    slot.setWord(DESCRIPTOR_INNER_LENGTH, bytes.length);
    slot.setWord(DESCRIPTOR_LINK, 0);
    slot.setWord(DESCRIPTOR_PAYLOAD_LENGTH, 0);
    slot.setWord(DESCRIPTOR_SUM, 0);
    slot.setHalf(DESCRIPTOR_PACKETS, 1);
  }
  return packets.length;
}

/** Whether a superpacket stays whole: with its outer headers it must fit an IP packet. */
function isKept(
  { kind, count }: { kind: 'tcp' | 'udp'; count: number },
  length: number,
  keep: number,
): boolean {
  if ((keep & (kind === 'tcp' ? MERGE_TCP : MERGE_UDP)) === 0) return false;
  return count <= SEGMENT_LIMIT && length <= LENGTH_LIMIT - SLOT_HEADROOM;
}

export function encapSlot(slot: Slot, table: Table, states: State): void {
  const device = slot.word(DESCRIPTOR_TUNNEL);
  const record = recordOf(slot.packet(), table, device);
  if (record !== device) slot.setWord(DESCRIPTOR_TUNNEL, record);
  if (record > table.entries.length) slot.setWord(DESCRIPTOR_TUNNEL, NO_TUNNEL);
  const entry = table.entries[record - 1];
  const state = entry === undefined ? createTunnelState() : states.of(entry.tunnel, record);
  const packet = slot.packet();
  const header = new DataView(slot.deviceHeader().buffer, slot.deviceHeader().byteOffset);
  const size = header.getUint16(DEVICE_GSO_SIZE, true);
  const length = size === 0 ? packet.length : header.getUint16(DEVICE_HEADER_LENGTH, true) + size;
  const whole = { length, count: slot.half(DESCRIPTOR_PACKETS) };
  const result = encapInto(packet, entry, state, whole, table);
  if (result.verdict === 'drop') {
    slot.setWord(DESCRIPTOR_REASON, REASON[result.reason]);
    return;
  }
  const start = slot.word(DESCRIPTOR_ADDRESS) - result.outerLength;
  // The inner headers, which lie in the first piece, may have changed, too.
  const first = slot.word(DESCRIPTOR_LENGTH) + result.outerLength;
  slot.bytes.set(result.packet.subarray(0, first), start);
  slot.setWord(DESCRIPTOR_ADDRESS, start);
  slot.setWord(DESCRIPTOR_LENGTH, first);
  slot.setWord(DESCRIPTOR_REASON, REASON_NONE);
}

export function decapSlot(slot: Slot, table: Table, states: State): void {
  slot.setHalf(DESCRIPTOR_EMIT, slot.index + 1);
  slot.setHalf(DESCRIPTOR_NEXT, 0);
  const packet = slot.packet();
  if (slot.word(DESCRIPTOR_PAYLOAD_LENGTH) > 0) completeUdp6(packet);
  const result = decap(packet, table, states, slot.word(DESCRIPTOR_LINK));
  slot.setWord(DESCRIPTOR_TUNNEL, result.record);
  if (result.verdict === 'drop' || result.verdict === 'early') {
    slot.setWord(
      DESCRIPTOR_REASON,
      result.verdict === 'early' ? REASON_EARLY : REASON[result.reason],
    );
    return;
  }
  const start = slot.place(result.offset);
  if (result.verdict === 'local') {
    slot.setWord(DESCRIPTOR_ADDRESS, start);
    slot.setWord(DESCRIPTOR_LENGTH, result.packet.length);
    slot.setWord(DESCRIPTOR_PAYLOAD_LENGTH, 0);
    slot.setWord(DESCRIPTOR_LOCAL, LOCAL[result.local]);
    slot.setWord(DESCRIPTOR_REASON, REASON_LOCAL);
    return;
  }
  slot.deviceHeader().set(result.deviceHeader);
  slot.bytes.set(result.packet, start);
  slot.setWord(DESCRIPTOR_ADDRESS, start);
  slot.setWord(DESCRIPTOR_LENGTH, result.packet.length);
  slot.setWord(DESCRIPTOR_PAYLOAD_LENGTH, 0);
  slot.setWord(DESCRIPTOR_INNER_LENGTH, result.packet.length);
  const { ip } = result;
  slot.setWord(DESCRIPTOR_IP, ip === null ? 0 : ip.version | (ip.start << 8));
  slot.setWord(DESCRIPTOR_REASON, REASON_NONE);
}

/**
 * Fills in the checksum of a datagram over IPv6 whose headers a socket had taken off: it has verified it, and wrote
 * none, which the reference takes from nobody.
 */
function completeUdp6(packet: Uint8Array): void {
  const udp = packet.subarray(IPV6_HEADER);
  if (u8(packet, 0) >>> 4 !== 6 || u16(udp, 6) !== 0 || udpLength(udp) > udp.length) return;
  const [source, destination] = [packet.subarray(8, 24), packet.subarray(24, IPV6_HEADER)];
  setU16(udp, 6, udpChecksum(udp.subarray(0, udpLength(udp)), source, destination));
}

/** The packet of a processed slot, null where it was dropped. */
export function arrivedAt(slot: Slot): Arrived | null {
  const ip = slot.word(DESCRIPTOR_IP);
  if (slot.word(DESCRIPTOR_REASON) !== REASON_NONE || ip === 0) return null;
  const record = slot.word(DESCRIPTOR_TUNNEL);
  const deviceHeader = slot.deviceHeader().slice();
  return { record, packet: slot.packet(), start: ip >>> 8, deviceHeader };
}

// What DESCRIPTOR_MERGED keeps is the first packet's headers as far as merging changes them; asm/superpacket.ts
// has the same layout, as one codec may take apart what another has merged.
const MERGED = {
  length: 0,
  networkChecksum: 2,
  upperChecksum: 4,
  flags: 6,
  partial: 7,
  headers: 8,
};

/** Links the members of a run; the first gets the headers of the whole, the others keep their payload. */
export function writeRun(batch: readonly Slot[], run: Run): void {
  const members = run.members.flatMap((index) => batch[index] ?? []);
  const arrival = batch[Math.min(...run.members)];
  const [first] = members;
  if (first === undefined || arrival === undefined) return;
  const packet = first.packet();
  for (const [index, slot] of members.entries()) {
    const next = members[index + 1];
    slot.setHalf(DESCRIPTOR_EMIT, 0);
    slot.setHalf(DESCRIPTOR_NEXT, next === undefined ? 0 : next.index + 1);
    if (slot === first) continue;
    slot.setWord(DESCRIPTOR_ADDRESS, slot.word(DESCRIPTOR_ADDRESS) + run.headers);
    slot.setWord(DESCRIPTOR_LENGTH, slot.word(DESCRIPTOR_LENGTH) - run.headers);
  }
  arrival.setHalf(DESCRIPTOR_EMIT, first.index + 1);
  const link = first.word(DESCRIPTOR_IP) >>> 8;
  const { start, isFour, isTcp } = shape(packet.subarray(link));
  const view = new DataView(packet.buffer, link);
  first.setHalf(DESCRIPTOR_MERGED + MERGED.length, swap(view.getUint16(isFour ? 2 : 4)));
  if (isFour) {
    first.setHalf(DESCRIPTOR_MERGED + MERGED.networkChecksum, swap(view.getUint16(10)));
  }
  const field = start + (isTcp ? 16 : 6);
  first.setHalf(DESCRIPTOR_MERGED + MERGED.upperChecksum, swap(view.getUint16(field)));
  const flags = isTcp ? view.getUint8(start + 13) : 0;
  const isPartial = (first.deviceHeader()[0] ?? 0) & 1;
  first.setHalf(DESCRIPTOR_MERGED + MERGED.flags, flags | (isPartial << 8));
  first.setHalf(DESCRIPTOR_MERGED + MERGED.headers, run.headers);
  first.bytes.set(run.packet.subarray(0, run.headers), first.word(DESCRIPTOR_ADDRESS));
  first.deviceHeader().set(run.deviceHeader);
}

/** Takes the run that begins in slot `index` apart. */
export function separateSlots(slotAt: (index: number) => Slot, index: number): void {
  const first = slotAt(index);
  if (first.half(DESCRIPTOR_NEXT) === 0) return;
  const link = first.word(DESCRIPTOR_IP) >>> 8;
  const address = first.word(DESCRIPTOR_ADDRESS) + link;
  const length = first.word(DESCRIPTOR_LENGTH) - link;
  const { start, isFour, isTcp } = shape(first.packet().subarray(link));
  const view = new DataView(first.bytes.buffer, address, length);
  const saved = (field: number): number => swap(first.half(DESCRIPTOR_MERGED + field));
  view.setUint16(isFour ? 2 : 4, saved(MERGED.length));
  if (isFour) view.setUint16(10, saved(MERGED.networkChecksum));
  if (isTcp) view.setUint8(start + 13, first.half(DESCRIPTOR_MERGED + MERGED.flags) & 0xff);
  else view.setUint16(start + 4, length - start);
  view.setUint16(start + (isTcp ? 16 : 6), saved(MERGED.upperChecksum));
  const header = first.deviceHeader();
  const isPartial = first.half(DESCRIPTOR_MERGED + MERGED.flags) >>> 8;
  header.fill(0);
  if (isPartial) header.set([1, 0, 0, 0, 0, 0, link + start, 0, isTcp ? 16 : 6, 0]);
  const headers = first.half(DESCRIPTOR_MERGED + MERGED.headers);
  for (let next = first.half(DESCRIPTOR_NEXT); next !== 0; ) {
    const slot = slotAt(next - 1);
    slot.setWord(DESCRIPTOR_ADDRESS, slot.word(DESCRIPTOR_ADDRESS) - headers);
    slot.setWord(DESCRIPTOR_LENGTH, slot.word(DESCRIPTOR_LENGTH) + headers);
    next = slot.half(DESCRIPTOR_NEXT);
  }
}

function shape(packet: Uint8Array): { start: number; isFour: boolean; isTcp: boolean } {
  const isFour = (packet[0] ?? 0) >>> 4 === 4;
  return { start: isFour ? 20 : 40, isFour, isTcp: packet[isFour ? 9 : 6] === 6 };
}

/** A wire field as a little-endian load sees it, and back. */
function swap(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}
