// The GRE header (RFC 2784, keys and sequence numbers RFC 2890).
//
// |C|R|K|S| Reserved0 (bits 4-12) | Ver |  Protocol Type  |   checksum + reserved1 if C, key if K, sequence if S
import { u16, u32 } from './bytes.js';
import type { Reason } from './reason.js';

export const GRE_CHECKSUM = 0x8000;
export const GRE_ROUTING = 0x4000;
export const GRE_KEY = 0x2000;
export const GRE_SEQUENCE = 0x1000;
/** Bits 4 and 5: must be 0 on receipt; bits 6-12 are to be ignored (RFC 2784, 2.3). */
export const GRE_RESERVED = 0x0c00;
/** Bits 9 to 12: Linux takes them for part of the version, and drops packets that have one set. */
export const GRE_RESERVED_LINUX = 0x0078;
export const GRE_VERSION = 0x0007;

export const TYPE_IPV4 = 0x0800;
export const TYPE_IPV6 = 0x86dd;
/** Transparent Ethernet bridging (RFC 1701). */
export const TYPE_ETHERNET = 0x6558;
/** Packets redirected to a web cache (WCCP). */
export const TYPE_WCCP = 0x883e;

export interface GreHeader {
  readonly hasChecksum: boolean;
  readonly version: number;
  /** Ethertype of what follows. */
  readonly protocol: number;
  /** Null without K, or where the header is cut before it. */
  readonly key: number | null;
  /** Null without S, or where the header is cut before it. */
  readonly sequence: number | null;
  /** Bytes that the flags ask for. */
  readonly length: number;
}

/** Bytes of the header with these flags. */
export function greLength(flags: number): number {
  return (
    4 + (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) + (flags & GRE_SEQUENCE ? 4 : 0)
  );
}

/** Why a payload does not begin with a GRE header that can be read, or null. */
export function checkGre(payload: Uint8Array): Reason | null {
  if (payload.length < 4) return 'gre-truncated';
  const flags = u16(payload, 0);
  if ((flags & GRE_VERSION) !== 0) return 'gre-version';
  if ((flags & GRE_ROUTING) !== 0) return 'gre-routing-present';
  if (greLength(flags) > payload.length) return 'gre-truncated';
  return null;
}

/** Whether a header has bits set that this profile does not take. */
export function hasReservedBits(payload: Uint8Array, profile: 'rfc' | 'linux' = 'rfc'): boolean {
  return (u16(payload, 0) & (profile === 'rfc' ? GRE_RESERVED : GRE_RESERVED_LINUX)) !== 0;
}

/** Reads the fields of at least 4 bytes, right or wrong. */
export function readGre(payload: Uint8Array): GreHeader {
  const flags = u16(payload, 0);
  const version = flags & GRE_VERSION;
  // Version 1 (RFC 2637) and routing (RFC 1701) put other things where key and sequence would be.
  const isPlain = version === 0 && (flags & GRE_ROUTING) === 0;
  let offset = flags & GRE_CHECKSUM ? 8 : 4;
  const option = (flag: number): number | null => {
    if (!isPlain || (flags & flag) === 0) return null;
    offset += 4;
    return offset <= payload.length ? u32(payload, offset - 4) : null;
  };
  const key = option(GRE_KEY);
  const sequence = option(GRE_SEQUENCE);
  return {
    hasChecksum: (flags & GRE_CHECKSUM) !== 0,
    version,
    protocol: u16(payload, 2),
    key,
    sequence,
    length: greLength(flags),
  };
}
