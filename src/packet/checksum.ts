// The Internet checksum (RFC 1071), word by word in wire order: sum, then fold, then complement.

/** Adds the 16-bit words of `bytes` to a running sum. An odd last byte counts as if a zero followed it. */
export function sum(bytes: Uint8Array, initial = 0): number {
  let total = initial;
  for (let offset = 0; offset < bytes.length; offset += 2) {
    total += ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  }
  return total;
}

/** Adds the carries back in until 16 bits are left: one's-complement addition. */
export function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return folded;
}

/** The checksum field for a running sum: folded and complemented. */
export function finish(total: number): number {
  return ~fold(total) & 0xffff;
}

/** The checksum field of `bytes`, in which the field itself must be 0. */
export function checksum(bytes: Uint8Array): number {
  return finish(sum(bytes));
}

/** Whether `bytes`, their checksum field included, add up as they must (RFC 1071, 1(3)). */
export function isValid(bytes: Uint8Array): boolean {
  return fold(sum(bytes)) === 0xffff;
}

/** The checksum field after one 16-bit word under it changed (RFC 1624, equation 3). */
export function update(field: number, before: number, after: number): number {
  return finish((~field & 0xffff) + (~before & 0xffff) + after);
}

/** Running sum of the pseudo-header that TCP and UDP cover (RFC 9293, 3.1; RFC 8200, 8.1). */
export function sumPseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): number {
  return sum(source) + sum(destination) + protocol + length;
}
