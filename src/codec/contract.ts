/**
 * A codec over the dataplane's memory: the builds `simd` and `scalar` (asm/), `js` (src/packet) and
 * a user's own `.wasm` all have this face. Addresses are offsets in that memory, never native ones.
 */
export interface Codec {
  readonly name: string;

  /**
   * Does what the kernel left to do on the packet just filled in at `position` of an encap ring, before it is
   * published: completes its checksum, or splits a superpacket over the following slots, at most `room` in
   * all. Superpackets of the kinds in `keep` (MERGE_*) stay whole and are described. The device header in the
   * descriptor says what. Returns how many packets there are now, at least 1; one whose device header makes no
   * sense is left with length 0.
   */
  segment(ring: number, position: number, room: number, keep: number): number;

  /**
   * Puts the outer header in front of every filled packet of an encap ring, or gives it a reason, and
   * moves PROCESSED up to FILLED. Returns how many packets that were.
   */
  encap(ring: number): number;

  /** Strips and checks every filled packet of a decap ring. Otherwise like `encap`. */
  decap(ring: number): number;

  /**
   * Merges neighbours of a flow among the packets between DRAINED and PROCESSED of a decap ring: DESCRIPTOR_EMIT
   * says what is written in whose turn, DESCRIPTOR_NEXT whose payload follows. `kinds`: MERGE_*.
   */
  coalesce(ring: number, kinds: number): void;

  /** Takes the run that begins in slot `index` apart: its packets are again as decap left them. */
  separate(ring: number, index: number): void;

  /**
   * Counts every packet between DRAINED and PROCESSED once, under its reason or as forwarded, and moves
   * DRAINED up to PROCESSED. `nowMs`: wall clock in ms since 1970, for the last-heard time.
   */
  settle(ring: number, nowMs: number): void;

  /** Internet checksum (RFC 1071) of `length` bytes at `address`: 0..0xffff, in wire byte order when stored big-endian. */
  checksum(address: number, length: number): number;
}
