import { formatBitRate, formatBytes, formatPacketRate } from '../../view/format.js';
import { HISTORY } from '../../view/history.js';
import type { LiveView } from '../../view/live.js';
import type { Counts } from '../../view/live-counts.js';
import type { LiveTunnel } from '../../view/live-tunnel.js';
import type { Size } from '../terminal.js';
import { type Line, sparkline } from './line.js';
import { heardText, peerLines } from './peers.js';

/** Rows of a tunnel beside its peers and reasons: ends 4, traffic 6, heading 2, and 2 that are empty. */
const ROWS_BESIDE = 14;
/** Peers that are seen, however low the terminal is. */
const PEERS_MIN = 3;

/** One tunnel: its ends, its traffic of the last minutes, its peers from `firstPeer` on, its drops. */
export function tunnelLines(
  tunnel: LiveTunnel | undefined,
  view: LiveView,
  size: Size,
  firstPeer: number,
): Line[] {
  if (tunnel === undefined) return [['this tunnel is gone']];
  const lines = [...endLines(tunnel, view), [], ...trafficLines(tunnel, view, size)];
  const reasons = reasonLines(tunnel.drops, size.columns);
  if (tunnel.peers.length === 0) return [...lines, ...reasons];
  const room = { columns: size.columns, rows: peerRows(tunnel, size) };
  const peers = peerLines(tunnel, firstPeer, view.timeMs, room);
  return [...lines, ...peers, [], ...reasons];
}

/** How many peers of a tunnel are seen. */
export function peerRows({ drops }: LiveTunnel, { columns, rows }: Size): number {
  return Math.max(PEERS_MIN, rows - ROWS_BESIDE - reasonLines(drops, columns).length);
}

function endLines({ status }: LiveTunnel, view: LiveView): Line[] {
  const { name, mode, local, remote, remoteAddress, state, downReason, mtu, pathMtu } = status;
  const far = remoteAddress === undefined ? remote : `${remote} (${remoteAddress})`;
  const word = downReason === undefined ? state : `${state}: ${downReason}`;
  const path = pathMtu === undefined ? '' : ` (path ${pathMtu})`;
  return [
    [['bold', name], ` ${mode}  `, [state === 'up' ? 'green' : 'red', word]],
    [['dim', 'ends'.padEnd(10)], `${local} -> ${far}`],
    [['dim', 'MTU'.padEnd(10)], `${mtu}${path}`],
    [['dim', 'heard'.padEnd(10)], heardText(status.lastReceivedMs, view.timeMs)],
  ];
}

function trafficLines(tunnel: LiveTunnel, view: LiveView, { columns }: Size): Line[] {
  const { rxRate, txRate, rx, tx, rxHistory, txHistory } = tunnel;
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
  return [...way('received', rxRate, rx, rxHistory), ...way('sent', txRate, tx, txHistory)];
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
