import { load16, load32 } from './bytes';

// |C|R|K|S| Reserved0 (bits 4-12) | Ver |         Protocol Type         |
// |       Checksum if C           |        Reserved1 if C         |
// |                          Key if K                             |
// |                    Sequence Number if S                       |   RFC 2784, 2 and RFC 2890, 2
export const GRE_BASE_LENGTH: u32 = 4;
export const GRE_PROTOCOL_TYPE = 2;
export const GRE_CHECKSUM = 4;

export const GRE_C: u32 = 0x8000;
/** Routing present: RFC 1701 source routes, which RFC 2784, 2.3 tells to discard. */
export const GRE_R: u32 = 0x4000;
export const GRE_K: u32 = 0x2000;
export const GRE_S: u32 = 0x1000;
/** Bits 4 and 5: to be discarded when set. RFC 2784, 2.3; bits 6-12 are to be ignored. */
export const GRE_RESERVED: u32 = 0x0c00;
/** Bits 9 to 12: Linux takes them for part of the version. */
export const GRE_RESERVED_LINUX: u32 = 0x0078;
export const GRE_VERSION: u32 = 7;

// Protocol types as loaded (little-endian): 0x0800 and 0x86dd (RFC 2784, 3; RFC 7676, 3.1), 0x6558 and 0x883e.
export const PROTOCOL_TYPE_IPV4: u32 = 0x0008;
export const PROTOCOL_TYPE_IPV6: u32 = 0xdd86;
export const PROTOCOL_TYPE_ETHERNET: u32 = 0x5865;
export const PROTOCOL_TYPE_WCCP: u32 = 0x3e88;

export function greFlags(header: usize): u32 {
  return load16(header);
}

/** Bytes of the GRE header with these flags. */
export function greLength(flags: u32): u32 {
  // C, K and S are bits 15, 13 and 12: four bytes each.
  return (
    GRE_BASE_LENGTH + ((flags & GRE_C) >>> 13) + ((flags & GRE_K) >>> 11) + ((flags & GRE_S) >>> 10)
  );
}

/** The key, or 0 when there is none. */
export function greKey(header: usize, flags: u32): u32 {
  if (!(flags & GRE_K)) return 0;
  return load32(header + GRE_BASE_LENGTH + ((flags & GRE_C) >>> 13));
}

/** The sequence number; only with S. It is the last word of the header. */
export function greSequence(header: usize, flags: u32): u32 {
  return load32(header + greLength(flags) - 4);
}
