// The lookup hashes: the host files records and own addresses under them, the codec probes for them.
// Both sides must compute the same 32 bits; asm/ holds the other half.

/** Spreads the bits of a 32-bit number over all of its places. */
function finalize(hash: number): number {
  let h = hash;
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  h ^= h >>> 12;
  h = Math.imul(h, 0x297a2d39);
  h ^= h >>> 15;
  return h >>> 0;
}

/**
 * Hash of a tunnel record in its lookup pass. Addresses as `hashEndpoint` has them; `keyed` is 1 when
 * the packet must carry a key, and always 0 in the pass that compares the key by value only.
 */
export function hashTunnel(
  mode: number,
  local: number,
  remote: number,
  key: number,
  keyed: 0 | 1,
): number {
  let h = Math.imul(local, 0x9e3779b1) ^ Math.imul(remote, 0x85ebca77);
  h ^= Math.imul(key, 0xc2b2ae3d);
  h ^= (mode << 1) | keyed;
  return finalize(h);
}

/** An outer address (4 or 16 bytes, wire order) as one word, 0 for any. */
export function hashEndpoint(address: Uint8Array | null): number {
  if (address === null) return 0;
  const view = new DataView(address.buffer, address.byteOffset);
  let word = view.getUint32(0, true);
  for (let offset = 4; offset < address.length; offset += 4) {
    word = Math.imul(word, 0x27d4eb2f) ^ view.getUint32(offset, true);
  }
  return word >>> 0;
}

/** Hash of 16 address bytes, given as the four little-endian words that a load finds there. */
export function hashAddress(w0: number, w1: number, w2: number, w3: number): number {
  return finalize(
    Math.imul(w0, 0x9e3779b1) ^
      Math.imul(w1, 0x85ebca77) ^
      Math.imul(w2, 0xc2b2ae3d) ^
      Math.imul(w3, 0x27d4eb2f),
  );
}

/** Hash of a route: the tunnel whose peer has it, its address as `hashAddress` has it, and its length, IPv4 as 96+n. */
export function hashRoute(tunnel: number, address: number, bits: number): number {
  return finalize(address ^ ((tunnel << 8) | bits));
}
