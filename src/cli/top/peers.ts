import { formatBitRate, formatSeconds } from '../../view/format.js';
import { total } from '../../view/live-counts.js';
import type { LivePeer, LiveTunnel } from '../../view/live-tunnel.js';
import type { Size } from '../terminal.js';
import type { Line } from './line.js';

/** From so many columns on there is room for an IPv6 address. */
const WIDE = 110;
const RATE = 13;
const DROPS = 14;

/** The peers of a tunnel with several, `rows` of them from `first` on, a heading on top. */
export function peerLines(
  { peers }: LiveTunnel,
  first: number,
  nowMs: number,
  { columns, rows }: Size,
): Line[] {
  const width = columns < WIDE ? 24 : 42;
  const from = Math.max(0, Math.min(first, peers.length - rows));
  const seen = peers.slice(from, from + rows);
  const part =
    seen.length < peers.length ? `, ${from + 1} to ${from + seen.length} seen: page up, down` : '';
  const rates = ['RECEIVED', 'SENT'].map((title) => title.padEnd(RATE));
  const titles = ['PEER'.padEnd(width), 'DROPS'.padEnd(DROPS), ...rates, 'HEARD'];
  return [
    [`${peers.length} peers`, ...downText(peers), ['dim', part]],
    [['dim', titles.join('')]],
    ...seen.map((peer) => rowOf(peer, nowMs, width)),
  ];
}

/** When something came, seen from now. */
export function heardText(timeMs: number | null, nowMs: number): string {
  return timeMs === null ? 'never' : `${formatSeconds(Math.max(0, nowMs - timeMs) / 1000)} ago`;
}

function downText(peers: readonly LivePeer[]): Line {
  const down = peers.filter(({ status }) => status.downReason !== undefined).length;
  return down === 0 ? [] : [['red', `, ${down} down`]];
}

function rowOf(peer: LivePeer, nowMs: number, width: number): Line {
  const { status, rxRate, txRate, drops, newDrops } = peer;
  const { remote, remoteAddress, downReason, lastReceivedMs } = status;
  const far = remoteAddress === undefined ? remote : `${remote} (${remoteAddress})`;
  const name = far.length < width ? far : `${far.slice(0, width - 2)}…`;
  const dropped = String(total(drops));
  const fresh = newDrops > 0 ? ` +${newDrops}` : '';
  const head: Line = [
    name.padEnd(width),
    dropped,
    ['red', fresh.padEnd(Math.max(1, DROPS - dropped.length))],
  ];
  // Nothing passes in between: the reason has the place of the rates.
  if (downReason !== undefined) return [...head, ['red', `down: ${downReason}`]];
  const rates = [rxRate, txRate].map(({ bytes }) => formatBitRate(bytes).padEnd(RATE));
  return [...head, ...rates, heardText(lastReceivedMs, nowMs)];
}
