// TCP and UDP superpackets behind an outer header, as a tunnel's sender makes them, field by field; and what
// each segment has to be.
import assert from 'node:assert/strict';
import {
  close,
  errno,
  errnoName,
  interfaceIndex,
  NativeBlock,
  sendto,
} from '../../src/sys/libc.js';
import { openSocket, SOCK_RAW, setBuffers, setOption } from '../../src/sys/socket.js';
import { internetChecksum } from './packets.js';

const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const SOL_SOCKET = 1;
const SO_MARK = 36;
const SOCKADDR_LL_SIZE = 20;
const VNET_HEADER_SIZE = 10;
const NEEDS_CSUM = 1;

/** virtio_net_hdr.gso_type */
export const GSO = { none: 0, tcp4: 1, tcp6: 4, udp: 5 } as const;

export const FIN = 0x01;
export const PSH = 0x08;
export const ACK = 0x10;
export const CWR = 0x80;

export interface Superpacket {
  readonly outer: keyof typeof OUTERS;
  /** Of the packet inside. */
  readonly version: 4 | 6;
  readonly upper: 'tcp' | 'udp';
  readonly payloadLength: number;
  /** Bytes of payload in a segment. */
  readonly segmentSize: number;
  /** TCP flags. */
  readonly flags?: number;
}

export const OUTER_SOURCE = '192.0.2.1';
export const OUTER_DESTINATION = '192.0.2.2';
export const OUTER_SOURCE6 = '2001:db8::1';
export const OUTER_DESTINATION6 = '2001:db8::2';
const ADDRESSES6 = '20010db8000000000000000000000001' + '20010db8000000000000000000000002';

/** Of outer headers: their version and length in all, and what protocol the IP header leads to. */
const OUTERS = {
  ipip: { ip: 4, length: 20, protocol: 4 },
  sit: { ip: 4, length: 20, protocol: 41 },
  gre: { ip: 4, length: 24, protocol: 47 },
  'gre-key': { ip: 4, length: 28, protocol: 47 },
  'gre-udp': { ip: 4, length: 32, protocol: 17 },
  'gre-udp-key': { ip: 4, length: 36, protocol: 17 },
  ip4ip6: { ip: 6, length: 40, protocol: 4 },
  ip6ip6: { ip: 6, length: 40, protocol: 41 },
  ip6gre: { ip: 6, length: 44, protocol: 47 },
  'ip6gre-key': { ip: 6, length: 48, protocol: 47 },
} as const;
export const KEY = 0xdead_beef;
const SEQUENCE = 0xffff_f000; // wraps
const IDENTIFICATION = 0x0ffe;
const OUTER_IDENTIFICATION = 0x7ffe;
/** 12 bytes of TCP options: two NOPs, timestamps. */
const TCP_OPTIONS = '0101080a1111111122222222';

export const outerLength = ({ outer }: Superpacket): number => OUTERS[outer].length;
export const outerVersion = ({ outer }: Superpacket): 4 | 6 => OUTERS[outer].ip;
/** What the outer IP header leads to. */
export const outerProtocol = ({ outer }: Superpacket): number => OUTERS[outer].protocol;
/** What the Ethernet header says of the outer one. */
export const outerType = (packet: Superpacket): number =>
  outerVersion(packet) === 4 ? 0x0800 : 0x86dd;
const ipLength = ({ version }: Superpacket): number => (version === 4 ? 20 : 40);
const upperLength = ({ upper }: Superpacket): number => (upper === 'tcp' ? 32 : 8);

/** Payload byte number n. */
const payloadByte = (n: number): number => (n * 31 + (n >>> 8)) & 0xff;

/** The outer header in front of `length` bytes. */
function outerHeader(packet: Superpacket, length: number, identification: number): Buffer {
  const header = Buffer.alloc(outerLength(packet));
  if (outerVersion(packet) === 6) {
    header.writeUInt32BE(0x6b01_2345, 0); // traffic class 0xb0, flow label 0x12345
    header.writeUInt16BE((header.length - 40 + length) & 0xffff, 4);
    header.writeUInt16BE((outerProtocol(packet) << 8) | 64, 6);
    header.write(ADDRESSES6, 8, 'hex');
    writeGre(packet, header, 40);
    return header;
  }
  header[0] = 0x45;
  header.writeUInt16BE((header.length + length) & 0xffff, 2); // of a segment it is never too long
  header.writeUInt16BE(identification & 0xffff, 4);
  header.writeUInt16BE(0x4000, 6);
  header[8] = 64;
  header[9] = outerProtocol(packet);
  header.set(OUTER_SOURCE.split('.').map(Number), 12);
  header.set(OUTER_DESTINATION.split('.').map(Number), 16);
  header.writeUInt16BE(internetChecksum(header.subarray(0, 20)), 10);
  let gre = 20;
  if (header[9] === 17) {
    header.writeUInt16BE(50_000, 20);
    header.writeUInt16BE(4754, 22);
    header.writeUInt16BE((header.length - 20 + length) & 0xffff, 24); // no checksum
    gre += 8;
  }
  writeGre(packet, header, gre);
  return header;
}

/** Writes the GRE header of an outer one at `gre`, where it has one. */
function writeGre({ outer, version }: Superpacket, header: Buffer, gre: number): void {
  if (!outer.includes('gre')) return;
  const isKeyed = outer.endsWith('key');
  header.writeUInt16BE(isKeyed ? 0x2000 : 0, gre);
  header.writeUInt16BE(version === 4 ? 0x0800 : 0x86dd, gre + 2);
  if (isKeyed) header.writeUInt32BE(KEY, gre + 4);
}

interface Segment {
  /** Of its payload in the whole. */
  readonly from: number;
  readonly length: number;
  readonly index: number;
  readonly flags: number;
  readonly checksum: 'partial' | 'complete';
}

/** An inner packet with the payload `from` ... `from + length`. */
function innerPacket(
  packet: Superpacket,
  { from, length, index, flags, checksum }: Segment,
): Buffer {
  const ip = Buffer.alloc(ipLength(packet));
  const upper = Buffer.alloc(upperLength(packet));
  const payload = Buffer.from(Array.from({ length }, (_, n) => payloadByte(from + n)));
  const protocol = packet.upper === 'tcp' ? 6 : 17;
  const rest = upper.length + length;
  let addresses: Buffer;
  if (packet.version === 4) {
    ip[0] = 0x45;
    ip[1] = 0x02; // ECT(0)
    ip.writeUInt16BE(20 + rest, 2);
    ip.writeUInt16BE(IDENTIFICATION + index, 4);
    ip.writeUInt16BE(0x4000, 6);
    ip[8] = 63;
    ip[9] = protocol;
    ip.set([10, 1, 0, 2, 10, 2, 0, 2], 12);
    ip.writeUInt16BE(internetChecksum(ip), 10);
    addresses = ip.subarray(12, 20);
  } else {
    ip.writeUInt32BE(0x6021_2345, 0);
    ip.writeUInt16BE(rest, 4);
    ip[6] = protocol;
    ip[7] = 63;
    ip.write('fd000001000000000000000000000002fd000002000000000000000000000002', 8, 'hex');
    addresses = ip.subarray(8, 40);
  }
  upper.writeUInt16BE(49152, 0);
  upper.writeUInt16BE(443, 2);
  if (packet.upper === 'tcp') {
    upper.writeUInt32BE((SEQUENCE + from) >>> 0, 4);
    upper.writeUInt32BE(0x0102_0304, 8);
    upper[12] = 0x80;
    upper[13] = flags;
    upper.writeUInt16BE(0x1000, 14);
    upper.write(TCP_OPTIONS, 20, 'hex');
  } else {
    upper.writeUInt16BE(rest, 4);
  }
  const field = packet.upper === 'tcp' ? 16 : 6;
  const pseudo = Buffer.concat([addresses, Buffer.from([0, protocol, rest >>> 8, rest & 0xff])]);
  const sum =
    checksum === 'partial'
      ? ~internetChecksum(pseudo) & 0xffff
      : internetChecksum(Buffer.concat([pseudo, upper, payload]));
  upper.writeUInt16BE(sum, field);
  return Buffer.concat([ip, upper, payload]);
}

/** The superpacket as it is sent, from the outer header on. */
export function superpacket(packet: Superpacket): Buffer {
  const inner = innerPacket(packet, {
    ...{ from: 0, length: packet.payloadLength, index: 0, checksum: 'partial' },
    flags: packet.flags ?? ACK,
  });
  return Buffer.concat([outerHeader(packet, inner.length, OUTER_IDENTIFICATION), inner]);
}

/** The packets that it has to become, from the outer header on; RFC 9293 and the kernel's tcp_gso_segment. */
export function segments(packet: Superpacket, checksum: 'partial' | 'complete'): Buffer[] {
  const { payloadLength, segmentSize, flags = ACK } = packet;
  const count = Math.ceil(payloadLength / segmentSize);
  return Array.from({ length: count }, (_, index) => {
    const from = index * segmentSize;
    const length = Math.min(segmentSize, payloadLength - from);
    const first = index === 0 ? flags : flags & ~CWR;
    const kept = index === count - 1 ? first : first & ~(FIN | PSH);
    const inner = innerPacket(packet, { from, length, index, flags: kept, checksum });
    return Buffer.concat([outerHeader(packet, inner.length, OUTER_IDENTIFICATION + index), inner]);
  });
}

/** Sends superpackets from a device with a mark. */
export class SuperpacketSender {
  readonly #fd: number;
  readonly #address = new NativeBlock(SOCKADDR_LL_SIZE);
  readonly #block = new NativeBlock(70_000);

  constructor(device: string, mark: number) {
    this.#fd = openSocket(AF_PACKET, SOCK_RAW, 0, 'sending superpackets');
    assert.ok(setOption(this.#fd, SOL_PACKET, PACKET_VNET_HDR, 1));
    assert.ok(setOption(this.#fd, SOL_SOCKET, SO_MARK, mark));
    setBuffers(this.#fd, 8 << 20);
    this.#address.view.setUint16(0, AF_PACKET, true);
    this.#address.view.setInt32(4, interfaceIndex(device), true);
  }

  /** Sends it between two hardware addresses; returns the error's name, '' when it went. */
  send(packet: Superpacket, destination: Uint8Array, source: Uint8Array): string {
    return this.sendBytes(this.prepare(packet, destination, source));
  }

  /** Puts a packet into the block; returns how long it is with all headers. */
  prepare(packet: Superpacket, destination: Uint8Array, source: Uint8Array): number {
    const bytes = superpacket(packet);
    const { version, upper, segmentSize, payloadLength } = packet;
    this.#address.view.setUint16(2, version === 4 ? 0x0800 : 0x86dd, false);
    const tcp = version === 4 ? GSO.tcp4 : GSO.tcp6;
    const isSuper = payloadLength > segmentSize;
    const start = 14 + outerLength(packet) + ipLength(packet);
    const { view } = this.#block;
    view.setUint8(0, NEEDS_CSUM);
    view.setUint8(1, isSuper ? (upper === 'tcp' ? tcp : GSO.udp) : GSO.none);
    view.setUint16(2, start + upperLength(packet), true);
    view.setUint16(4, isSuper ? segmentSize : 0, true);
    view.setUint16(6, start, true);
    view.setUint16(8, upper === 'tcp' ? 16 : 6, true);
    const ethernet = VNET_HEADER_SIZE;
    this.#block.bytes.set(destination, ethernet);
    this.#block.bytes.set(source, ethernet + 6);
    view.setUint16(ethernet + 12, outerType(packet), false);
    this.#block.bytes.set(bytes, ethernet + 14);
    return ethernet + 14 + bytes.length;
  }

  sendBytes(length: number): string {
    const { address } = this.#address;
    const sent = sendto(this.#fd, this.#block.address, length, 0, address, SOCKADDR_LL_SIZE);
    if (sent === length) return '';
    return sent < 0 ? errnoName(errno()) : `${sent} bytes`;
  }

  close(): void {
    close(this.#fd);
  }
}
