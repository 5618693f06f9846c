// IPv4 and IPv6 addresses as text and as numbers or bytes. Parsing is strict: what ip(8) and a router
// could read in two ways (octal, missing parts, zones) is no address here. Parsers return null for it.
import { setU16, setU32, u16, u32 } from './bytes.js';
import type { Prefix } from './tunnel.js';

/** An address with its family. */
export type Address =
  | { readonly version: 4; readonly value: number }
  | { readonly version: 6; readonly value: Uint8Array };

/** An address block: an address whose bits behind the prefix are 0, and the bits that count. */
export interface Block {
  readonly version: 4 | 6;
  /** 4 or 16 bytes in wire order. */
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** Parses dotted-quad IPv4 (four decimal numbers without leading zeros) to a number in host order. */
export function parseIpv4(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return null;
    const octet = Number(part);
    if (octet > 255) return null;
    value = value * 256 + octet;
  }
  return value;
}

export function formatIpv4(value: number): string {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff].join('.');
}

/** Parses IPv6 text (RFC 4291, 2.2), an IPv4 tail included but no zone, to 16 bytes. */
export function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [front = '', back] = halves;
  const head = parseGroups(front, back === undefined);
  const tail = back === undefined ? [] : parseGroups(back, true);
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  // "::" stands for at least one group of zeros; without it there are eight.
  if (back === undefined ? missing !== 0 : missing < 1) return null;
  const bytes = new Uint8Array(16);
  head.forEach((group, index) => {
    setU16(bytes, index * 2, group);
  });
  tail.forEach((group, index) => {
    setU16(bytes, (head.length + missing + index) * 2, group);
  });
  return bytes;
}

/** Parses groups between colons; only the last of an address may be IPv4 text. */
function parseGroups(text: string, isLast: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    if (!isLast || index !== parts.length - 1) return null;
    const value = parseIpv4(part);
    if (value === null) return null;
    groups.push(value >>> 16, value & 0xffff);
  }
  return groups;
}

/** Formats 16 bytes as RFC 5952 asks: lower case, longest run of zeros shortened, mapped IPv4 dotted. */
export function formatIpv6(bytes: Uint8Array): string {
  if (isMapped(bytes)) return `::ffff:${formatIpv4(u32(bytes, 12))}`;
  const groups = Array.from({ length: 8 }, (_, index) => u16(bytes, index * 2));
  const run = longestZeroRun(groups);
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (run.length < 2) return text(0, 8); // 4.2.2: one group of zeros is not shortened
  return `${text(0, run.start)}::${text(run.start + run.length, 8)}`;
}

/** The first of the longest runs of zero groups (RFC 5952, 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

/** Whether 16 bytes lie in ::ffff:0:0/96. */
export function isMapped(bytes: Uint8Array): boolean {
  return u32(bytes, 0) === 0 && u32(bytes, 4) === 0 && u32(bytes, 8) === 0xffff;
}

/** Parses IPv4 or IPv6 text. */
export function parseAddress(text: string): Address | null {
  if (text.includes(':')) {
    const bytes = parseIpv6(text);
    return bytes === null ? null : { version: 6, value: bytes };
  }
  const value = parseIpv4(text);
  return value === null ? null : { version: 4, value };
}

export function formatAddress(address: Address): string {
  return address.version === 4 ? formatIpv4(address.value) : formatIpv6(address.value);
}

/** The bytes of an address in wire order: 4 or 16. */
export function addressBytes(address: Address): Uint8Array {
  if (address.version === 6) return address.value;
  const bytes = new Uint8Array(4);
  setU32(bytes, 0, address.value);
  return bytes;
}

/**
 * Parses `ADDRESS/BITS`, or an address alone as a block of one. The address is kept as written: host
 * bits may be set, as in the address of a device.
 */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const width = address.version === 4 ? 32 : 128;
  const written = slash < 0 ? String(width) : text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(written) || Number(written) > width) return null;
  return { address: formatAddress(address), bits: Number(written) };
}

export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.bits}`;
}

/**
 * The block a prefix names: host bits cleared. ::ffff:a.b.c.d/96+n is the IPv4 block it stands for. Null
 * when the prefix is none.
 */
export function toBlock(prefix: Prefix): Block | null {
  const address = parseAddress(prefix.address);
  if (address === null) return null;
  const width = address.version === 4 ? 32 : 128;
  if (!Number.isInteger(prefix.bits) || prefix.bits < 0 || prefix.bits > width) return null;
  const bytes = addressBytes(address).slice();
  for (let bit = prefix.bits; bit < width; bit++) {
    const index = bit >>> 3;
    bytes[index] = (bytes[index] ?? 0) & ~(0x80 >>> (bit & 7));
  }
  if (address.version === 6 && prefix.bits >= 96 && isMapped(bytes)) {
    return { version: 4, bytes: bytes.subarray(12), bits: prefix.bits - 96 };
  }
  return { version: address.version, bytes, bits: prefix.bits };
}

/** The prefix as its network: host bits cleared, text in canonical form. Null when it is none. */
export function network(prefix: Prefix): Prefix | null {
  const block = toBlock(prefix);
  if (block === null) return null;
  const address = block.version === 4 ? formatIpv4(u32(block.bytes, 0)) : formatIpv6(block.bytes);
  return { address, bits: block.bits };
}

/** Whether `bytes` (4 or 16, wire order) lie in `block`. A block holds addresses of its own family only. */
export function contains(block: Block, bytes: Uint8Array): boolean {
  if (bytes.length !== block.bytes.length) return false;
  for (let bit = 0; bit < block.bits; bit++) {
    const difference = (bytes[bit >>> 3] ?? 0) ^ (block.bytes[bit >>> 3] ?? 0);
    if (difference & (0x80 >>> (bit & 7))) return false;
  }
  return true;
}

/** Whether a prefix covers an address, both as text. False when one of them cannot be parsed. */
export function prefixContains(prefix: Prefix, address: string): boolean {
  const block = toBlock(prefix);
  const parsed = parseAddress(address);
  return block !== null && parsed !== null && contains(block, addressBytes(parsed));
}
