// decap path: underlay -> ring -> codec -> TUN
//
//   1. receive      the underlay fills free slots
//   2. process      the codec finds the tunnel, checks and strips, or gives a reason
//   3. writeBatch   hand finished slots to the devices, in order
//   4. settle       count every slot once and free it
import { REASON_NONE, REASON_TUNNEL_DOWN } from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import { BATCH } from './encap.js';
import type { Lane } from './lane.js';

/** Moves up to one batch from the underlay to the devices. Returns how many packets it received. */
export function decapBatch(lane: Lane): number {
  const ring = lane.decapRing;
  const from = ring.filled;
  const count = lane.underlay.receive(ring, BATCH);
  if (count === 0) return 0;

  lane.countUnderlayReceived(count);
  lane.process(ring);
  writeBatch(lane, ring, from, ring.processed);
  lane.settle(ring);
  return count;
}

/** Writes every packet without a reason to the device of its tunnel; one not taken gets its reason. */
function writeBatch(lane: Lane, ring: Ring, from: number, to: number): void {
  for (let position = from; position !== to; position = (position + 1) >>> 0) {
    if (ring.reason(position) !== REASON_NONE) continue;
    const device = lane.devices[ring.tunnel(position)];
    const reason =
      device === undefined
        ? REASON_TUNNEL_DOWN
        : device.write(ring.processedAddress(position), ring.length(position));
    if (reason !== REASON_NONE) ring.setReason(position, reason);
  }
}
