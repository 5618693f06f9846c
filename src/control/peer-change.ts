// What is different between two looks at the peers of a tunnel that has several: none but those that differ, each told by
// its place, as one remote may be there twice.

import type { PeerStatus } from '../router/contract.js';
import { difference, newCounts } from './counter-change.js';
import type { PeerDrops, PeerTraffic, PeerTurn } from './event.js';

export interface PeerChanges {
  readonly traffic: PeerTraffic[];
  readonly drops: PeerDrops[];
  readonly turns: PeerTurn[];
}

type Peers = readonly PeerStatus[] | undefined;

/** Whether differences do not tell all: other peers, or counters that began anew. */
export function areOtherPeers(before: Peers = [], after: Peers = []): boolean {
  if (before.length !== after.length) return true;
  return after.some((peer, place) => {
    const old = before[place];
    return (
      old === undefined ||
      old.remote !== peer.remote ||
      old.rx.packets > peer.rx.packets ||
      old.tx.packets > peer.tx.packets ||
      newCounts(peer.drops, old.drops) !== undefined
    );
  });
}

/** The differences of the same peers. */
export function peerChanges(before: Peers = [], after: Peers = []): PeerChanges {
  const changes: PeerChanges = { traffic: [], drops: [], turns: [] };
  after.forEach((now, peer) => {
    const old = before[peer];
    if (old === undefined) return;
    const rx = difference(old.rx, now.rx);
    const tx = difference(old.tx, now.tx);
    if (rx.packets + tx.packets > 0) changes.traffic.push({ peer, rx, tx });
    const drops = newCounts(old.drops, now.drops);
    if (drops !== undefined) changes.drops.push({ peer, drops });
    if (old.remoteAddress !== now.remoteAddress || old.downReason !== now.downReason) {
      changes.turns.push(turnOf(peer, now));
    }
  });
  return changes;
}

function turnOf(peer: number, { remoteAddress, downReason }: PeerStatus): PeerTurn {
  return {
    peer,
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    ...(downReason === undefined ? {} : { downReason }),
  };
}
