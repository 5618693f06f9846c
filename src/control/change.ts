// What is different between two statuses of a router: the events of the second between them.

import type { Drops, RouterStatus, TunnelStatus } from '../router/contract.js';
import { difference, newCounts } from './counter-change.js';
import type { LiveEvent, PeerDrops, PeerTraffic, PeerTurn, Traffic } from './event.js';
import { statusMessage } from './message.js';
import { areOtherPeers, peerChanges } from './peer-change.js';

/** A status, and when it was asked for. */
export interface Sample {
  readonly timeMs: number;
  /** By a clock that nobody sets. */
  readonly steadyMs: number;
  readonly status: RouterStatus;
}

/** The events that lead from `before` to `after`. */
export function eventsBetween(before: Sample, after: Sample): LiveEvent[] {
  if (isOther(before.status, after.status)) return [statusEvent(after)];
  const { timeMs, status } = after;
  const changes = new Changes();
  status.tunnels.forEach((tunnel, index) => {
    const old = before.status.tunnels[index];
    if (old !== undefined) changes.compare(old, tunnel);
  });
  const none = newCounts(before.status.drops, status.drops);
  const kernel = newCounts<string>({ ...before.status.kernelDrops }, { ...status.kernelDrops });
  const seconds = (after.steadyMs - before.steadyMs) / 1000;
  const { traffic, drops, peerTraffic, peerDrops, peerTurns } = changes;
  const events: LiveEvent[] = [
    {
      kind: 'traffic',
      data: { timeMs, seconds, tunnels: Object.fromEntries(traffic), ...peersOf(peerTraffic) },
    },
  ];
  if (none !== undefined || kernel !== undefined || drops.size > 0) {
    const dropped = { tunnels: Object.fromEntries(drops), ...peersOf(peerDrops) };
    const data = { timeMs, ...dropped, none: none ?? {}, kernel: kernel ?? {} };
    events.push({ kind: 'drops', data });
  }
  events.push(...changes.turned.map((tunnel) => stateEvent(timeMs, tunnel)));
  if (peerTurns.size > 0) {
    events.push({ kind: 'peers', data: { timeMs, tunnels: Object.fromEntries(peerTurns) } });
  }
  return events;
}

/** What is different, by tunnel. One may be called __proto__: the names are keys of no object until all are there. */
class Changes {
  readonly traffic = new Map<string, { rx: Traffic; tx: Traffic }>();
  readonly drops = new Map<string, Drops>();
  readonly turned: TunnelStatus[] = [];
  readonly peerTraffic = new Map<string, PeerTraffic[]>();
  readonly peerDrops = new Map<string, PeerDrops[]>();
  readonly peerTurns = new Map<string, PeerTurn[]>();

  compare(old: TunnelStatus, tunnel: TunnelStatus): void {
    const { name } = tunnel;
    const rx = difference(old.rx, tunnel.rx);
    const tx = difference(old.tx, tunnel.tx);
    if (rx.packets + tx.packets > 0) this.traffic.set(name, { rx, tx });
    const drops = newCounts(old.drops, tunnel.drops);
    if (drops !== undefined) this.drops.set(name, drops);
    if (old.state !== tunnel.state || old.downReason !== tunnel.downReason) {
      this.turned.push(tunnel);
    }
    const peers = peerChanges(old.peers, tunnel.peers);
    if (peers.traffic.length > 0) this.peerTraffic.set(name, peers.traffic);
    if (peers.drops.length > 0) this.peerDrops.set(name, peers.drops);
    if (peers.turns.length > 0) this.peerTurns.set(name, peers.turns);
  }
}

/** The field of an event for what peers have, where some have anything. */
function peersOf<T>(peers: ReadonlyMap<string, T>): { readonly peers?: Record<string, T> } {
  return peers.size === 0 ? {} : { peers: Object.fromEntries(peers) };
}

/** A sample as a whole. */
export function statusEvent({ timeMs, status }: Sample): LiveEvent {
  return { kind: 'status', data: { timeMs, status: statusMessage(status) } };
}

function stateEvent(timeMs: number, { name, state, downReason }: TunnelStatus): LiveEvent {
  const data = { timeMs, tunnel: name, state, ...(downReason === undefined ? {} : { downReason }) };
  return { kind: 'state', data };
}

/** Whether the differences of counters do not tell all: other tunnels, other settings, counters that began anew. */
function isOther(before: RouterStatus, after: RouterStatus): boolean {
  if (before.codec !== after.codec || before.underlay !== after.underlay) return true;
  if (before.tunnels.length !== after.tunnels.length) return true;
  return after.tunnels.some((tunnel, index) => {
    const old = before.tunnels[index];
    return (
      old === undefined ||
      settingsOf(old) !== settingsOf(tunnel) ||
      old.rx.packets > tunnel.rx.packets ||
      old.tx.packets > tunnel.tx.packets ||
      newCounts(tunnel.drops, old.drops) !== undefined ||
      areOtherPeers(old.peers, tunnel.peers)
    );
  });
}

function settingsOf({ name, mode, local, remote, remoteAddress, mtu, pathMtu }: TunnelStatus) {
  return `${name} ${mode} ${local} ${remote} ${remoteAddress} ${mtu} ${pathMtu}`;
}
