import { formatBitRate, formatSeconds } from '../../view/format.js';
import { total } from '../../view/live-counts.js';
import type { LivePeer, LiveTunnel } from '../../view/live-tunnel.js';
import type { Size } from '../terminal.js';
import type { Line } from './line.js';
import type { TopState } from './state.js';

/** From so many columns on there is room for an IPv6 address. */
const WIDE = 110;
const RATE = 13;
const DROPS = 14;

/** The peers of a tunnel with several, `rows` of them from `firstPeer` on, a heading on top. */
export function peerLines(
  { peers }: LiveTunnel,
  { firstPeer, isBusyFirst }: Pick<TopState, 'firstPeer' | 'isBusyFirst'>,
  nowMs: number,
  { columns, rows }: Size,
): Line[] {
  const width = columns < WIDE ? 24 : 42;
  const from = Math.max(0, Math.min(firstPeer, peers.length - rows));
  const seen = (isBusyFirst ? busyFirst(peers) : peers).slice(from, from + rows);
  const last = from + seen.length;
  const part = seen.length < peers.length ? `, ${from + 1} to ${last} seen: page up, down` : '';
  const order = isBusyFirst ? 'the busiest first: s' : 'as in the config: s';
  const rates = ['RECEIVED', 'SENT'].map((title) => title.padEnd(RATE));
  const titles = ['PEER'.padEnd(width), 'DROPS'.padEnd(DROPS), ...rates, 'HEARD'];
  return [
    [`${peers.length} peers`, ...downText(peers), ['dim', `${part}  ·  ${order}`]],
    [['dim', titles.join('')]],
    ...seen.map((peer) => rowOf(peer, nowMs, width)),
  ];
}

/** When something came, seen from now. */
export function heardText(timeMs: number | null, nowMs: number): string {
  return timeMs === null ? 'never' : `${formatSeconds(Math.max(0, nowMs - timeMs) / 1000)} ago`;
}

/** By what passed in the last second, then by what was dropped in it. */
function busyFirst(peers: readonly LivePeer[]): LivePeer[] {
  const passed = ({ rxRate, txRate }: LivePeer): number => rxRate.bytes + txRate.bytes;
  return [...peers].sort((a, b) => passed(b) - passed(a) || b.newDrops - a.newDrops);
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
  // Nothing passes while it is down: the reason has the place of the rates.
  if (downReason !== undefined) return [...head, ['red', `down: ${downReason}`]];
  const rates = [rxRate, txRate].map(({ bytes }) => formatBitRate(bytes).padEnd(RATE));
  return [...head, ...rates, heardText(lastReceivedMs, nowMs)];
}
