/**
 * A codec over the dataplane's memory: the builds `simd` and `scalar` (asm/), `js` (src/packet) and
 * a user's own `.wasm` all have this face. Addresses are offsets in that memory, never native ones.
 */
export interface Codec {
  readonly name: string;

  /**
   * Puts the outer header in front of every filled packet of an encap ring, or gives it a reason, and
   * moves PROCESSED up to FILLED. Returns how many packets that were.
   */
  encap(ring: number): number;

  /** Strips and checks every filled packet of a decap ring. Otherwise like `encap`. */
  decap(ring: number): number;

  /**
   * Counts every packet between DRAINED and PROCESSED once, under its reason or as forwarded, and moves
   * DRAINED up to PROCESSED. `nowMs`: wall clock in ms since 1970, for the last-heard time.
   */
  settle(ring: number, nowMs: number): void;

  /** Internet checksum (RFC 1071) of `length` bytes at `address`: 0..0xffff, in wire byte order when stored big-endian. */
  checksum(address: number, length: number): number;
}
