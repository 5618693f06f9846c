import type { Paint } from '../config/diagnostic.js';
import type { StatusMessage } from '../control/message.js';
import type { PeerStatus, TunnelStatus } from '../router/contract.js';
import { formatBitRate, formatBytes, formatPacketRate, formatSeconds } from '../view/format.js';
import { formatTable } from './output.js';

/** A status for a person: health on top, then a row a tunnel. With an earlier status also rates. */
export function formatStatus(status: StatusMessage, paint: Paint, before?: StatusMessage): string {
  const lines = [formatHealth(status, paint), ''];
  if (status.tunnels.length > 0) {
    const seconds = before === undefined ? 0 : status.uptimeSeconds - before.uptimeSeconds;
    const rows = status.tunnels.map((tunnel) => {
      const earlier = before?.tunnels.find(({ name }) => name === tunnel.name);
      return formatTunnel(tunnel, seconds > 0 ? earlier : undefined, seconds);
    });
    const table = formatTable([HEADING, ...rows]).split('\n');
    lines.push(paint('dim', table[0] ?? ''));
    status.tunnels.forEach((tunnel, index) => {
      const row = table[index + 1] ?? '';
      lines.push(tunnel.state === 'up' ? row : paint('red', row));
      if (tunnel.downReason !== undefined) lines.push(paint('red', `  ${tunnel.downReason}`));
    });
    lines.push(...formatPeers(status.tunnels, paint));
  }
  const drops = formatDrops(status.drops);
  if (drops !== '') lines.push('', `packets of no tunnel, dropped: ${drops}`);
  const lost = formatDrops(kernelDropsOf(status));
  if (lost !== '') lines.push('', `dropped by the kernel before the router had them: ${lost}`);
  const told = formatIcmp(status);
  if (told !== '') lines.push('', told);
  return lines.join('\n').trimEnd();
}

const HEADING = [
  'NAME',
  'MODE',
  'LOCAL -> REMOTE',
  'STATE',
  'MTU',
  'RX',
  'TX',
  'LOCAL',
  'LAST HEARD',
  'DROPS',
] as const;

function formatHealth(
  { codec, underlay, uptimeSeconds, tunnels }: StatusMessage,
  paint: Paint,
): string {
  const down = tunnels.filter((tunnel) => tunnel.state === 'down').length;
  const count = `${tunnels.length} tunnel${tunnels.length === 1 ? '' : 's'}`;
  const health =
    tunnels.length === 0
      ? 'no tunnels'
      : down === 0
        ? paint('green', `${count} up`)
        : paint('red', `${count}, ${down} down`);
  const up = formatSeconds(uptimeSeconds);
  return `${health}  ·  running for ${up}  ·  codec ${codec}  ·  underlay ${underlay}`;
}

function formatTunnel(
  tunnel: TunnelStatus,
  earlier: TunnelStatus | undefined,
  seconds: number,
): string[] {
  const traffic = (direction: 'rx' | 'tx'): string => {
    const { packets, bytes } = tunnel[direction];
    const total = `${packets} (${formatBytes(bytes)})`;
    if (earlier === undefined) return total;
    const rate = (packets - earlier[direction].packets) / seconds;
    const byteRate = (bytes - earlier[direction].bytes) / seconds;
    return `${total} ${formatPacketRate(rate)} ${formatBitRate(byteRate)}`;
  };
  return [
    tunnel.name,
    tunnel.mode,
    `${tunnel.local} -> ${formatRemote(tunnel)}`,
    formatState(tunnel),
    tunnel.pathMtu === undefined ? String(tunnel.mtu) : `${tunnel.mtu} (path ${tunnel.pathMtu})`,
    traffic('rx'),
    traffic('tx'),
    String(tunnel.localPackets ?? 0), // a router that is older tells none
    formatLastHeard(tunnel.lastReceivedMs),
    formatDrops(tunnel.drops) || '-',
  ];
}

/** A table of the peers of all tunnels that have several. */
function formatPeers(tunnels: readonly TunnelStatus[], paint: Paint): string[] {
  const peers = tunnels.flatMap(({ name, peers: own = [] }) => own.map((peer) => ({ name, peer })));
  if (peers.length === 0) return [];
  const rows = peers.map(({ name, peer }) => [
    name,
    formatRemote(peer),
    ...[peer.rx, peer.tx].map(({ packets, bytes }) => `${packets} (${formatBytes(bytes)})`),
    formatLastHeard(peer.lastReceivedMs),
    peer.downReason ?? (formatDrops(peer.drops) || '-'),
  ]);
  const heading = ['TUNNEL', 'PEER', 'RX', 'TX', 'LAST HEARD', 'DROPS'];
  const [head = '', ...rest] = formatTable([heading, ...rows]).split('\n');
  return ['', paint('dim', head), ...rest];
}

/** Whether it is up; with the reason, where that is one word. */
function formatState({ state, downReason }: TunnelStatus): string {
  const isWord = downReason !== undefined && !downReason.includes(' ');
  return isWord ? `${state} (${downReason})` : state;
}

/** A host name with the address it stands for. */
function formatRemote({ remote, remoteAddress }: Pick<PeerStatus, 'remote' | 'remoteAddress'>) {
  return remoteAddress === undefined ? remote : `${remote} (${remoteAddress})`;
}

function formatLastHeard(timeMs: number | null | undefined): string {
  if (timeMs === null || timeMs === undefined) return 'never';
  return `${formatSeconds(Math.max(0, Date.now() - timeMs) / 1000)} ago`;
}

/** Counters of the kernel's, by their names in JSON, those of the tunnels that are shown among them. */
function kernelDropsOf({ kernelDrops, tunnels }: StatusMessage): Readonly<Record<string, number>> {
  const queues = tunnels.map(({ name, queueDrops = 0 }): [string, number] => [
    `queueDrops of ${name}`,
    queueDrops,
  ]);
  return { ...kernelDrops, ...Object.fromEntries(queues) };
}

/** ICMP errors told and heard; nothing when there were none, or a router that is older tells of none. */
function formatIcmp({ icmp }: Partial<Pick<StatusMessage, 'icmp'>>): string {
  if (icmp === undefined) return '';
  const { answers, answersLimited, errors, errorsLimited } = icmp;
  const keptBack = answersLimited === 0 ? '' : ` (${answersLimited} more were kept back)`;
  if (answers + answersLimited + errors === 0) return '';
  const heard = errorsLimited === 0 ? '' : ` (${errorsLimited} over the rate had no effect)`;
  return `ICMP errors: ${errors} heard of the underlay${heard}, ${answers} told to senders${keptBack}`;
}

/** `no-tunnel 12, gre-checksum 3`, the most frequent first; nothing when there are none. */
function formatDrops(drops: Readonly<Record<string, number>>): string {
  return Object.entries(drops)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ');
}
