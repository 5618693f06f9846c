// Addresses of both families as 16 wire bytes in two u64, as loaded: `high` the first eight bytes, `low`
// the last eight. IPv4 is ::ffff:a.b.c.d, so that one set and one list of prefixes hold both.

/** High half of a mapped address, and the first four bytes of its low half. */
const MAPPED_HIGH: u64 = 0;
const MAPPED_LOW: u64 = 0xffff0000;

/** High half of the address at `ptr`. `family`: 4 or 6. */
export function highOf(ptr: usize, family: u32): u64 {
  return family === 4 ? MAPPED_HIGH : load<u64>(ptr);
}

/** Low half of the address at `ptr`. */
export function lowOf(ptr: usize, family: u32): u64 {
  return family === 4 ? MAPPED_LOW | ((<u64>load<u32>(ptr)) << 32) : load<u64>(ptr, 8);
}

/** Whether it stands for an IPv4 address. */
export function isMapped(high: u64, low: u64): bool {
  return high === MAPPED_HIGH && <u32>low === <u32>MAPPED_LOW;
}

/** ff00::/8 (RFC 4291, 2.7) or, mapped, 224/4. */
export function isMulticast(high: u64, low: u64): bool {
  if (isMapped(high, low)) return <u32>((low >>> 32) & 0xf0) === 0xe0;
  return <u32>(high & 0xff) === 0xff;
}

/** fe80::/10 (RFC 4291, 2.5.6). */
export function isLinkLocal6(high: u64): bool {
  return <u32>(high & 0xc0ff) === 0x80fe;
}

/** ::/96 (unspecified, loopback and IPv4-compatible) or ::ffff:0:0/96 (mapped): never on the wire. RFC 4213, 3.6. */
export function isEmbedded(high: u64, low: u64): bool {
  return high === 0 && (<u32>low === 0 || <u32>low === <u32>MAPPED_LOW);
}

/** ::, which is no IPv4 address in mapped form either. */
export function isUnspecified6(high: u64, low: u64): bool {
  return (high | low) === 0;
}
