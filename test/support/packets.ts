// Packets made by hand, field by field, without src/packet: what the code under test is fed with.
// Every field can be wrong on purpose.

export interface Ipv4Fields {
  source: string;
  destination: string;
  protocol?: number;
  ttl?: number;
  tos?: number;
  identification?: number;
  /** Flags and fragment offset, 16 bits. */
  fragment?: number;
  /** A multiple of four bytes. */
  options?: Uint8Array;
  payload?: Uint8Array;
  /** Instead of the right one. */
  totalLength?: number;
  headerWords?: number;
  version?: number;
  checksum?: number;
}

export function ipv4(fields: Ipv4Fields): Uint8Array {
  const { options = new Uint8Array(0), payload = new Uint8Array(0) } = fields;
  const length = 20 + options.length;
  const packet = Buffer.alloc(length + payload.length);
  packet[0] = ((fields.version ?? 4) << 4) | ((fields.headerWords ?? length / 4) & 15);
  packet[1] = fields.tos ?? 0;
  packet.writeUInt16BE((fields.totalLength ?? packet.length) & 0xffff, 2);
  packet.writeUInt16BE(fields.identification ?? 0, 4);
  packet.writeUInt16BE(fields.fragment ?? 0, 6);
  packet[8] = fields.ttl ?? 64;
  packet[9] = fields.protocol ?? 1;
  packet.set(fields.source.split('.').map(Number), 12);
  packet.set(fields.destination.split('.').map(Number), 16);
  packet.set(options, 20);
  packet.set(payload, length);
  packet.writeUInt16BE(fields.checksum ?? internetChecksum(packet.subarray(0, length)), 10);
  return Uint8Array.from(packet);
}

export interface Ipv6Fields {
  /** 32 hexadecimal digits. */
  source: string;
  destination: string;
  nextHeader?: number;
  hopLimit?: number;
  trafficClass?: number;
  flowLabel?: number;
  payload?: Uint8Array;
  /** Instead of the right one. */
  payloadLength?: number;
  version?: number;
}

export function ipv6(fields: Ipv6Fields): Uint8Array {
  const { payload = new Uint8Array(0), trafficClass = 0 } = fields;
  const packet = Buffer.alloc(40 + payload.length);
  packet.writeUInt32BE((fields.flowLabel ?? 0) & 0xfffff, 0);
  packet.writeUInt16BE(
    ((fields.version ?? 6) << 12) | (trafficClass << 4) | packet.readUInt16BE(0),
    0,
  );
  packet.writeUInt16BE((fields.payloadLength ?? payload.length) & 0xffff, 4);
  packet[6] = fields.nextHeader ?? 58;
  packet[7] = fields.hopLimit ?? 64;
  packet.write(fields.source, 8, 'hex');
  packet.write(fields.destination, 24, 'hex');
  packet.set(payload, 40);
  return Uint8Array.from(packet);
}

export interface GreFields {
  /** Bits besides C, K and S, which follow from what is there. */
  flags?: number;
  /** Ethertype; default: by the version nibble of the payload. */
  protocol?: number;
  /** True: the right one. */
  checksum?: boolean | number;
  reserved1?: number;
  key?: number;
  sequence?: number;
  payload?: Uint8Array;
}

export function gre(fields: GreFields): Uint8Array {
  const { payload = new Uint8Array(0), checksum = false, key, sequence } = fields;
  const words: number[] = [];
  if (checksum !== false) words.push(fields.reserved1 ?? 0);
  if (key !== undefined) words.push(key);
  if (sequence !== undefined) words.push(sequence);
  const start = 4 + words.length * 4;
  const header = Buffer.alloc(start + payload.length);
  const present =
    (checksum === false ? 0 : 0x8000) |
    (key === undefined ? 0 : 0x2000) |
    (sequence === undefined ? 0 : 0x1000);
  header.writeUInt16BE((fields.flags ?? 0) | present, 0);
  header.writeUInt16BE(fields.protocol ?? ((payload[0] ?? 0) >>> 4 === 6 ? 0x86dd : 0x0800), 2);
  for (const [index, word] of words.entries()) header.writeUInt32BE(word, 4 + index * 4);
  header.set(payload, start);
  if (checksum === true) header.writeUInt16BE(internetChecksum(header), 4);
  else if (checksum !== false) header.writeUInt16BE(checksum, 4);
  return Uint8Array.from(header);
}

export interface UpperFields {
  source: Uint8Array;
  destination: Uint8Array;
  /** `partial`: the pseudo-header sum alone, as a sender leaves it to its network card. */
  checksum: 'partial' | number;
  payload?: Uint8Array;
}

export interface TcpFields extends UpperFields {
  /** 32-bit words of the header, options included. */
  headerWords?: number;
  /** FIN 1, SYN 2, ... */
  flags?: number;
  /** In front of the payload, in a header as long as `headerWords` says. */
  options?: Uint8Array;
}

/** A TCP segment between two addresses in wire order. */
export function tcp(fields: TcpFields): Uint8Array {
  const { headerWords = 5, payload = new Uint8Array(0), options = new Uint8Array(0) } = fields;
  const segment = Buffer.alloc(20 + options.length + payload.length);
  segment.writeUInt16BE(49152, 0);
  segment.writeUInt16BE(443, 2);
  segment[12] = (headerWords & 15) << 4;
  segment[13] = fields.flags ?? 0;
  segment.set(options, 20);
  segment.set(payload, 20 + options.length);
  segment.writeUInt16BE(upperChecksum(fields, 6, segment.length), 16);
  return Uint8Array.from(segment);
}

/** A UDP datagram from 49152 to 443. */
export function udp(fields: UpperFields): Uint8Array {
  const { payload = new Uint8Array(0) } = fields;
  const datagram = Buffer.alloc(8 + payload.length);
  datagram.writeUInt16BE(49152, 0);
  datagram.writeUInt16BE(443, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  datagram.set(payload, 8);
  datagram.writeUInt16BE(upperChecksum(fields, 17, datagram.length), 6);
  return Uint8Array.from(datagram);
}

export interface FrameFields {
  /** 12 hexadecimal digits. */
  destination?: string;
  source?: string;
  /** VLAN tags, outermost first. */
  tags?: readonly number[];
  /** Default: by the version nibble of the payload. */
  type?: number;
  payload: Uint8Array;
}

/** An Ethernet frame without its check sequence. */
export function frame(fields: FrameFields): Uint8Array {
  const { payload, tags = [], destination = '02000000000b', source = '02000000000a' } = fields;
  const type = fields.type ?? ((payload[0] ?? 0) >>> 4 === 6 ? 0x86dd : 0x0800);
  const words = [
    ...tags.flatMap((tag) => [tags.length > 1 && tag === tags[0] ? 0x88a8 : 0x8100, tag]),
    type,
  ];
  return Uint8Array.from([
    ...Buffer.from(destination + source, 'hex'),
    ...words.flatMap((word) => [word >>> 8, word & 0xff]),
    ...payload,
  ]);
}

export interface GreUdpFields {
  /** IPv4 text or 32 hexadecimal digits, for the checksum. */
  source: string;
  destination: string;
  sourcePort?: number;
  port?: number;
  /** Added to the right length. */
  length?: number;
  checksum?: 'right' | number;
  payload: Uint8Array;
}

/** A datagram of GRE-in-UDP around a GRE header and what follows it. */
export function greUdp(fields: GreUdpFields): Uint8Array {
  const { payload, checksum = 'right' } = fields;
  const datagram = Buffer.alloc(8 + payload.length);
  const length = Math.max(0, datagram.length + (fields.length ?? 0));
  datagram.writeUInt16BE(fields.sourcePort ?? 49152, 0);
  datagram.writeUInt16BE(fields.port ?? 4754, 2);
  datagram.writeUInt16BE(length, 4);
  datagram.set(payload, 8);
  if (checksum !== 'right') {
    datagram.writeUInt16BE(checksum, 6);
    return Uint8Array.from(datagram);
  }
  const bytes = (text: string): number[] =>
    text.includes('.') ? text.split('.').map(Number) : [...Buffer.from(text, 'hex')];
  const pseudo = Buffer.from([
    ...bytes(fields.source),
    ...bytes(fields.destination),
    ...[0, 17, length >>> 8, length & 0xff],
  ]);
  const covered = Buffer.concat([pseudo, datagram.subarray(0, Math.min(length, datagram.length))]);
  datagram.writeUInt16BE(internetChecksum(covered) || 0xffff, 6);
  return Uint8Array.from(datagram);
}

/** What goes into the checksum field: a number, or the pseudo-header's sum that a kernel leaves there. */
function upperChecksum(fields: UpperFields, protocol: number, length: number): number {
  if (fields.checksum !== 'partial') return fields.checksum;
  const pseudo = Buffer.concat([
    fields.source,
    fields.destination,
    Buffer.from([0, protocol, length >>> 8, length & 0xff]),
  ]);
  return ~internetChecksum(pseudo) & 0xffff;
}

/** RFC 1071 in the form of its own example in C (4.1), independent of src/packet. */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) {
    sum += (bytes[offset] ?? 0) * 256 + (bytes[offset + 1] ?? 0);
  }
  while (sum >>> 16 !== 0) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff - sum;
}

export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}
