// Explicit congestion notification through a tunnel (RFC 6040).

export const NOT_ECT = 0;
export const ECT_1 = 1;
export const ECT_0 = 2;
export const CE = 3;

/** The two ECN bits of a TOS byte or traffic class. */
export function ecnOf(tos: number): number {
  return tos & 3;
}

/** ECN of the outer header in normal mode (4.1): the inner bits, CE included. */
export function encapEcn(inner: number): number {
  return inner;
}

/** ECN of the inner packet that leaves the tunnel (4.2), or null where it must be dropped. */
export function decapEcn(outer: number, inner: number): number | null {
  if (outer === CE) return inner === NOT_ECT ? null : CE;
  if (outer === ECT_1 && inner === ECT_0) return ECT_1;
  return inner;
}

/**
 * Whether no sender and no path should leave such a pair of fields, though it is passed on: an outer header that is
 * marked capable where the inner is not, or otherwise than the inner (RFC 6040, 4.2).
 */
export function isOddEcn(outer: number, inner: number): boolean {
  if (inner === NOT_ECT) return outer === ECT_1 || outer === ECT_0;
  return (outer === ECT_1 && inner === CE) || (outer === ECT_0 && inner === ECT_1);
}
