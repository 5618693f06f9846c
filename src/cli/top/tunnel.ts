import { formatBitRate, formatBytes, formatPacketRate, formatSeconds } from '../../view/format.js';
import { HISTORY } from '../../view/history.js';
import type { Counts, LiveTunnel, LiveView } from '../../view/live.js';
import type { Size } from '../terminal.js';
import { type Line, sparkline } from './line.js';

/** One tunnel: its ends, its traffic of the last minutes, its drops. */
export function tunnelLines(
  tunnel: LiveTunnel | undefined,
  view: LiveView,
  { columns }: Size,
): Line[] {
  if (tunnel === undefined) return [['this tunnel is gone']];
  const { status, rxRate, txRate, rx, tx, rxHistory, txHistory, drops } = tunnel;
  const { name, mode, local, remote, remoteAddress, state, downReason, mtu, pathMtu } = status;
  const far = remoteAddress === undefined ? remote : `${remote} (${remoteAddress})`;
  const word = downReason === undefined ? state : `${state}: ${downReason}`;
  const path = pathMtu === undefined ? '' : ` (path ${pathMtu})`;
  const width = Math.max(1, Math.min(HISTORY, columns));
  const way = (
    title: string,
    rate: LiveTunnel['rxRate'],
    sum: LiveTunnel['rx'],
    history: LiveTunnel['rxHistory'],
  ): Line[] => [
    [
      ['dim', title.padEnd(10)],
      `${formatBitRate(rate.bytes)}, ${formatPacketRate(rate.packets)}`,
      ['dim', `   ${sum.packets} packets, ${formatBytes(sum.bytes)} in all`],
    ],
    [sparkline(history.last(view.at, width))],
    [],
  ];
  return [
    [['bold', name], ` ${mode}  `, [state === 'up' ? 'green' : 'red', word]],
    [['dim', 'ends'.padEnd(10)], `${local} -> ${far}`],
    [['dim', 'MTU'.padEnd(10)], `${mtu}${path}`],
    [['dim', 'heard'.padEnd(10)], heardText(status.lastReceivedMs, view.timeMs)],
    [],
    ...way('received', rxRate, rx, rxHistory),
    ...way('sent', txRate, tx, txHistory),
    ...reasonLines(drops, columns),
  ];
}

function heardText(timeMs: number | null, nowMs: number): string {
  return timeMs === null ? 'never' : `${formatSeconds(Math.max(0, nowMs - timeMs) / 1000)} ago`;
}

const REASON_WIDTH = 22;
const COUNT_WIDTH = 12;
const BAR_MAX = 40;

/** Counts by their names with bars, the largest first. */
export function reasonLines(counts: Counts, columns: number): Line[] {
  const rows = [...counts].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  if (rows.length === 0) return [[['dim', 'nothing was dropped']]];
  const most = rows[0]?.[1] ?? 1;
  const width = Math.max(0, Math.min(BAR_MAX, columns - REASON_WIDTH - COUNT_WIDTH - 2));
  return rows.map(([reason, count]): Line => {
    const bar = '#'.repeat(Math.ceil((count / most) * width));
    return [reason.padEnd(REASON_WIDTH), String(count).padStart(COUNT_WIDTH), '  ', ['red', bar]];
  });
}
