// The packets that ask a peer whether it is there. Both go into the tunnel like any other packet of it.
import { addressBytes, parseAddress, prefixContains } from '../packet/address.js';
import { setU8, setU16 } from '../packet/bytes.js';
import { checksum, finish, sum, sumPseudoHeader } from '../packet/checksum.js';
import { GRE_CHECKSUM, GRE_KEY, greLength } from '../packet/gre.js';
import { PROTOCOL_ICMP, PROTOCOL_ICMP6 } from '../packet/icmp.js';
import { IPV4_HEADER, PROTOCOL_GRE } from '../packet/ipv4.js';
import { IPV6_HEADER } from '../packet/ipv6.js';
import { TYPE_KEEPALIVE } from '../packet/local.js';
import { type GreTunnel, isGre, type Tunnel } from '../packet/tunnel.js';

/** CS6, as routers mark what they say to each other (RFC 2474, 4.2.2.2). */
const TOS = 0xc0;
const TTL = 255;
const DONT_FRAGMENT = 0x4000;
const ECHO_HEADER = 8;
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;

/**
 * The inner packet of a keepalive (Cisco's form): from the peer to us, so that the peer sends it back by forwarding
 * it. In it a GRE header of protocol type 0 with the key and checksum by which we know the tunnel's packets, and
 * `question`. Null for a tunnel that has none.
 */
export function keepalivePacket(tunnel: Tunnel, question: Uint8Array): Uint8Array | null {
  const [from, to] = [parseAddress(tunnel.remote), parseAddress(tunnel.local)];
  if (!isGre(tunnel) || from === null || to === null) return null;
  return ipPacket(addressBytes(from), addressBytes(to), PROTOCOL_GRE, greAnswer(tunnel, question));
}

/** What the peer is to send us: the options are those of what we receive. */
function greAnswer({ keyIn, checksumIn }: GreTunnel, question: Uint8Array): Uint8Array {
  const hasChecksum = checksumIn === true;
  const flags = (hasChecksum ? GRE_CHECKSUM : 0) | (keyIn === undefined ? 0 : GRE_KEY);
  const header = greLength(flags);
  const bytes = new Uint8Array(header + question.length);
  setU16(bytes, 0, flags);
  setU16(bytes, 2, TYPE_KEEPALIVE);
  if (keyIn !== undefined) new DataView(bytes.buffer).setUint32(header - 4, keyIn);
  bytes.set(question, header);
  if (hasChecksum) setU16(bytes, 4, checksum(bytes));
  return bytes;
}

/**
 * The echo request to the tunnel's probe target, from the device's own address: the one whose network the target is
 * in, or the first of its family. `number`: of the question, for the sequence number; `size`: bytes of the whole packet,
 * which then is not to be fragmented on the way; without it as few as it takes. Null where there is no probe.
 */
export function probePacket(
  tunnel: Tunnel,
  question: Uint8Array,
  number: number,
  size = 0,
): Uint8Array | null {
  const { probe } = tunnel;
  const source = probe && probeSource(tunnel, probe.target);
  const [from, to] = [parseAddress(source ?? ''), parseAddress(probe?.target ?? '')];
  if (probe === undefined || from === null || to === null) return null;
  const [source4or6, target] = [addressBytes(from), addressBytes(to)];
  const version = target.length === 4 ? 4 : 6;
  const header = version === 4 ? IPV4_HEADER : IPV6_HEADER;
  const icmp = new Uint8Array(Math.max(ECHO_HEADER + question.length, size - header));
  setU8(icmp, 0, ECHO_REQUEST[version]);
  setU16(icmp, 4, probe.identifier);
  setU16(icmp, 6, number & 0xffff);
  icmp.set(question, ECHO_HEADER);
  const protocol = version === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6;
  const packet = ipPacket(source4or6, target, protocol, icmp, size > 0);
  const start = packet.length - icmp.length;
  const initial = version === 4 ? 0 : sumPseudoHeader(source4or6, target, protocol, icmp.length);
  setU16(packet, start + 2, finish(sum(icmp, initial)));
  return packet;
}

/** The device's address that a probe of `target` comes from. */
export function probeSource({ addresses }: Tunnel, target: string): string | undefined {
  const isIpv6 = target.includes(':');
  const ours = addresses.filter(({ address }) => address.includes(':') === isIpv6);
  return (ours.find((prefix) => prefixContains(prefix, target)) ?? ours[0])?.address;
}

/** An IP packet without options. `isWhole`: over IPv4, it has DF. */
function ipPacket(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  payload: Uint8Array,
  isWhole = false,
): Uint8Array {
  if (source.length === 4) {
    const packet = new Uint8Array(IPV4_HEADER + payload.length);
    packet.set([0x45, TOS]);
    setU16(packet, 2, packet.length);
    setU16(packet, 6, isWhole ? DONT_FRAGMENT : 0);
    packet.set([TTL, protocol], 8);
    packet.set(source, 12);
    packet.set(destination, 16);
    setU16(packet, 10, checksum(packet.subarray(0, IPV4_HEADER)));
    packet.set(payload, IPV4_HEADER);
    return packet;
  }
  const packet = new Uint8Array(IPV6_HEADER + payload.length);
  setU16(packet, 0, 0x6000 | (TOS << 4));
  setU16(packet, 4, payload.length);
  packet.set([protocol, TTL], 6);
  packet.set(source, 8);
  packet.set(destination, 24);
  packet.set(payload, IPV6_HEADER);
  return packet;
}
