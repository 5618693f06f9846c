// encap path: TUN -> ring -> codec -> underlay
//
//   1. readBatch   fill free slots from one device; the codec splits superpackets into segments
//   2. process     the codec puts the outer header into the headroom, or gives a reason
//   3. send        hand finished slots to the underlay, in order
//   4. aside       show what does not go on to who may answer it
//   5. settle      count every slot once and free it
//
// What the router itself has to say goes the same way, with generatedBatch in the place of 1.
import { DIRECTION_ENCAP, SEGMENT_LIMIT } from '../../asm/layout.js';
import { REASON_TUNNEL_DOWN } from '../../asm/reason.js';
import type { TunDevice } from '../tun/contract.js';
import type { Lane } from './lane.js';

/**
 * Packets of one batch: half a ring. One TCP flow over raw sockets, medians of 3: 16 and 32 were 5 % slower,
 * 128 no faster beyond the noise.
 */
export const BATCH = 64;

/** Bytes after which a batch ends: superpackets that are sent while they are still in the cache. */
const BATCH_BYTES = 512 << 10;

/** Moves up to one batch from the device of `record` to the underlay. Returns how many slots it filled. */
export function encapBatch(lane: Lane, record: number): number {
  const device = lane.devices[record];
  if (device === undefined) return 0;
  const ring = lane.encapRing;
  const from = ring.filled;
  const packets = readBatch(lane, device, record);
  if (packets === 0) return 0;

  const count = (ring.filled - from) >>> 0;
  lane.countDeviceReceived(packets);
  if (lane.board?.isDown(record)) refuseBatch(lane, from);
  else sendBatch(lane, from);
  return count;
}

/** Sends the packets of the router's own that wait, at most a batch. Returns whether more are waiting. */
export function generatedBatch(lane: Lane): boolean {
  const { aside, encapRing: ring } = lane;
  const from = ring.filled;
  if (!aside.isWaiting) return false;
  if (aside.fill(ring, BATCH) > 0) sendBatch(lane, from);
  sendBack(lane);
  return aside.isWaiting;
}

/** Sends what goes to peers as it is, at most a batch. */
function sendBack(lane: Lane): void {
  const { aside, encapRing: ring } = lane;
  const from = ring.filled;
  if (aside.fillBack(ring, BATCH) === 0) return;
  ring.restore(ring.filled, ring.filled, ring.drained); // no codec has anything to do on it
  lane.underlay.send(ring, from, ring.processed);
  lane.settle(ring);
}

/** Drops the filled slots from `from` on: the peer is not there. The kernel had queued them before it knew. */
function refuseBatch(lane: Lane, from: number): void {
  const ring = lane.encapRing;
  lane.watch.filled(ring, from, DIRECTION_ENCAP);
  for (let position = from; position !== ring.filled; position = (position + 1) >>> 0) {
    ring.setReason(position, REASON_TUNNEL_DOWN);
  }
  ring.restore(ring.filled, ring.filled, ring.drained);
  lane.watch.taken(ring, from, DIRECTION_ENCAP);
  lane.watch.done(ring, from, DIRECTION_ENCAP);
  lane.aside.showEncap(ring, from);
  lane.settle(ring);
}

/** Takes the filled slots from `from` on through the rest of the way. */
function sendBatch(lane: Lane, from: number): void {
  const ring = lane.encapRing;
  lane.watch.filled(ring, from, DIRECTION_ENCAP);
  const { refusals } = ring;
  const dropped = lane.process(ring);
  lane.watch.taken(ring, from, DIRECTION_ENCAP);
  lane.underlay.send(ring, from, ring.processed);
  lane.watch.done(ring, from, DIRECTION_ENCAP);
  if (dropped > 0 || ring.refusals !== refusals) lane.aside.showEncap(ring, from);
  lane.settle(ring);
}

/**
 * Fills free slots from `device` until it or the batch runs out: a superpacket fills one a segment, so a batch may
 * end up larger by those of the last one. Returns how many packets on the wire the slots stand for.
 */
function readBatch(lane: Lane, device: TunDevice, record: number): number {
  const ring = lane.encapRing;
  const first = ring.filled;
  const room = ring.reserve();
  let count = 0;
  let packets = 0;
  let bytes = 0;
  while (count < BATCH && bytes < BATCH_BYTES && room - count >= SEGMENT_LIMIT) {
    const position = (first + count) >>> 0;
    const length = device.read(ring, position);
    if (length === 0) break;
    ring.fill(position, length, record, 0);
    bytes += length;
    const end = count + lane.segment(position, room - count);
    for (; count < end; count++) packets += ring.packets((first + count) >>> 0);
  }
  ring.publish(count);
  return packets;
}
