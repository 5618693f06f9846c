// The outer IP header of a packet that enters a tunnel, and what it takes from the packet.
import { setU8, setU16, setU32, u32 } from './bytes.js';
import { checksum } from './checksum.js';
import { ecnOf, encapEcn, NOT_ECT } from './ecn.js';
import { encapLimitHeader } from './encap-limit.js';
import type { Inner } from './inner.js';
import { IPV4_HEADER, PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_SIT, PROTOCOL_UDP } from './ipv4.js';
import { DESTINATION_OPTIONS, IPV6_HEADER } from './ipv6.js';
import type { TunnelState } from './state.js';
import type { Entry } from './table.js';
import type { Mode } from './tunnel.js';
import { hashedLabel } from './udp.js';

/** TTL of a frame that carries no IP packet to take one from. */
export const FRAME_TTL = 64;

/** What the IP header leads to, by mode. */
export const PROTOCOL_OF = {
  gre: PROTOCOL_GRE,
  gretap: PROTOCOL_GRE,
  ip6gre: PROTOCOL_GRE,
  ip6gretap: PROTOCOL_GRE,
  'gre-udp': PROTOCOL_UDP,
  ipip: PROTOCOL_IPIP,
  ip4ip6: PROTOCOL_IPIP,
  sit: PROTOCOL_SIT,
  ip6ip6: PROTOCOL_SIT,
} as const satisfies Readonly<Record<Mode, number>>;

interface Carrying {
  readonly entry: Entry;
  /** The inner IP packet; null in a frame without one. */
  readonly ip: Inner | null;
  /** Of the whole outer packet. */
  readonly length: number;
  /** Longer than the path takes: to be fragmented on the way, or by who sends it. */
  readonly isLong: boolean;
  readonly state: TunnelState;
  /** Packets that a kernel makes of it. */
  readonly count: number;
  /** What the encapsulation limit option says, null without it. */
  readonly limit: number | null;
}

/** The outer IP header, extension headers included. */
export function outerHeader(carrying: Carrying): Uint8Array {
  return carrying.entry.version === 4 ? outerHeader4(carrying) : outerHeader6(carrying);
}

function outerHeader4({ entry, ip, length, isLong, state, count }: Carrying): Uint8Array {
  const { tunnel, local, remote } = entry;
  const header = new Uint8Array(IPV4_HEADER);
  const isCopied = tunnel.ignoreDf !== true && ip?.dontFragment === true;
  const dontFragment = !isLong && (tunnel.pmtudisc || isCopied);
  setU8(header, 0, 0x45);
  setU8(header, 1, tosOf(entry, ip));
  setU16(header, 2, length);
  setU16(header, 4, dontFragment ? 0 : state.nextIdentification(count) & 0xffff);
  setU16(header, 6, dontFragment ? 0x4000 : 0);
  setU8(header, 8, ttlOf(entry, ip));
  setU8(header, 9, PROTOCOL_OF[tunnel.mode]);
  if (local !== null) header.set(local, 12);
  if (remote !== null) header.set(remote, 16);
  setU16(header, 10, checksum(header));
  return header;
}

function outerHeader6({ entry, ip, length, limit }: Carrying): Uint8Array {
  const { tunnel, local, remote } = entry;
  const protocol = PROTOCOL_OF[tunnel.mode];
  const options = limit === null ? null : encapLimitHeader(protocol, limit);
  const header = new Uint8Array(IPV6_HEADER + (options?.length ?? 0));
  setU32(header, 0, (6 << 28) | (tosOf(entry, ip) << 20) | flowLabelOf(entry, ip));
  setU16(header, 4, length - IPV6_HEADER);
  setU8(header, 6, options === null ? protocol : DESTINATION_OPTIONS);
  setU8(header, 7, ttlOf(entry, ip));
  if (local !== null) header.set(local, 8);
  if (remote !== null) header.set(remote, 24);
  if (options !== null) header.set(options, IPV6_HEADER);
  return header;
}

/** DSCP as the tunnel chooses it, ECN as the peer understands it (RFC 6040, 4.1). */
function tosOf({ tunnel }: Entry, ip: Inner | null): number {
  const inner = ip?.tos ?? 0;
  const dscp = (tunnel.tos === 'inherit' ? inner : tunnel.tos) & 0xfc;
  return dscp | (tunnel.ecn === 'compatibility' ? NOT_ECT : encapEcn(ecnOf(inner)));
}

function ttlOf({ tunnel }: Entry, ip: Inner | null): number {
  return tunnel.ttl === 'inherit' ? (ip?.ttl ?? FRAME_TTL) : tunnel.ttl;
}

function flowLabelOf({ tunnel }: Entry, ip: Inner | null): number {
  const { flowLabel = 0 } = tunnel;
  if (flowLabel === 'flow') return ip === null ? 0 : hashedLabel(ip);
  if (flowLabel !== 'inherit') return flowLabel;
  return ip?.version === 6 ? u32(ip.bytes, 0) & 0xfffff : 0;
}
