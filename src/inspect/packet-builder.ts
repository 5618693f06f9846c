// Packets made from fields: what `grebe explain` is asked about in words.
import { setU8, setU16, setU32 } from '../packet/bytes.js';
import { checksum, finish, sum, sumPseudoHeader } from '../packet/checksum.js';
import { GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE, greLength } from '../packet/gre.js';
import { PROTOCOL_ICMP, PROTOCOL_ICMP6 } from '../packet/icmp.js';
import { IPV4_HEADER, PROTOCOL_TCP, PROTOCOL_UDP } from '../packet/ipv4.js';
import { IPV6_HEADER } from '../packet/ipv6.js';
import { ETHERNET_HEADER } from '../packet/tunnel.js';
import { putUdp, UDP_HEADER, udpChecksum } from '../packet/udp.js';

export interface IpFields {
  /** Wire order; both of one family, which the header is of. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  /** DF; over IPv4 alone. */
  readonly dontFragment?: boolean;
  /** More fragments follow; over IPv4 alone. */
  readonly isFragment?: boolean;
  readonly payload: Uint8Array;
}

/** An IPv4 or IPv6 packet. */
export function ipPacket(fields: IpFields): Uint8Array {
  const { source, destination, protocol, ttl, tos, payload } = fields;
  const isFour = source.length === 4;
  const header = isFour ? IPV4_HEADER : IPV6_HEADER;
  const packet = new Uint8Array(header + payload.length);
  packet.set(payload, header);
  if (isFour) {
    setU8(packet, 0, 0x45);
    setU8(packet, 1, tos);
    setU16(packet, 2, packet.length);
    setU16(packet, 6, (fields.dontFragment ? 0x4000 : 0) | (fields.isFragment ? 0x2000 : 0));
    setU8(packet, 8, ttl);
    setU8(packet, 9, protocol);
    packet.set(source, 12);
    packet.set(destination, 16);
    setU16(packet, 10, checksum(packet.subarray(0, IPV4_HEADER)));
    return packet;
  }
  setU32(packet, 0, (6 << 28) | (tos << 20));
  setU16(packet, 4, payload.length);
  setU8(packet, 6, protocol);
  setU8(packet, 7, ttl);
  packet.set(source, 8);
  packet.set(destination, 24);
  return packet;
}

export interface UpperFields {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Bytes of header and data together; at least the header is made. */
  readonly length: number;
}

const TCP_HEADER = 20;
const ICMP_HEADER = 8;
const ECHO = { [PROTOCOL_ICMP]: 8, [PROTOCOL_ICMP6]: 128 } as const;

/** What an IP packet carries: an echo request, the first segment of a connection, a datagram, or zeros. */
export function upperPacket(fields: UpperFields): Uint8Array {
  const { source, destination, protocol, sourcePort, destinationPort, length } = fields;
  const made = (header: number): Uint8Array => new Uint8Array(Math.max(header, length));
  const checked = (bytes: Uint8Array, at: number): Uint8Array => {
    const pseudo = sumPseudoHeader(source, destination, protocol, bytes.length);
    setU16(bytes, at, finish(sum(bytes, pseudo)) || 0xffff);
    return bytes;
  };
  if (protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMP6) {
    const echo = made(ICMP_HEADER);
    setU8(echo, 0, ECHO[protocol]);
    setU16(echo, 6, 1);
    if (protocol === PROTOCOL_ICMP6) return checked(echo, 2);
    setU16(echo, 2, checksum(echo));
    return echo;
  }
  if (protocol === PROTOCOL_TCP) {
    const segment = made(TCP_HEADER);
    setU16(segment, 0, sourcePort);
    setU16(segment, 2, destinationPort);
    setU8(segment, 12, (TCP_HEADER / 4) << 4);
    setU8(segment, 13, 0x02); // SYN
    setU16(segment, 14, 0xffff);
    return checked(segment, 16);
  }
  if (protocol === PROTOCOL_UDP) {
    const datagram = made(UDP_HEADER);
    setU16(datagram, 0, sourcePort);
    setU16(datagram, 2, destinationPort);
    setU16(datagram, 4, datagram.length);
    return checked(datagram, 6);
  }
  return new Uint8Array(Math.max(0, length));
}

export interface GreFields {
  readonly type: number;
  readonly key: number | null;
  readonly sequence: number | null;
  readonly checksum: 'none' | 'right' | 'wrong';
  readonly payload: Uint8Array;
}

/** A GRE header with its payload. */
export function grePacket(fields: GreFields): Uint8Array {
  const { type, key, sequence, payload } = fields;
  const hasChecksum = fields.checksum !== 'none';
  const flags =
    (hasChecksum ? GRE_CHECKSUM : 0) |
    (key === null ? 0 : GRE_KEY) |
    (sequence === null ? 0 : GRE_SEQUENCE);
  const header = greLength(flags);
  const packet = new Uint8Array(header + payload.length);
  setU16(packet, 0, flags);
  setU16(packet, 2, type);
  if (key !== null) setU32(packet, hasChecksum ? 8 : 4, key);
  if (sequence !== null) setU32(packet, header - 4, sequence);
  packet.set(payload, header);
  if (!hasChecksum) return packet;
  setU16(packet, 4, checksum(packet) ^ (fields.checksum === 'wrong' ? 0xffff : 0));
  return packet;
}

/** GRE-in-UDP: the datagram that carries `gre`. */
export function greDatagram(
  gre: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array {
  const datagram = new Uint8Array(UDP_HEADER + gre.length);
  datagram.set(gre, UDP_HEADER);
  putUdp(datagram, 0xc000);
  setU16(datagram, 6, udpChecksum(datagram, source, destination));
  return datagram;
}

/** An Ethernet frame between two hosts that nobody has. */
export function framePacket(packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER + packet.length);
  frame.set([0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01]);
  setU16(frame, 12, (packet[0] ?? 0) >>> 4 === 6 ? 0x86dd : 0x0800);
  frame.set(packet, ETHERNET_HEADER);
  return frame;
}
