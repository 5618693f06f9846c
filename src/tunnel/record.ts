// One tunnel <-> its record in a table image: the numbers of asm/layout.ts and, in wire order, the
// outer header of its packets with everything in it that no packet changes.
import {
  FLAG_ALLOW_ANY,
  FLAG_ALLOW_LINK_LOCAL,
  FLAG_CHECKSUM_OUT,
  FLAG_KEY_IN,
  FLAG_PMTUDISC,
  FLAG_SEQUENCE_IN,
  FLAG_SEQUENCE_OUT,
  FLAG_TOS_INHERIT,
  FLAG_TTL_INHERIT,
  FLAG_UP,
  MODE_GRE,
  MODE_GRE_UDP,
  MODE_IPIP,
  MODE_SIT,
  RECORD_FLAGS,
  RECORD_KEY_IN,
  RECORD_LINK,
  RECORD_LOCAL,
  RECORD_MODE,
  RECORD_MTU,
  RECORD_OUTER,
  RECORD_OUTER_LENGTH,
  RECORD_REMOTE,
} from '../../asm/layout.js';
import { formatIpv4, parseIpv4 } from '../packet/address.js';
import { allowsLinkLocal, mtuOf } from '../packet/table.js';
import { type GreTunnel, isGre, overhead, type Prefix, type Tunnel } from '../packet/tunnel.js';
import { GRE_UDP_PORT } from '../packet/udp.js';
import { EXIT, Failure } from '../sys/failure.js';

/** Protocol numbers of the outer header, by mode. */
export const PROTOCOL = { gre: 47, 'gre-udp': 17, ipip: 4, sit: 41 } as const;
const MODE = {
  gre: MODE_GRE,
  'gre-udp': MODE_GRE_UDP,
  ipip: MODE_IPIP,
  sit: MODE_SIT,
} as const;

const GRE_CHECKSUM = 0x8000;
const GRE_KEY = 0x2000;
const GRE_SEQUENCE = 0x1000;

/**
 * Writes `tunnel` as the record at `address`, which must be zero. RECORD_PREFIXES and
 * RECORD_PREFIX_COUNT are the table's to write.
 */
export function encodeRecord(view: DataView, address: number, tunnel: Tunnel): void {
  view.setUint32(address + RECORD_MODE, MODE[tunnel.mode], true);
  view.setUint32(address + RECORD_FLAGS, flagsOf(tunnel), true);
  view.setUint32(address + RECORD_MTU, mtuOf(tunnel), true);
  view.setUint32(address + RECORD_LINK, tunnel.link, true);
  view.setUint32(address + RECORD_LOCAL, outerAddress(tunnel, 'local'), true);
  view.setUint32(address + RECORD_REMOTE, outerAddress(tunnel, 'remote'), true);
  if (isGre(tunnel)) view.setUint32(address + RECORD_KEY_IN, tunnel.keyIn ?? 0, true);
  view.setUint32(address + RECORD_OUTER_LENGTH, overhead(tunnel), true);
  encodeTemplate(view, address + RECORD_OUTER, tunnel);
}

/** An endpoint in host order, 0 for `any`. */
export function outerAddress(tunnel: Tunnel, end: 'local' | 'remote'): number {
  const text = tunnel[end];
  if (text === 'any') return 0;
  const value = parseIpv4(text);
  if (value === null) {
    throw new Failure(
      EXIT.config,
      `tunnel ${tunnel.name}: ${end} ${JSON.stringify(text)} is no IPv4 address`,
      `write ${end} as four numbers, such as 192.0.2.1, or "any"`,
    );
  }
  return value;
}

function flagsOf(tunnel: Tunnel): number {
  let flags = FLAG_UP;
  if (tunnel.ttl === 'inherit') flags |= FLAG_TTL_INHERIT;
  if (tunnel.tos === 'inherit') flags |= FLAG_TOS_INHERIT;
  if (tunnel.pmtudisc) flags |= FLAG_PMTUDISC;
  if (tunnel.allow === 'any') flags |= FLAG_ALLOW_ANY;
  if (allowsLinkLocal(tunnel)) flags |= FLAG_ALLOW_LINK_LOCAL;
  if (!isGre(tunnel)) return flags;
  if (tunnel.keyIn !== undefined) flags |= FLAG_KEY_IN;
  if (tunnel.checksumOut) flags |= FLAG_CHECKSUM_OUT;
  if (tunnel.sequenceIn) flags |= FLAG_SEQUENCE_IN;
  if (tunnel.sequenceOut) flags |= FLAG_SEQUENCE_OUT;
  return flags;
}

/** IPv4 header, then UDP and GRE headers. Fields that follow the packet stay 0. */
function encodeTemplate(view: DataView, outer: number, tunnel: Tunnel): void {
  view.setUint8(outer, 0x45);
  view.setUint8(outer + 1, tunnel.tos === 'inherit' ? 0 : tunnel.tos & 0xfc);
  view.setUint8(outer + 8, tunnel.ttl === 'inherit' ? 0 : tunnel.ttl);
  view.setUint8(outer + 9, PROTOCOL[tunnel.mode]);
  view.setUint32(outer + 12, outerAddress(tunnel, 'local'));
  view.setUint32(outer + 16, outerAddress(tunnel, 'remote'));
  if (!isGre(tunnel)) return;

  if (tunnel.mode === 'gre-udp') view.setUint16(outer + 22, GRE_UDP_PORT);
  const gre = outer + greStart(tunnel.mode);
  let flags = 0;
  if (tunnel.checksumOut) flags |= GRE_CHECKSUM;
  if (tunnel.keyOut !== undefined) flags |= GRE_KEY;
  if (tunnel.sequenceOut) flags |= GRE_SEQUENCE;
  view.setUint16(gre, flags);
  if (tunnel.keyOut !== undefined) {
    view.setUint32(gre + (tunnel.checksumOut ? 8 : 4), tunnel.keyOut);
  }
}

/** Where the GRE header begins in a template. */
function greStart(mode: GreTunnel['mode']): number {
  return mode === 'gre-udp' ? 28 : 20;
}

/**
 * Reads the record at `address`; undefined for a hole or a tunnel that is down. What a record does not
 * hold is given: the name, the accepted sources, and the device's addresses.
 */
export function decodeRecord(
  view: DataView,
  address: number,
  given: { name: string; allow: readonly Prefix[]; addresses: readonly Prefix[] },
): Tunnel | undefined {
  const mode = view.getUint32(address + RECORD_MODE, true);
  const flags = view.getUint32(address + RECORD_FLAGS, true);
  if (mode === 0 || (flags & FLAG_UP) === 0) return undefined;
  const outer = address + RECORD_OUTER;
  const base = {
    ...given,
    local: formatOuter(view.getUint32(address + RECORD_LOCAL, true)),
    remote: formatOuter(view.getUint32(address + RECORD_REMOTE, true)),
    ttl: flags & FLAG_TTL_INHERIT ? 'inherit' : view.getUint8(outer + 8),
    tos: flags & FLAG_TOS_INHERIT ? 'inherit' : view.getUint8(outer + 1),
    pmtudisc: (flags & FLAG_PMTUDISC) !== 0,
    mtu: view.getUint32(address + RECORD_MTU, true),
    link: view.getUint32(address + RECORD_LINK, true),
    allow: flags & FLAG_ALLOW_ANY ? 'any' : given.allow,
  } as const;
  if (mode === MODE_IPIP || mode === MODE_SIT) {
    return { ...base, mode: mode === MODE_IPIP ? 'ipip' : 'sit' };
  }

  const greMode = mode === MODE_GRE_UDP ? 'gre-udp' : 'gre';
  const gre = outer + greStart(greMode);
  const greFlags = view.getUint16(gre);
  const key = view.getUint32(gre + (greFlags & GRE_CHECKSUM ? 8 : 4));
  return {
    ...base,
    mode: greMode,
    ...(flags & FLAG_KEY_IN ? { keyIn: view.getUint32(address + RECORD_KEY_IN, true) } : {}),
    ...(greFlags & GRE_KEY ? { keyOut: key } : {}),
    checksumOut: (flags & FLAG_CHECKSUM_OUT) !== 0,
    sequenceIn: (flags & FLAG_SEQUENCE_IN) !== 0,
    sequenceOut: (flags & FLAG_SEQUENCE_OUT) !== 0,
  };
}

function formatOuter(value: number): string {
  return value === 0 ? 'any' : formatIpv4(value);
}
