// decap path: underlay -> ring -> codec -> TUN
//
//   1. receive      the underlay fills free slots; or reorder.ts does, with packets whose turn has come
//   2. process      the codec finds the tunnel, checks and strips, or gives a reason
//   3. coalesce     the codec merges neighbours of a flow into runs
//   4. writeBatch   hand finished packets to the devices, in order, each run as one
//   5. aside        show what does not go on to who may answer it
//   6. settle       count every slot once and free it
import { DIRECTION_DECAP, SLOT_COUNT } from '../../asm/layout.js';
import {
  REASON_CODEC_FAULT,
  REASON_EARLY,
  REASON_NONE,
  REASON_TUNNEL_DOWN,
} from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import { WRITE_REFUSED } from '../tun/contract.js';
import { BATCH } from './encap.js';
import type { Lane } from './lane.js';
import type { ReorderBuffer } from './reorder.js';

/** Moves up to one batch from the underlay to the devices. Returns how many packets it received. */
export function decapBatch(lane: Lane): number {
  const ring = lane.decapRing;
  const from = ring.filled;
  const count = lane.underlay.receive(ring, BATCH);
  if (count === 0) return 0;

  lane.countUnderlayReceived(count);
  deliver(lane, ring, from);
  lane.underlay.release?.(ring, from, ring.processed);
  lane.settle(ring);
  releaseEarly(lane);
  return count;
}

/** Delivers the early packets whose turn has come, or whose time is up. */
export function releaseEarly(lane: Lane): void {
  const { reorder, decapRing: ring } = lane;
  if (reorder === undefined) return;
  for (;;) {
    const from = ring.filled;
    if (reorder.fill(ring, BATCH, performance.now()) === 0) return;
    deliver(lane, ring, from);
    lane.settle(ring);
  }
}

/** Takes the packets from `from` on through the codec to the devices. */
function deliver(lane: Lane, ring: Ring, from: number): void {
  lane.watch.filled(ring, from, DIRECTION_DECAP);
  const { refusals } = ring;
  const dropped = lane.process(ring);
  lane.watch.taken(ring, from, DIRECTION_DECAP);
  if (lane.reorder !== undefined) holdEarly(lane.reorder, ring, from, ring.processed);
  lane.coalesce();
  writeBatch(lane, ring, from, ring.processed);
  lane.watch.done(ring, from, DIRECTION_DECAP);
  if (dropped > 0 || ring.refusals !== refusals) lane.aside.showDecap(ring, from);
}

/** Puts the packets aside that the codec found early. */
function holdEarly(reorder: ReorderBuffer, ring: Ring, from: number, to: number): void {
  for (let position = from; position !== to; position = (position + 1) >>> 0) {
    if (ring.reason(position) !== REASON_EARLY) continue;
    reorder.hold(ring, position, performance.now());
  }
}

const MASK = SLOT_COUNT - 1;

/** By slot: whether its packet was written, or has its reason not to be. */
const done = new Uint8Array(SLOT_COUNT);

/** Writes every packet without a reason to the device of its tunnel; one not taken gets its reason. */
function writeBatch(lane: Lane, ring: Ring, from: number, to: number): void {
  done.fill(0);
  let isSound = true;
  for (let position = from; position !== to; position = (position + 1) >>> 0) {
    if (ring.reason(position) !== REASON_NONE) continue;
    const first = ring.emitted(position);
    if (first < 0) continue;
    if (isRun(ring, first, from, to)) writeRun(lane, ring, first);
    else isSound = false;
  }
  // INVARIANT: whatever a codec linked to what, every packet is written once or has a reason.
  for (let position = from; position !== to; position = (position + 1) >>> 0) {
    if (ring.reason(position) !== REASON_NONE || done[position & MASK] === 1) continue;
    ring.setReason(position, REASON_CODEC_FAULT);
    isSound = false;
  }
  if (!isSound) lane.rejectRuns('it merged what cannot be merged');
}

/**
 * Whether the packets that follow one another from slot `first` on are all of this batch, of one tunnel, where they
 * may be, and not written yet. If so they are marked as done.
 */
function isRun(ring: Ring, first: number, from: number, to: number): boolean {
  const count = (to - from) >>> 0;
  let steps = 0;
  for (let at = first; at >= 0; at = ring.next(at)) {
    if (at >= SLOT_COUNT || ((at - from) & MASK) >= count || ++steps > count) return false;
    if (done[at] === 1 || ring.reason(at) !== REASON_NONE) return false;
    if (ring.processedAddress(at) < 0 || ring.tunnel(at) !== ring.tunnel(first)) return false;
  }
  for (let at = first; at >= 0; at = ring.next(at)) done[at] = 1;
  return true;
}

/** Writes a run to the device of its tunnel. */
function writeRun(lane: Lane, ring: Ring, first: number): void {
  const device = lane.deviceOf(ring.tunnel(first));
  const reason = device === undefined ? REASON_TUNNEL_DOWN : device.write(ring, first);
  if (reason === REASON_NONE) return;
  const members: number[] = [];
  for (let at = first; at >= 0; at = ring.next(at)) members.push(at);
  if (reason !== WRITE_REFUSED || device === undefined) {
    for (const at of members) ring.setReason(at, reason);
    return;
  }
  lane.separate(first, device.name);
  for (const at of members) {
    ring.setLast(at);
    const isThere = ring.processedAddress(at) >= 0;
    const refused = isThere ? device.write(ring, at) : REASON_CODEC_FAULT;
    if (refused !== REASON_NONE) ring.setReason(at, refused);
  }
}
