// A frame of grebe top: the lines of a terminal of any size.
//
//   1. head   health, and the sum of all tunnels
//   2. body   what was chosen: all tunnels, one of them, drops, or the keys
//   3. foot   why the router is not heard, or the keys that matter here

import type { Paint } from '../../config/diagnostic.js';
import { formatBitRate, formatSeconds } from '../../view/format.js';
import type { LiveView } from '../../view/live.js';
import type { LiveTunnel } from '../../view/live-tunnel.js';
import type { Size } from '../terminal.js';
import { dropLines } from './drops.js';
import { fitLine, type Line, sparkline } from './line.js';
import type { Shown, TopState } from './state.js';
import { peerRows, tunnelLines } from './tunnel.js';
import { tunnelsLines } from './tunnels.js';

const HEAD_ROWS = 3;
const FOOT_ROWS = 1;

/** What there is to go through: tunnels, and peers of the chosen one. */
export function extentsOf(view: LiveView, { chosen }: TopState, size: Size) {
  const rows = bodyRows(size);
  const tunnel = [...view.tunnels.values()][chosen];
  const page = tunnel === undefined ? 1 : peerRows(tunnel, { ...size, rows });
  return {
    tunnels: { count: view.tunnels.size, page: rows },
    peers: { count: tunnel?.peers.length ?? 0, page },
  };
}

/** All lines, as wide and as many as fit. */
export function frameOf(view: LiveView, state: TopState, size: Size, paint: Paint): string[] {
  const body = bodyOf(view, state, { columns: size.columns, rows: bodyRows(size) });
  const fill = Array.from({ length: Math.max(0, bodyRows(size) - body.length) }, (): Line => []);
  const lines = [...headOf(view, size), ...body.slice(0, bodyRows(size)), ...fill, footOf(state)];
  // A terminal of two rows has the most important ones.
  return lines.slice(0, size.rows).map((line) => fitLine(line, size.columns, paint));
}

function bodyRows({ rows }: Size): number {
  return Math.max(1, rows - HEAD_ROWS - FOOT_ROWS);
}

function bodyOf(view: LiveView, state: TopState, size: Size): Line[] {
  switch (state.shown) {
    case 'tunnels':
      return tunnelsLines(view, state.chosen, size);
    case 'tunnel':
      return tunnelLines([...view.tunnels.values()][state.chosen], view, size, state.firstPeer);
    case 'drops':
      return dropLines(view, state, size);
    case 'help':
      return HELP.map(([keys, what]): Line => [['bold', keys.padEnd(16)], what]);
  }
}

const HELP: readonly (readonly [keys: string, what: string])[] = [
  ['up down, j k', 'choose a tunnel'],
  ['page up, down', 'a page at a time; home, end or g, G: the first, the last'],
  ['enter', 'the chosen tunnel alone; pages are then of its peers'],
  ['d', 'drops by reason, and the packets that were just dropped'],
  ['escape', 'back'],
  ['q, ^C', 'quit'],
  ['', ''],
  ['rates', 'are of the last second; bars are the seconds before, each row by its own largest'],
  ['drops', 'are counts since the start, and + what came in the last second'],
];

function headOf(view: LiveView, { columns }: Size): Line[] {
  const all = [...view.tunnels.values()];
  const down = all.filter(({ status }) => status.state === 'down').length;
  const count = `${all.length} tunnel${all.length === 1 ? '' : 's'}`;
  const health: Line[number] =
    down === 0 ? ['green', `${count} up`] : ['red', `${count}, ${down} down`];
  const up = `running for ${formatSeconds(view.uptimeSeconds)}`;
  const about = `  ·  ${up}  ·  codec ${view.codec}  ·  underlay ${view.underlay}`;
  const width = Math.max(0, Math.min(30, Math.floor(columns / 2) - 28));
  const sum = (way: 'rx' | 'tx'): Line => {
    const rate = all.reduce((bytes, one) => bytes + rateOf(one, way).bytes, 0);
    const title = way === 'rx' ? 'received' : '  sent';
    return [
      ['dim', `${title} `],
      formatBitRate(rate).padStart(13),
      ' ',
      bars(view, all, way, width),
    ];
  };
  return [[['bold', 'grebe  '], health, ['dim', about]], [...sum('rx'), ...sum('tx')], []];
}

function rateOf(tunnel: LiveTunnel, way: 'rx' | 'tx'): LiveTunnel['rxRate'] {
  return way === 'rx' ? tunnel.rxRate : tunnel.txRate;
}

/** Bars of the sum of tunnels. */
function bars(
  view: LiveView,
  tunnels: readonly LiveTunnel[],
  way: 'rx' | 'tx',
  width: number,
): string {
  const sums = new Array<number>(width).fill(0);
  for (const { rxHistory, txHistory } of tunnels) {
    const values = (way === 'rx' ? rxHistory : txHistory).last(view.at, width);
    values.forEach((value, index) => {
      sums[index] = (sums[index] ?? 0) + value;
    });
  }
  return sparkline(sums);
}

const KEYS: Readonly<Record<Shown, string>> = {
  tunnels: '↑↓ choose   enter details   d drops   ? help   q quit',
  tunnel: '↑↓ next tunnel   escape back   d drops   ? help   q quit',
  drops: 'escape back   ? help   q quit',
  help: 'escape back   q quit',
};

function footOf({ shown, lost }: TopState): Line {
  if (lost === undefined) return [['dim', KEYS[shown]]];
  return [['red', `not connected, trying again: ${lost}`]];
}
