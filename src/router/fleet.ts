// The tunnels of a running router and the records that they have. A record stays with its tunnel as long as that is
// there, and so do its counters; what comes later takes free ones.
import { TUNNEL_CAPACITY } from '../../asm/layout.js';
import type { Peer, TunnelConfig } from '../config/config.js';
import type { Tunnel } from '../packet/tunnel.js';
import { EXIT, Failure } from '../sys/failure.js';

/** Where the records of a tunnel lie. */
export interface Place {
  readonly record: number;
  /** The first of those for its peers, and how many there are; absent: it has none. */
  readonly peers?: { readonly first: number; readonly room: number };
}

export interface Member extends Place {
  /** Its peers in the order of their records: another than that of the file, when some came or went. */
  readonly config: TunnelConfig;
  /** The same with what is known of its surroundings. */
  readonly tunnel: Tunnel;
}

/** In the order of the config. */
export type Fleet = readonly Member[];

/** Records for peers that come later, beside a quarter of those that are there. */
const PEER_RESERVE = 4;

/** By record, the first is record 1; a hole where it is a peer's, or nobody's. */
export function byRecord<T>(fleet: Fleet, pick: (member: Member) => T): (T | undefined)[] {
  const found: (T | undefined)[] = [];
  for (const member of fleet) {
    while (found.length < member.record) found.push(undefined);
    found[member.record - 1] = pick(member);
  }
  return found;
}

export function tunnelsOf(fleet: Fleet): (Tunnel | undefined)[] {
  return byRecord(fleet, ({ tunnel }) => tunnel);
}

/**
 * Finds places for the tunnels of `configs`: those that a tunnel of `before` with the same name has, or free ones. None
 * that anybody has by now is given to another. Throws a Failure when there are too few.
 */
export function placeTunnels(configs: readonly TunnelConfig[], before: Fleet): Place[] {
  const old = new Map(before.map((member) => [member.config.name, member]));
  const free = new FreeRecords(before);
  const records = configs.map(({ name }) => old.get(name)?.record ?? free.take(1));
  return configs.map(({ name, peers }, index): Place => {
    const record = records[index] ?? 0;
    if (peers.length === 0) return { record };
    const kept = old.get(name)?.peers;
    if (kept !== undefined && peers.length <= kept.room) return { record, peers: kept };
    const room = peers.length + Math.ceil(peers.length / 4) + PEER_RESERVE;
    return { record, peers: { first: free.take(room), room } };
  });
}

/** Puts the peers of a tunnel where they were before, as far as they were there; others fill the gaps. */
export function alignPeers(peers: readonly Peer[], before: readonly Peer[]): readonly Peer[] {
  const remotes = new Set(before.slice(0, peers.length).map(({ remote }) => remote));
  const staying = new Map(
    peers.filter(({ remote }) => remotes.has(remote)).map((peer) => [peer.remote, peer]),
  );
  const others = peers.filter(({ remote }) => !staying.has(remote));
  const rest = others[Symbol.iterator]();
  return peers.map((peer, index) => {
    const same = staying.get(before[index]?.remote ?? '');
    return same ?? rest.next().value ?? peer;
  });
}

class FreeRecords {
  readonly #taken = new Set<number>();
  /** No record before this one is free. */
  #from = 1;

  constructor(fleet: Fleet) {
    for (const { record, peers } of fleet) {
      this.#taken.add(record);
      if (peers) this.#mark(peers.first, peers.room);
    }
  }

  /** The first of `count` records side by side. */
  take(count: number): number {
    while (this.#taken.has(this.#from)) this.#from++;
    let first = this.#from;
    for (let at = first; at < first + count; at++) if (this.#taken.has(at)) first = at + 1;
    if (first + count > TUNNEL_CAPACITY) throw tooMany();
    this.#mark(first, count);
    return first;
  }

  #mark(first: number, count: number): void {
    for (let at = first; at < first + count; at++) this.#taken.add(at);
  }
}

function tooMany(): Failure {
  return new Failure(
    EXIT.config,
    `tunnels and peers, those that are about to go included, are more than a router holds (${TUNNEL_CAPACITY - 1})`,
    'remove some before others are added, or restart the router',
  );
}
