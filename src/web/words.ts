// What the page says of a tunnel and of a peer alike.

import type { PeerStatus } from '../router/contract.js';
import { formatBitRate, formatBytes, formatPacketRate, formatSeconds } from '../view/format.js';
import type { Rate } from '../view/live-counts.js';

/** A remote as it was written, and the address that a host name stands for. */
export function remoteText({
  remote,
  remoteAddress,
}: Pick<PeerStatus, 'remote' | 'remoteAddress'>): string {
  return remoteAddress === undefined ? remote : `${remote} (${remoteAddress})`;
}

/** `1.2 Mbit/s, 3.4 kpps; 5.6 GB`, which breaks between the numbers alone. */
export function trafficText(rate: Rate, sum: Rate): string {
  const rates = `${whole(formatBitRate(rate.bytes))}, ${whole(formatPacketRate(rate.packets))}`;
  return `${rates}; ${whole(formatBytes(sum.bytes))}`;
}

/** When something came, seen from now. */
export function heardText(timeMs: number | null, nowMs: number): string {
  if (timeMs === null) return 'never';
  const seconds = Math.max(0, nowMs - timeMs) / 1000;
  return seconds < 2 ? 'now' : `${formatSeconds(seconds)} ago`;
}

/** A number that stays with its unit. */
function whole(text: string): string {
  return text.replaceAll(' ', '\u00a0');
}
