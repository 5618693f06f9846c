import type { PacketEvent } from '../../control/event.js';
import type { LiveView } from '../../view/live.js';
import type { Size } from '../terminal.js';
import type { Line } from './line.js';
import type { TopState } from './state.js';
import { reasonLines } from './tunnel.js';

/** Drops by reason, then the packets that were just dropped: each with the check where it ended, and what to do. */
export function dropLines(
  view: LiveView,
  { packets, hasPackets }: TopState,
  { columns }: Size,
): Line[] {
  const note = hasPackets
    ? 'packets just dropped'
    : 'packets just dropped (not told while a grebe trace is running)';
  return [
    [['dim', 'dropped, by reason']],
    ...reasonLines(view.dropsByReason(), columns),
    ...([...view.kernel.values()].some((count) => count > 0)
      ? [[], [['dim', 'dropped by the kernel'] as const], ...reasonLines(view.kernel, columns)]
      : []),
    [],
    [['dim', note]],
    ...(packets.length === 0 ? [['none yet']] : packets.flatMap(packetLines)),
  ];
}

function packetLines(packet: PacketEvent): Line[] {
  const { timeMs, reason, direction, length, tunnel, stages, next } = packet;
  const time = new Date(timeMs).toTimeString().slice(0, 8);
  const way = direction === 'decap' ? 'received' : 'to be sent';
  const last = stages.at(-1);
  const indent = ' '.repeat(10);
  return [
    [
      ['dim', `${time}  `],
      ['bold', reason ?? ''],
      `  ${way}, ${length} bytes, ${tunnel ?? 'no tunnel'}`,
    ],
    ...(last === undefined ? [] : [[indent, ['red', `${last.name}: ${last.detail}`] as const]]),
    ...(next === null ? [] : [[`${indent}next: ${next}`]]),
  ];
}
