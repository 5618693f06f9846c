// Internet checksum (RFC 1071): one's-complement sum of 16-bit words, folded and complemented.
//
// Words are read little-endian: byte order does not matter if the result is stored as it was read
// (RFC 1071, 2(B)), and 32-bit words may stand for two 16-bit ones, since 2^16 = 1 modulo 0xffff.
// A running sum is a u64 of such 32-bit words: 2^32 of them fit.

/** Bytes after which the 32-bit lanes of sumVectors are emptied: each takes 2 x 0xffff for every 16 bytes. */
const LANES_LIMIT: usize = 1 << 18;

/** Shortest run that vectors sum faster: below, adding their lanes up costs more than they save (measured). */
const VECTORS_FROM: usize = 96;

/**
 * Adds `length` bytes at `ptr` to a running sum. An odd last byte counts as if a zero byte followed it,
 * so only the last piece of a sum may be odd.
 */
export function sum(ptr: usize, length: usize, initial: u64): u64 {
  let acc = initial;
  const end = ptr + length;
  if (ASC_FEATURE_SIMD) {
    if (length >= VECTORS_FROM) {
      const blocks = length & ~15;
      acc += sumVectors(ptr, blocks);
      ptr += blocks;
    }
  }
  for (; ptr + 16 <= end; ptr += 16) {
    acc += <u64>load<u32>(ptr) + <u64>load<u32>(ptr, 4);
    acc += <u64>load<u32>(ptr, 8) + <u64>load<u32>(ptr, 12);
  }
  return acc + sumTail(ptr, end - ptr);
}

/** Sum of the last 0 to 15 bytes. */
function sumTail(ptr: usize, length: usize): u64 {
  let acc: u64 = 0;
  if (length & 8) {
    acc = <u64>load<u32>(ptr) + <u64>load<u32>(ptr, 4);
    ptr += 8;
  }
  if (length & 4) {
    acc += <u64>load<u32>(ptr);
    ptr += 4;
  }
  if (length & 2) {
    acc += <u64>load<u16>(ptr);
    ptr += 2;
  }
  if (length & 1) acc += <u64>load<u8>(ptr);
  return acc;
}

/** Sum of a multiple of 16 bytes, in vectors. */
function sumVectors(ptr: usize, length: usize): u64 {
  let acc: u64 = 0;
  const end = ptr + length;
  while (ptr < end) {
    const stop = min(end, ptr + LANES_LIMIT);
    let a = i32x4.splat(0);
    let b = i32x4.splat(0);
    let c = i32x4.splat(0);
    let d = i32x4.splat(0);
    for (; ptr + 64 <= stop; ptr += 64) {
      a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(ptr)));
      b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v128.load(ptr, 16)));
      c = i32x4.add(c, i32x4.extadd_pairwise_i16x8_u(v128.load(ptr, 32)));
      d = i32x4.add(d, i32x4.extadd_pairwise_i16x8_u(v128.load(ptr, 48)));
    }
    for (; ptr < stop; ptr += 16) {
      a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(ptr)));
    }
    a = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
    acc += sumLanes(a);
  }
  return acc;
}

/** Sum of four 32-bit lanes. */
function sumLanes(lanes: v128): u64 {
  const halves = i64x2.add(i64x2.extend_low_i32x4_u(lanes), i64x2.extend_high_i32x4_u(lanes));
  return i64x2.extract_lane(halves, 0) + i64x2.extract_lane(halves, 1);
}

/** Copies `length` bytes, which must not overlap: for headers, where a call of memory.copy costs more. */
export function copyBytes(to: usize, from: usize, length: usize): void {
  const end = from + length;
  for (; from + 8 <= end; from += 8, to += 8) store<u64>(to, load<u64>(from));
  for (; from < end; from++, to++) store<u8>(to, load<u8>(from));
}

/** Folds a running sum to 16 bits, end-around carries included, without complementing it. */
export function fold(acc: u64): u32 {
  // a + rotate(a) leaves the one's-complement sum of both halves, carry included, in the upper half.
  const half = <u32>((acc + rotl<u64>(acc, 32)) >>> 32);
  return (half + rotl<u32>(half, 16)) >>> 16;
}

/** The checksum of a running sum, as it is to be stored: 0 for a sum over an intact checksummed block. */
export function finish(acc: u64): u32 {
  return ~fold(acc) & 0xffff;
}

/** The checksum after one 16-bit word changed from `before` to `after`; all as loaded. RFC 1624, eqn. 3. */
export function update(checksum: u32, before: u32, after: u32): u32 {
  return finish(<u64>(~checksum & 0xffff) + <u64>(~before & 0xffff) + <u64>after);
}
