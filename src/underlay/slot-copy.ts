// Packets copied into slots and out of them, where no system call works on the slots themselves.
import type { Ring } from '../ring/ring.js';

/**
 * Fills and publishes free slots of `ring` with the oldest of the `waiting` packets, at most `max`, and takes
 * those off. `bytes`: the dataplane's memory. Returns how many.
 */
export function fillFrom(
  waiting: Uint8Array[],
  bytes: Uint8Array,
  ring: Ring,
  max: number,
): number {
  const taken = waiting.splice(0, Math.min(max, ring.reserve()));
  for (const [n, packet] of taken.entries()) {
    const position = (ring.filled + n) >>> 0;
    bytes.set(packet, ring.packetAddress(position));
    ring.fill(position, packet.length, 0, 0);
  }
  ring.publish(taken.length);
  return taken.length;
}

/** A copy of the packet at `position` as the codec left it, its pieces put together. */
export function gather(bytes: Uint8Array, ring: Ring, position: number): Uint8Array {
  const address = ring.processedAddress(position);
  const length = ring.length(position);
  const payloadLength = ring.payloadLength(position);
  const packet = new Uint8Array(length + payloadLength);
  packet.set(bytes.subarray(address, address + length));
  if (payloadLength > 0) {
    const payload = ring.processedPayload(position);
    packet.set(bytes.subarray(payload, payload + payloadLength), length);
  }
  return packet;
}
