// Which tunnel a received packet belongs to: four passes, most specific first, each over all tunnels.
// Slow and obvious on purpose: the hash lookup of the packet path is held against it.
import { PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_SIT, PROTOCOL_UDP } from './ipv4.js';
import type { Entry, Table } from './table.js';
import { isGre, type Mode } from './tunnel.js';

export interface LookupKey {
  readonly mode: Mode;
  /** Outer destination, host order. */
  readonly local: number;
  /** Outer source, host order. */
  readonly remote: number;
  /** Null without K. */
  readonly key: number | null;
  /** Index of the device the packet came from, 0 = not known. */
  readonly link: number;
}

/** The mode that an IP protocol over IPv4 belongs to, or null; UDP only with the right port. */
export function modeOf(protocol: number): Mode | null {
  switch (protocol) {
    case PROTOCOL_GRE:
      return 'gre';
    case PROTOCOL_IPIP:
      return 'ipip';
    case PROTOCOL_SIT:
      return 'sit';
    case PROTOCOL_UDP:
      return 'gre-udp';
    default:
      return null;
  }
}

/** The record (index + 1) of the first tunnel of the first pass that matches, 0 for none. */
export function lookup(table: Table, packet: LookupKey): number {
  const passes: ((entry: Entry) => boolean)[] = [
    (entry) =>
      entry.local === packet.local && entry.remote === packet.remote && hasKey(entry, packet),
    (entry) => entry.local === 0 && entry.remote === packet.remote && hasKey(entry, packet),
    (entry) => entry.local === packet.local && entry.remote === 0 && hasKey(entry, packet),
    (entry) => entry.local === 0 && entry.remote === 0 && hasKeyValue(entry, packet),
  ];
  for (const matches of passes) {
    const index = table.entries.findIndex(
      (entry) => entry !== undefined && isCandidate(entry, packet) && matches(entry),
    );
    if (index >= 0) return index + 1;
  }
  return 0;
}

/** Mode and device fit: a tunnel without a device takes packets from any. */
function isCandidate({ tunnel }: Entry, packet: LookupKey): boolean {
  if (tunnel.mode !== packet.mode) return false;
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
