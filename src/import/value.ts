// Values as ip(8) reads them.

import {
  formatIpv4,
  formatIpv6,
  formatPrefix,
  network,
  parseIpv4,
  parseIpv6,
  parsePrefix,
} from '../packet/address.js';
import { Refusal } from './draft.js';

/** Reads a number with the base that its beginning tells, as strtoul(3) does with base 0. */
export function readNumber(text: string, max: number, what: string): number {
  const value = /^0x[0-9a-f]+$/i.test(text)
    ? Number.parseInt(text.slice(2), 16)
    : /^0[0-7]*$/.test(text)
      ? Number.parseInt(text, 8)
      : /^[1-9][0-9]*$/.test(text)
        ? Number(text)
        : Number.NaN;
  return inRange(value, text, max, what);
}

/** Reads a number that is hexadecimal with and without `0x`. */
export function readHex(text: string, max: number, what: string): number {
  const digits = /^(?:0x)?([0-9a-f]+)$/i.exec(text)?.[1];
  return inRange(digits === undefined ? Number.NaN : Number.parseInt(digits, 16), text, max, what);
}

function inRange(value: number, text: string, max: number, what: string): number {
  if (Number.isInteger(value) && value <= max) return value;
  throw new Refusal(`${what} must be a number up to ${max}, not ${quote(text)}`);
}

/** A GRE key: a number, or dotted as an IPv4 address. */
export function readKey(text: string): number {
  if (!text.includes('.')) return readNumber(text, 0xffffffff, 'a key');
  const value = parseIpv4(padIpv4(text));
  if (value === null) throw new Refusal(`${quote(text)} is no key`);
  return value;
}

/** An outer address, or `any`. */
export function readAddress(text: string, family: 4 | 6, what: string): string {
  if (['any', 'all', 'default'].includes(text)) return 'any';
  if (family === 6) {
    const bytes = parseIpv6(text);
    if (bytes === null) throw new Refusal(`${what} must be an IPv6 address, not ${quote(text)}`);
    return formatIpv6(bytes) === '::' ? 'any' : formatIpv6(bytes);
  }
  const value = parseIpv4(padIpv4(text));
  if (value === null) throw new Refusal(`${what} must be an IPv4 address, not ${quote(text)}`);
  return value === 0 ? 'any' : formatIpv4(value);
}

/** An inner address with its prefix length, `10/8` in full. */
export function readPrefix(text: string, what: string): string {
  const [address = '', bits] = text.split('/', 2);
  const full = address.includes(':') ? address : padIpv4(address);
  const prefix = parsePrefix(bits === undefined ? full : `${full}/${bits}`);
  if (prefix === null) throw new Refusal(`${what} must be a prefix, not ${quote(text)}`);
  return formatPrefix(prefix);
}

/** A route's destination. The kernel refuses one with host bits. */
export function readDestination(text: string, isIpv6: boolean): string {
  if (['default', 'any', 'all'].includes(text)) return isIpv6 ? '::/0' : '0.0.0.0/0';
  const prefix = readPrefix(text, 'a destination');
  const parsed = parsePrefix(prefix);
  const masked = parsed === null ? null : network(parsed);
  if (masked !== null && formatPrefix(masked) === prefix) return prefix;
  throw new Refusal(`${quote(text)} has host bits set: the kernel takes no such route`);
}

/** `10.1` is 10.1.0.0 in ip(8). */
function padIpv4(text: string): string {
  const parts = text.split('.').length;
  return parts < 4 && /^[0-9.]+$/.test(text) ? text + '.0'.repeat(4 - parts) : text;
}

/** DSCP names of /etc/iproute2/rt_dsfield that mean the same everywhere (RFC 2474, 2597, 3246). */
const DSCP_NAMES: { readonly [name: string]: number } = {
  default: 0x00,
  ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((n) => [`cs${n}`, n << 5])),
  ...Object.fromEntries(
    [1, 2, 3, 4].flatMap((n) => [1, 2, 3].map((drop) => [`af${n}${drop}`, (n << 5) | (drop << 3)])),
  ),
  ef: 0xb8,
};

/** A TOS byte: hexadecimal, or a name. */
export function readTos(text: string, what: string): number {
  const name = text.toLowerCase();
  const named = Object.hasOwn(DSCP_NAMES, name) ? DSCP_NAMES[name] : undefined;
  return named ?? readHex(text, 0xff, what);
}

/** A value in a message. */
export function quote(text: string): string {
  const variable = text.includes('$') ? ', a variable of the shell: write its value' : '';
  return `${JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text)}${variable}`;
}
