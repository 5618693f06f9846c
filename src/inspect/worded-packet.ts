// The packet that words describe, with what they leave open filled in:
//
//   outer   from and to: the tunnel that is named, as its peer sends; ttl 64, tos 0, nothing else
//   inner   an echo request of 84 bytes as ping sends it, from the first network that the tunnel accepts (sent: from
//           the address of its device) to the address of its device (sent: to that network), ttl 64, tos 0
import { addressBytes, parseAddress, toBlock } from '../packet/address.js';
import { TYPE_ETHERNET, TYPE_IPV4, TYPE_IPV6 } from '../packet/gre.js';
import { PROTOCOL_ICMP, PROTOCOL_ICMP6 } from '../packet/icmp.js';
import { IPV4_HEADER } from '../packet/ipv4.js';
import { IPV6_HEADER } from '../packet/ipv6.js';
import { PROTOCOL_OF } from '../packet/outer-header.js';
import { carries, type Mode, type Prefix, type Tunnel } from '../packet/tunnel.js';
import { EXIT, Failure } from '../sys/failure.js';
import { framePacket, greDatagram, grePacket, ipPacket, upperPacket } from './packet-builder.js';
import type { InnerWords, OuterWords, PacketWords } from './packet-words.js';

const TTL = 64;
/** Of ping: 56 bytes of data behind an ICMP header. */
const UPPER_LENGTH = 64;
const SOURCE_PORT = 49152;
const DESTINATION_PORT = 80;
/** Hosts of networks that are made for tests (RFC 2544; RFC 5180), where no tunnel tells better. */
const NOBODY = { 4: ['198.18.0.1', '198.18.0.2'], 6: ['2001:2::1', '2001:2::2'] } as const;

/** The bytes of a received packet, from the outer IP header on. `named`: the tunnel that the user named. */
export function receivedPacket(
  words: Extract<PacketWords, { kind: 'received' }>,
  tunnels: readonly Tunnel[],
  named: Tunnel | undefined,
): Uint8Array {
  const { mode, outer } = words;
  const source = outer.from ?? endOf(named, 'remote');
  const destination = outer.to ?? endOf(named, 'local');
  if (source === undefined || destination === undefined) {
    const missing = source === undefined ? 'from' : 'to';
    throw new Failure(
      EXIT.usage,
      `explain: the outer header has no "${missing}"`,
      `say: ${mode} ${missing} ADDRESS ..., or name a tunnel that tells it: --tunnel NAME`,
    );
  }
  requireFamily(mode, source, destination);
  const tunnel = named ?? likely(tunnels, source, destination);
  const inner = innerPacket(words.inner, wantedVersion(mode, outer.type), {
    from: hostOf(tunnel),
    to: deviceOf(tunnel),
  });
  const protocol = PROTOCOL_OF[mode];
  const carried = mode === 'gre-udp' || protocol === PROTOCOL_OF.gre;
  const gre = carried ? greOf(mode, outer, inner) : inner;
  const payload = mode === 'gre-udp' ? greDatagram(gre, source, destination) : gre;
  const { ttl = TTL, tos = 0, isFragment = false } = outer;
  return ipPacket({ source, destination, protocol, ttl, tos, isFragment, payload });
}

/** The bytes that a host sends into `tunnel`. */
export function sentPacket(inner: InnerWords, tunnel: Tunnel): Uint8Array {
  const packet = innerPacket(inner, wantedVersion(tunnel.mode, undefined), {
    from: deviceOf(tunnel),
    to: hostOf(tunnel),
  });
  return carries(tunnel.mode) === 'ethernet' ? framePacket(packet) : packet;
}

function greOf(mode: Mode, outer: OuterWords, inner: Uint8Array): Uint8Array {
  const isFrame = carries(mode) === 'ethernet' || outer.type === TYPE_ETHERNET;
  const ipType = (inner[0] ?? 0) >>> 4 === 6 ? TYPE_IPV6 : TYPE_IPV4;
  return grePacket({
    type: outer.type ?? (isFrame ? TYPE_ETHERNET : ipType),
    key: outer.key ?? null,
    sequence: outer.sequence ?? null,
    checksum: outer.checksum ?? 'none',
    payload: isFrame ? framePacket(inner) : inner,
  });
}

/** Candidates for the ends of an inner packet, best first. */
interface Ends {
  readonly from: readonly Uint8Array[];
  readonly to: readonly Uint8Array[];
}

function innerPacket(words: InnerWords, wanted: 4 | 6 | undefined, ends: Ends): Uint8Array {
  const given = words.from ?? words.to;
  const version =
    given !== undefined
      ? versionOf(given)
      : words.protocol === PROTOCOL_ICMP6
        ? 6
        : (wanted ?? versionOf(ends.from[0] ?? new Uint8Array(4)));
  const pick = (candidates: readonly Uint8Array[], fallback: string): Uint8Array =>
    candidates.find((address) => versionOf(address) === version) ?? bytesOf(fallback);
  const [someone, another] = NOBODY[version];
  const source = words.from ?? pick(ends.from, someone);
  const destination = words.to ?? pick(ends.to, another);
  requireOneFamily('the inner packet', source, destination);
  const protocol = words.protocol ?? (version === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6);
  const header = version === 4 ? IPV4_HEADER : IPV6_HEADER;
  const { sourcePort = SOURCE_PORT, destinationPort = DESTINATION_PORT } = words;
  const length = words.length === undefined ? UPPER_LENGTH : words.length - header;
  const ports = { sourcePort, destinationPort };
  const payload = upperPacket({ source, destination, protocol, ...ports, length });
  const { ttl = TTL, tos = 0, isFragment = false, dontFragment = false } = words;
  return ipPacket({
    ...{ source, destination, protocol, ttl, tos },
    ...{ isFragment, dontFragment, payload },
  });
}

/** The inner version that a mode or a protocol type leaves no choice of. */
function wantedVersion(mode: Mode, type: number | undefined): 4 | 6 | undefined {
  if (type === TYPE_IPV4) return 4;
  if (type === TYPE_IPV6) return 6;
  const carried = carries(mode);
  return carried === 4 || carried === 6 ? carried : undefined;
}

function requireFamily(mode: Mode, source: Uint8Array, destination: Uint8Array): void {
  requireOneFamily('the outer header', source, destination);
  const isSix = mode.startsWith('ip6') || mode === 'ip4ip6';
  // gre and gretap name the protocol: the addresses say over what.
  const isOpen = mode === 'gre-udp' || mode === 'gre' || mode === 'gretap';
  if (isOpen || isSix === (versionOf(source) === 6)) return;
  throw new Failure(
    EXIT.usage,
    `explain: ${mode} has an outer header of IPv${isSix ? 6 : 4}, the addresses are of the other family`,
    'the mode over the other family has another name: sit and ip6ip6, ipip and ip4ip6',
  );
}

function requireOneFamily(what: string, source: Uint8Array, destination: Uint8Array): void {
  if (source.length === destination.length) return;
  throw new Failure(
    EXIT.usage,
    `explain: ${what} goes from an IPv${versionOf(source)} to an IPv${versionOf(destination)} address`,
    'both ends of a header are of one family',
  );
}

function versionOf(address: Uint8Array): 4 | 6 {
  return address.length === 4 ? 4 : 6;
}

/** The tunnel that is most likely meant, for what was left open inside. */
function likely(
  tunnels: readonly Tunnel[],
  source: Uint8Array,
  destination: Uint8Array,
): Tunnel | undefined {
  const isOf = (tunnel: Tunnel, end: 'local' | 'remote', address: Uint8Array): boolean => {
    const own = endOf(tunnel, end);
    return own !== undefined && Buffer.compare(own, address) === 0;
  };
  return (
    tunnels.find((one) => isOf(one, 'local', destination) && isOf(one, 'remote', source)) ??
    tunnels.find((one) => isOf(one, 'local', destination) || isOf(one, 'remote', source))
  );
}

function endOf(tunnel: Tunnel | undefined, end: 'local' | 'remote'): Uint8Array | undefined {
  const address = tunnel === undefined ? null : parseAddress(tunnel[end]);
  return address === null ? undefined : addressBytes(address);
}

/** Hosts that may send through `tunnel`: of each network that it accepts, one that is not the tunnel's own. */
function hostOf(tunnel: Tunnel | undefined): Uint8Array[] {
  if (tunnel === undefined || tunnel.allow === 'any') return [];
  const own = deviceOf(tunnel).map((address) => Buffer.from(address).toString('hex'));
  return tunnel.allow.flatMap((prefix) => {
    const [first, second, third] = [0, 1, 2].map((step) => hostIn(prefix, step));
    const isOther = (address: Uint8Array | undefined): boolean =>
      address !== undefined && !own.includes(Buffer.from(address).toString('hex'));
    const found = [second, third, first].find(isOther);
    return found === undefined ? [] : [found];
  });
}

/** The address `step` behind the first of a network, where that is in it. */
function hostIn(prefix: Prefix, step: number): Uint8Array | undefined {
  const block = toBlock(prefix);
  if (block === null) return undefined;
  const bytes = block.bytes.slice();
  const width = bytes.length * 8;
  if (width - block.bits < 2 && step >= 2 ** (width - block.bits)) return undefined;
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) | step;
  return bytes;
}

function deviceOf(tunnel: Tunnel | undefined): Uint8Array[] {
  return (tunnel?.addresses ?? []).map(({ address }) => bytesOf(address));
}

function bytesOf(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === null) throw new RangeError(`${text} is no address`);
  return addressBytes(address);
}
