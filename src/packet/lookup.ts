// Which tunnel a received packet belongs to: four passes, most specific first, each over all tunnels.
// Slow and obvious on purpose: the hash lookup of the packet path is held against it.

import { type Entry, isGroup, ownName, type Table } from './table.js';
import { isGre, type Mode } from './tunnel.js';

export interface LookupKey {
  readonly mode: Mode;
  /** Outer destination and source, wire order. */
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
  /** Null without K. */
  readonly key: number | null;
  /** Index of the device the packet came from, 0 = not known. */
  readonly link: number;
}

/** The record (index + 1) of the first tunnel of the first pass that matches, 0 for none. */
export function lookup(table: Table, packet: LookupKey): number {
  const passes: ((entry: Entry) => boolean)[] = [
    (entry) => isLocal(entry, packet) && isRemote(entry, packet) && hasKey(entry, packet),
    (entry) => entry.local === null && isRemote(entry, packet) && hasKey(entry, packet),
    (entry) => isOpenTo(entry, packet) && hasKey(entry, packet),
    (entry) => entry.local === null && entry.remote === null && hasKeyValue(entry, packet),
  ];
  for (const matches of passes) {
    const index = table.entries.findIndex(
      (entry) => entry !== undefined && isCandidate(entry, packet) && matches(entry),
    );
    if (index >= 0) return index + 1;
  }
  return 0;
}

function isLocal({ local }: Entry, packet: LookupKey): boolean {
  return local !== null && ownName(local) === ownName(packet.local);
}

/** The peer is one host and sent it. */
function isRemote({ remote }: Entry, packet: LookupKey): boolean {
  return remote !== null && !isGroup(remote) && ownName(remote) === ownName(packet.remote);
}

/** Sent by anyone: to our address where no peer is named, or to the group that stands for the peer. */
function isOpenTo(entry: Entry, packet: LookupKey): boolean {
  const { remote } = entry;
  if (remote === null) return isLocal(entry, packet);
  return isGroup(remote) && ownName(remote) === ownName(packet.local);
}

/** Mode, outer family and device fit: a tunnel without a device takes packets from any. */
function isCandidate({ tunnel, version, routes }: Entry, packet: LookupKey): boolean {
  if (routes !== undefined) return false; // its peers are entries of their own
  if (tunnel.mode !== packet.mode || version !== (packet.local.length === 4 ? 4 : 6)) return false;
  return tunnel.link === 0 || packet.link === 0 || tunnel.link === packet.link;
}

/** Both carry no key, or the same one: key 0 is a key (RFC 2890, 2.1). */
function hasKey({ tunnel }: Entry, packet: LookupKey): boolean {
  const keyIn = isGre(tunnel) ? tunnel.keyIn : undefined;
  return (keyIn ?? null) === packet.key;
}

/** The last pass compares values only, no key counting as 0. */
function hasKeyValue({ tunnel }: Entry, packet: LookupKey): boolean {
  const keyIn = isGre(tunnel) ? tunnel.keyIn : undefined;
  return (keyIn ?? 0) === (packet.key ?? 0);
}
