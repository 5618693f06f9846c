// The only place that turns wire order (big-endian) into host order and back. One's-complement sums
// and comparisons of whole fields need neither: they work on words as loaded.

/** Host-order value of the 16-bit wire field at `ptr`. */
export function load16(ptr: usize): u32 {
  return ((<u32>load<u8>(ptr)) << 8) | <u32>load<u8>(ptr, 1);
}

/** Host-order value of the 32-bit wire field at `ptr`. */
export function load32(ptr: usize): u32 {
  return bswap<u32>(load<u32>(ptr));
}

/** Stores the lower 16 bits of `value` in wire order. */
export function store16(ptr: usize, value: u32): void {
  store<u16>(ptr, <u16>swap16(value));
}

export function store32(ptr: usize, value: u32): void {
  store<u32>(ptr, bswap<u32>(value));
}

/** A 16-bit value as its two wire bytes look to a little-endian load, and the other way round. */
export function swap16(value: u32): u32 {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}
