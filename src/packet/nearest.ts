// The tunnel that a packet nearly belonged to: what an engineer would see by holding both next to each other.
import { type GreHeader, TYPE_ETHERNET } from './gre.js';
import { type Known, reachedLookup } from './known.js';
import { typeText } from './protocol-name.js';
import type { Reason } from './reason.js';
import { modeOf, type Received } from './received.js';
import { type Entry, isGroup, ownName, type Table } from './table.js';
import { isGre, type Mode, type Tunnel } from './tunnel.js';

/** A field in which packet and tunnel differ; null: it is not there. */
export interface Difference {
  readonly field: 'mode' | 'type' | 'local' | 'remote' | 'key' | 'dev';
  readonly packet: string | number | null;
  /** What the tunnel would have taken. */
  readonly expected: string | number | null;
}

/** The tunnel that a packet nearly belonged to, and what differs. */
export interface Nearest {
  /** Name of the tunnel. */
  readonly tunnel: string;
  readonly differs: readonly Difference[];
}

/** What is compared of a packet. */
interface Candidate {
  readonly outer: Received;
  readonly gre: GreHeader | null;
  /** Index of the device it came from, 0 = not known. */
  readonly link: number;
  /** What that device is called. */
  readonly linkName: (link: number) => string;
}

/** With more fields wrong than this, a tunnel says nothing about a packet. */
const DIFFERENCE_LIMIT = 2;

/** Names of the devices that packets come from, by index. */
export interface Links {
  /** Of the packet, 0 = not known. */
  readonly link?: number | undefined;
  readonly links?: ReadonlyMap<number, string> | undefined;
}

/** The tunnel that a packet dropped for `reason` nearly belonged to, or that took it for something else. */
export function nearestOf(reason: Reason | null, known: Known, where: Links = {}): Nearest | null {
  const { outer, gre = null, entry, table } = known;
  if (reason === 'unknown-protocol' && entry !== undefined && gre !== null) {
    return otherType(entry.tunnel, gre);
  }
  if (reason !== 'no-tunnel' || outer === undefined || !reachedLookup(known)) return null;
  const { link = 0, links } = where;
  const linkName = (index: number): string => links?.get(index) ?? `device ${index}`;
  return nearest(table, { outer, gre, link, linkName });
}

/**
 * The tunnel with the fewest fields that keep `packet` from it, the first of the table among equals. Null where none
 * tells anything: at most two fields differ, and one outer address is the tunnel's very own.
 */
function nearest(table: Table, packet: Candidate): Nearest | null {
  let best: Nearest | null = null;
  for (const entry of table.entries) {
    if (entry === undefined || !isRelated(entry, packet)) continue;
    const differs = differencesOf(entry, packet);
    if (differs.length === 0 || differs.length > DIFFERENCE_LIMIT) continue;
    if (best !== null && best.differs.length <= differs.length) continue;
    best = { tunnel: entry.tunnel.name, differs };
  }
  return best;
}

/** That the tunnel was found and carries something else than the packet's protocol type. */
function otherType(tunnel: Tunnel, gre: GreHeader): Nearest {
  const packet = typeText(gre.protocol);
  return { tunnel: tunnel.name, differs: [{ field: 'type', packet, expected: tunnel.mode }] };
}

/** Of one outer version, and with one of the packet's addresses in the tunnel's own description. */
function isRelated({ version, local, remote }: Entry, { outer }: Candidate): boolean {
  if (version !== outer.version) return false;
  const isOf = (address: Uint8Array, end: Uint8Array | null): boolean =>
    end !== null && ownName(end) === ownName(address);
  return (
    isOf(outer.destination, local) || isOf(outer.source, remote) || isOf(outer.destination, remote) // a group
  );
}

function differencesOf(entry: Entry, { outer, gre, link, linkName }: Candidate): Difference[] {
  const { tunnel, local, remote } = entry;
  const differs: Difference[] = [];
  const mode = modeOfPacket(outer, gre);
  if (mode !== null && !isSameMode(tunnel.mode, mode)) {
    differs.push({ field: 'mode', packet: mode, expected: tunnel.mode });
  }
  const toGroup = remote !== null && isGroup(remote);
  const wanted = toGroup ? remote : local;
  if (wanted !== null && ownName(wanted) !== ownName(outer.destination)) {
    const packet = ownName(outer.destination);
    differs.push({ field: toGroup ? 'remote' : 'local', packet, expected: ownName(wanted) });
  }
  if (remote !== null && !toGroup && ownName(remote) !== ownName(outer.source)) {
    const packet = ownName(outer.source);
    differs.push({ field: 'remote', packet, expected: ownName(remote) });
  }
  if (gre !== null && isGre(tunnel) && (tunnel.keyIn ?? null) !== gre.key) {
    differs.push({ field: 'key', packet: gre.key, expected: tunnel.keyIn ?? null });
  }
  if (tunnel.link !== 0 && link !== 0 && tunnel.link !== link) {
    differs.push({ field: 'dev', packet: linkName(link), expected: linkName(tunnel.link) });
  }
  return differs;
}

function modeOfPacket(outer: Received, gre: GreHeader | null): Mode | null {
  return modeOf(outer.version, outer.protocol, gre?.protocol === TYPE_ETHERNET);
}

/** A frame for a tunnel of packets, or the other way round, gets as far as the tunnel: there the type differs. */
function isSameMode(tunnel: Mode, packet: Mode): boolean {
  return tunnel.replace('tap', '') === packet.replace('tap', '');
}
