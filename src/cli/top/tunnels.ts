import { formatBitRate } from '../../view/format.js';
import type { LiveView } from '../../view/live.js';
import { total } from '../../view/live-counts.js';
import type { LiveTunnel } from '../../view/live-tunnel.js';
import type { Size } from '../terminal.js';
import { type Line, sparkline } from './line.js';

/** Widths of columns. */
interface Widths {
  readonly name: number;
  readonly state: number;
  readonly rate: number;
  /** 0: no bars. */
  readonly bars: number;
}

/** From so many columns on there is room to say why a tunnel is down. */
const WIDE = 78;
const DROPS = 14;
const BARS_MIN = 6;
const BARS_MAX = 40;

function widthsOf(columns: number): Widths {
  if (columns < WIDE) return { name: 14, state: 6, rate: 13, bars: 0 };
  const widths = { name: 16, state: 15, rate: 13 };
  const left = columns - 2 - widths.name - widths.state - 2 * widths.rate - DROPS;
  const bars = Math.min(BARS_MAX, Math.floor(left / 2) - 2);
  return { ...widths, bars: bars < BARS_MIN ? 0 : bars };
}

/** All tunnels, a row each, the chosen one among those that are seen. */
export function tunnelsLines(view: LiveView, chosen: number, { columns, rows }: Size): Line[] {
  const all = [...view.tunnels.values()];
  if (all.length === 0) return [['the router has no tunnels']];
  const widths = widthsOf(columns);
  const seen = Math.max(1, rows - 1);
  const first = Math.max(0, Math.min(chosen - Math.floor(seen / 2), all.length - seen));
  const lines = all
    .slice(first, first + seen)
    .map((tunnel, index) => rowOf(tunnel, view, first + index === chosen, widths));
  return [headOf(widths), ...lines];
}

function headOf({ name, state, rate, bars }: Widths): Line {
  const room = rate + (bars === 0 ? 0 : bars + 2);
  const titles = [
    'TUNNEL'.padEnd(name),
    'STATE'.padEnd(state),
    'RECEIVED'.padEnd(room),
    'SENT'.padEnd(room),
    'DROPS',
  ];
  return [['dim', `  ${titles.join('')}`]];
}

function rowOf(tunnel: LiveTunnel, view: LiveView, isChosen: boolean, widths: Widths): Line {
  const { status, rxRate, txRate, rxHistory, txHistory, newDrops } = tunnel;
  const { name, state, downReason = '' } = status;
  const isSaid = widths.state >= 15 && /^[a-z]+$/.test(downReason);
  const word = isSaid ? `${state} ${downReason}` : state;
  const way = (bytes: number, history: LiveTunnel['rxHistory']): string => {
    const rate = formatBitRate(bytes).padEnd(widths.rate);
    if (widths.bars === 0) return rate;
    return `${rate}${sparkline(history.last(view.at, widths.bars))}  `;
  };
  return [
    isChosen ? ['bold', `> ${cell(name, widths.name)}`] : `  ${cell(name, widths.name)}`,
    state === 'up' ? ['green', cell(word, widths.state)] : ['red', cell(word, widths.state)],
    way(rxRate.bytes, rxHistory),
    way(txRate.bytes, txHistory),
    String(total(tunnel.drops)),
    newDrops > 0 ? ['red', ` +${newDrops}`] : '',
  ];
}

/** Text in a column of its own, one blank at least behind it. */
function cell(text: string, width: number): string {
  return text.length < width ? text.padEnd(width) : `${text.slice(0, width - 2)}… `;
}
