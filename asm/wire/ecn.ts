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
