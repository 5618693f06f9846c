import type { PeerStatus, TunnelStatus } from '../router/contract.js';
import { History } from './history.js';
import { LiveCounts } from './live-counts.js';

/** A tunnel of a live view. */
export class LiveTunnel extends LiveCounts {
  /** Bytes a second. */
  readonly rxHistory = new History();
  readonly txHistory = new History();
  /** In the order of the status; empty for a tunnel with one. */
  peers: readonly LivePeer[] = [];

  constructor(public status: TunnelStatus) {
    super();
    this.reset(status);
  }

  /** Begins anew with a status. */
  reset(status: TunnelStatus): void {
    this.status = status;
    this.begin(status);
    const before = this.peers;
    this.peers = (status.peers ?? []).map((peer, place) => {
      const known = before[place];
      if (known?.status.remote !== peer.remote) return new LivePeer(peer);
      known.reset(peer);
      return known;
    });
  }
}

/** One of several peers of a tunnel. */
export class LivePeer extends LiveCounts {
  constructor(public status: PeerStatus) {
    super();
    this.reset(status);
  }

  /** Begins anew with a status. */
  reset(status: PeerStatus): void {
    this.status = status;
    this.begin(status);
  }
}
