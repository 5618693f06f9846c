// The tunnel encapsulation limit (RFC 2473, 4.1): how many tunnels more a packet may enter.
import { setU8, u8 } from './bytes.js';
import type { Inner } from './inner.js';
import { EXTENSION_LIMIT, IPV6_HEADER } from './ipv6.js';
import { ENCAP_LIMIT_HEADER } from './tunnel.js';

const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;
const OPTION_PAD1 = 0;
const OPTION_PADN = 1;
const OPTION_ENCAP_LIMIT = 4;

/** The limit that an inner IPv6 packet carries, null without one. */
export function encapLimitOf(inner: Inner): number | null {
  const at = encapLimitAt(inner);
  return at === null ? null : u8(inner.bytes, at);
}

/** Where in the packet that limit lies. */
export function encapLimitAt({ version, bytes }: Inner): number | null {
  if (version === 4) return null;
  let header = u8(bytes, 6);
  let offset = IPV6_HEADER;
  for (let count = 0; count < EXTENSION_LIMIT; count++) {
    if (header !== HOP_BY_HOP && header !== ROUTING && header !== DESTINATION_OPTIONS) return null;
    if (offset + 8 > bytes.length) return null;
    const end = offset + 8 + u8(bytes, offset + 1) * 8;
    if (end > bytes.length) return null;
    const at = header === DESTINATION_OPTIONS ? findLimit(bytes, offset + 2, end) : null;
    if (at !== null) return at;
    header = u8(bytes, offset);
    offset = end;
  }
  return null;
}

function findLimit(bytes: Uint8Array, start: number, end: number): number | null {
  for (let at = start; at < end; ) {
    const type = u8(bytes, at);
    if (type === OPTION_PAD1) {
      at++;
      continue;
    }
    const length = at + 1 < end ? u8(bytes, at + 1) : end;
    if (at + 2 + length > end) return null;
    if (type === OPTION_ENCAP_LIMIT && length === 1) return at + 2;
    at += 2 + length;
  }
  return null;
}

/** The destination options header that tells `limit`, padded to 8 bytes, in front of `protocol`. */
export function encapLimitHeader(protocol: number, limit: number): Uint8Array {
  const header = new Uint8Array(ENCAP_LIMIT_HEADER);
  setU8(header, 0, protocol);
  header.set([OPTION_ENCAP_LIMIT, 1, limit, OPTION_PADN, 1, 0], 2);
  return header;
}
