// Explicit congestion notification through a tunnel (RFC 6040).

export const ECN_MASK: u32 = 3;
export const ECN_NOT_ECT: u32 = 0;
export const ECN_ECT_1: u32 = 1;
export const ECN_ECT_0: u32 = 2;
export const ECN_CE: u32 = 3;
/** No codepoint: the packet is to be dropped. */
export const ECN_DROP: u32 = 4;

/** The inner ECN field after decapsulation, or ECN_DROP. RFC 6040, 4.2, figure 4. */
export function mergeEcn(outer: u32, inner: u32): u32 {
  if (outer === ECN_CE) return inner === ECN_NOT_ECT ? ECN_DROP : ECN_CE;
  if (outer === ECN_ECT_1 && inner === ECN_ECT_0) return ECN_ECT_1;
  return inner;
}

/**
 * Pairs of fields, outer << 2 | inner, that pass but that no sender and no path should leave: an outer header that
 * is marked capable where the inner is not, or otherwise than the inner (RFC 6040, 4.2: "currently unused").
 */
const ODD_PAIRS: u32 =
  (1 << ((1 << 2) | 0)) | (1 << ((2 << 2) | 0)) | (1 << ((1 << 2) | 3)) | (1 << ((2 << 2) | 1));

export function isOddEcn(outer: u32, inner: u32): bool {
  return ((ODD_PAIRS >>> ((outer << 2) | inner)) & 1) !== 0;
}
