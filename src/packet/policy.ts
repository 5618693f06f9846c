// Whether an inner packet may leave the tunnel, judged by its addresses and its TTL, or ends at the router itself.
import { type Block, contains, isMapped } from './address.js';
import { u32 } from './bytes.js';
import type { Inner } from './inner.js';
import {
  isLinkLocal4,
  isMartianDestination4,
  isMartianSource4,
  isMulticast4,
  isTunnelProtocol,
} from './ipv4.js';
import {
  isLinkLocal6,
  isMartianDestination6,
  isMartianSource6,
  isMulticast6,
  isUnspecified6,
} from './ipv6.js';
import { fromOwn, isProbeAnswer, type Local } from './local.js';
import type { Observe } from './observe.js';
import type { Reason } from './reason.js';
import { type Entry, isGroup, isOwn, type OwnAddresses, ownName, type Table } from './table.js';

/** A packet that ends at the router itself. */
export interface Ended {
  readonly local: Local;
}

/**
 * Why an inner packet may not pass, or null, or what of the router's own it is. The rules are ordered: the first that
 * is broken names it.
 */
export function checkPolicy(
  inner: Inner,
  entry: Entry,
  table: Table,
  observe?: Observe,
): Reason | Ended | null {
  if (isMartian(inner, entry)) return 'inner-martian';
  observe?.({ at: 'addresses' });
  if (isOwn(table, inner.source)) {
    const local = fromOwn(inner, entry, table);
    if (local === null) return 'inner-src-spoof';
    return inner.ttl <= 1 ? 'inner-ttl' : { local }; // it would have to go on
  }
  if (table.ownOuter.has(ownName(inner.destination))) {
    // One level of tunnel a packet: what is inside must not be for a tunnel of ours again.
    return isTunnelProtocol(inner.protocol) ? 'nesting-limit' : 'inner-dst-policy';
  }
  observe?.({ at: 'destination' });
  if (!isAllowed(inner, entry)) return 'inner-src-spoof';
  observe?.({ at: 'source' });
  if (inner.ttl === 0 || (inner.ttl === 1 && isForwarded(inner, table))) return 'inner-ttl';
  observe?.({ at: 'ttl' });
  return isProbeAnswer(inner, entry, table) ? { local: 'probe' } : null;
}

/**
 * The same for the IP packet of an Ethernet frame. A segment is no border between networks: what is judged is
 * whether it came from where the tunnel accepts sources, and whether it is a tunnel packet for us again.
 */
export function checkFramePolicy(
  inner: Inner,
  entry: Entry,
  table: Table,
  observe?: Observe,
): Reason | null {
  const isOurs = table.ownOuter.has(ownName(inner.destination));
  if (isOurs && isTunnelProtocol(inner.protocol)) return 'nesting-limit';
  observe?.({ at: 'destination' });
  if (!isAllowed(inner, entry)) return 'inner-src-spoof';
  observe?.({ at: 'source' });
  return null;
}

function isMartian({ version, source, destination }: Inner, entry: Entry): boolean {
  if (version === 6) {
    return isMartianSource6(source, destination) || isMartianDestination6(destination);
  }
  const from = u32(source, 0);
  const to = u32(destination, 0);
  if (isMartianSource4(from) || isMartianDestination4(to)) return true;
  return !entry.allowsLinkLocal && (isLinkLocal4(from) || isLinkLocal4(to));
}

/** Whether the tunnel accepts the source. */
function isAllowed({ version, source }: Inner, entry: Entry): boolean {
  if (entry.allow === 'any') return true;
  // To another link these were martians.
  if (version === 6 && (isLinkLocal6(source) || isUnspecified6(source))) return true;
  return isWithin(entry.allow, { version, source });
}

/**
 * Whether one of these blocks holds an inner source. An IPv4 address in an IPv6 header is no sender's, and not the one
 * that IPv4 blocks are about.
 */
export function isWithin(
  allow: readonly Block[],
  { version, source }: Pick<Inner, 'version' | 'source'>,
): boolean {
  if (version === 6 && isMapped(source)) return false;
  return allow.some((block) => contains(block, source));
}

/**
 * Whether a packet at our end of a tunnel came from the group of receivers that it would go to. It is told by its source,
 * which the tunnel accepts from the others; 'perhaps': it accepts every source.
 */
export function isFromGroup(
  inner: Pick<Inner, 'version' | 'source'>,
  { remote, allow }: Entry,
  own: OwnAddresses,
): 'yes' | 'no' | 'perhaps' {
  if (remote === null || !isGroup(remote) || isOwn(own, inner.source)) return 'no';
  if (allow === 'any') return 'perhaps';
  return isWithin(allow, inner) ? 'yes' : 'no';
}

/** Whether the packet goes on to another host, so that its TTL would have to be taken down. */
function isForwarded({ version, destination }: Inner, table: Table): boolean {
  const isMulticast = version === 4 ? isMulticast4(u32(destination, 0)) : isMulticast6(destination);
  return !isMulticast && !isOwn(table, destination);
}
