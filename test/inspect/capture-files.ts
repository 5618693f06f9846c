// Captures written by hand, right and wrong ones: an encoder that shares nothing with src/inspect.

export interface Order {
  readonly little: boolean;
}

export const ORDERS: readonly Order[] = [{ little: true }, { little: false }];

/** Reads a capture from memory, `step` bytes at a time; remembers the largest read asked for. */
export function memoryReader(
  bytes: Uint8Array,
  step = bytes.length,
): { read: (into: Uint8Array) => number; largest: () => number } {
  let position = 0;
  let largest = 0;
  return {
    read: (into) => {
      largest = Math.max(largest, into.length);
      const count = Math.min(into.length, step, bytes.length - position);
      into.set(bytes.subarray(position, position + count));
      position += count;
      return count;
    },
    largest: () => largest,
  };
}

export interface PcapHeader extends Order {
  readonly magic: number;
  readonly major?: number;
  readonly snapLength?: number;
  readonly linkType?: number;
}

export interface PcapRecord {
  readonly seconds: number;
  readonly fraction: number;
  readonly bytes: Uint8Array;
  readonly captured?: number;
  readonly original?: number;
}

export function pcap(header: PcapHeader, records: readonly PcapRecord[]): Uint8Array {
  const { little, magic, major = 2, snapLength = 262144, linkType = 1 } = header;
  return concat([
    words(little, [magic]),
    halves(little, [major, 4]),
    words(little, [0, 0, snapLength, linkType]),
    ...records.flatMap(({ seconds, fraction, bytes, captured, original }) => [
      words(little, [seconds, fraction, captured ?? bytes.length, original ?? bytes.length]),
      bytes,
    ]),
  ]);
}

/** A pcapng block; `front` and `behind` override its two lengths. */
export function block(
  { little }: Order,
  type: number,
  body: Uint8Array,
  lengths: { front?: number; behind?: number } = {},
): Uint8Array {
  const length = 12 + Math.ceil(body.length / 4) * 4;
  return concat([
    words(little, [type, lengths.front ?? length]),
    padded(body),
    words(little, [lengths.behind ?? length]),
  ]);
}

export function section(order: Order, major = 1): Uint8Array {
  const { little } = order;
  const rest = words(little, [0xffffffff, 0xffffffff]);
  const body = concat([words(little, [0x1a2b3c4d]), halves(little, [major, 0]), rest]);
  return block(order, 0x0a0d0d0a, body);
}

export function option({ little }: Order, code: number, value: Uint8Array): Uint8Array {
  return concat([halves(little, [code, value.length]), padded(value)]);
}

export function interfaceBlock(
  order: Order,
  linkType: number,
  snapLength = 0,
  options: Uint8Array = new Uint8Array(),
): Uint8Array {
  const { little } = order;
  const body = concat([halves(little, [linkType, 0]), words(little, [snapLength]), options]);
  return block(order, 1, body);
}

export interface PacketFields {
  readonly interfaceId?: number;
  readonly timestamp?: bigint;
  readonly captured?: number;
  readonly original?: number;
}

export function enhancedPacket(
  order: Order,
  bytes: Uint8Array,
  fields: PacketFields = {},
  options: Uint8Array = new Uint8Array(),
): Uint8Array {
  const head = words(order.little, [fields.interfaceId ?? 0]);
  return block(order, 6, packetBody(order, head, bytes, fields, options));
}

/** The packet block that enhanced packet blocks replaced. */
export function obsoletePacket(
  order: Order,
  bytes: Uint8Array,
  fields: PacketFields = {},
): Uint8Array {
  const head = halves(order.little, [fields.interfaceId ?? 0, 9]);
  return block(order, 2, packetBody(order, head, bytes, fields));
}

export function simplePacket(order: Order, bytes: Uint8Array, original = bytes.length): Uint8Array {
  return block(order, 3, concat([words(order.little, [original]), bytes]));
}

function packetBody(
  { little }: Order,
  head: Uint8Array,
  bytes: Uint8Array,
  { timestamp = 0n, captured = bytes.length, original = bytes.length }: PacketFields,
  options: Uint8Array = new Uint8Array(),
): Uint8Array {
  const time = [Number(timestamp >> 32n), Number(timestamp & 0xffffffffn)];
  return concat([head, words(little, [...time, captured, original]), padded(bytes), options]);
}

export function words(little: boolean, values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, index) => {
    view.setUint32(index * 4, value, little);
  });
  return new Uint8Array(view.buffer);
}

function halves(little: boolean, values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 2));
  values.forEach((value, index) => {
    view.setUint16(index * 2, value, little);
  });
  return new Uint8Array(view.buffer);
}

function padded(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  result.set(bytes);
  return result;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
