// The table image as the packet path reads it: tunnels by their endpoints, our own addresses, accepted
// sources. The host builds it (src/tunnel) and computes the same hashes.
//
// INVARIANT: tables are at most half full; even so a probe never takes more steps than there are places.
import {
  BUCKET_HASH,
  BUCKET_RECORD,
  BUCKET_SIZE,
  FLAG_KEY_IN,
  FLAG_UP,
  IMAGE_BUCKET_MASK,
  IMAGE_BUCKETS,
  IMAGE_OWN,
  IMAGE_OWN_MASK,
  IMAGE_PASSES,
  IMAGE_RECORDS,
  NO_TUNNEL,
  OWN_ADDRESS,
  OWN_FLAGS,
  OWN_SIZE,
  PASS_ANY,
  PASS_ANY_LOCAL,
  PASS_ANY_REMOTE,
  PASS_EXACT,
  PREFIX_ADDRESS,
  PREFIX_MASK,
  PREFIX_SIZE,
  RECORD_FLAGS,
  RECORD_KEY_IN,
  RECORD_LINK,
  RECORD_LOCAL,
  RECORD_MODE,
  RECORD_PREFIX_COUNT,
  RECORD_PREFIXES,
  RECORD_REMOTE,
  RECORD_SIZE,
} from './layout';
import { highOf, isMapped, lowOf } from './wire/address';

const HASH_WORD_0: u32 = 0x9e3779b1;
const HASH_WORD_1: u32 = 0x85ebca77;
const HASH_WORD_2: u32 = 0xc2b2ae3d;
const HASH_WORD_3: u32 = 0x27d4eb2f;
/** What the first three words of a mapped address add to its hash: 0, 0 and 0xffff0000. */
const HASH_MAPPED: u32 = 0xffff0000 * HASH_WORD_2;

/** Address of record `index`. */
export function recordAt(image: usize, index: u32): usize {
  return load<u32>(image, IMAGE_RECORDS) + index * RECORD_SIZE;
}

/**
 * The record that takes a packet from the address at `remote` to that at `local`, or NO_TUNNEL: the most specific
 * pass with a match wins, and in it the lowest index. `mode` is RECORD_MODE of such tunnels, `family` the outer
 * header's; key in host order, 0 without K; `keyed` is FLAG_KEY_IN or 0; `link` 0 = not known.
 */
export function lookup(
  image: usize,
  mode: u32,
  family: u32,
  local: usize,
  remote: usize,
  keyed: u32,
  key: u32,
  link: u32,
): u32 {
  const passes = load<u32>(image, IMAGE_PASSES);
  const localWord = hashEndpoint(local, family);
  const remoteWord = hashEndpoint(remote, family);
  for (let pass: u32 = PASS_EXACT; pass <= <u32>PASS_ANY; pass++) {
    if (!(passes & (1 << pass))) continue;
    // INVARIANT: bit 0 of a pass stands for any local, bit 1 for any remote.
    const passLocal: usize = pass & PASS_ANY_LOCAL ? 0 : local;
    const passRemote: usize = pass & PASS_ANY_REMOTE ? 0 : remote;
    // A tunnel open to everyone compares the key by value only: none counts as 0.
    const mask = pass === PASS_ANY ? FLAG_UP : FLAG_UP | FLAG_KEY_IN;
    const flags = (FLAG_UP | keyed) & mask;
    const hash = hashTunnel(
      mode,
      passLocal === 0 ? 0 : localWord,
      passRemote === 0 ? 0 : remoteWord,
      flags & FLAG_KEY_IN,
      key,
    );
    const index = probe(image, hash, mode, family, passLocal, passRemote, flags, mask, key, link);
    if (index !== NO_TUNNEL) return index;
  }
  return NO_TUNNEL;
}

/** First record under `hash` with these endpoints (address 0 = any) whose flags under `mask` are `flags`. */
function probe(
  image: usize,
  hash: u32,
  mode: u32,
  family: u32,
  local: usize,
  remote: usize,
  flags: u32,
  mask: u32,
  key: u32,
  link: u32,
): u32 {
  const buckets = <usize>load<u32>(image, IMAGE_BUCKETS);
  const places = load<u32>(image, IMAGE_BUCKET_MASK);
  for (let step: u32 = 0; step <= places; step++) {
    const bucket = buckets + ((hash + step) & places) * BUCKET_SIZE;
    const index = load<u32>(bucket, BUCKET_RECORD);
    if (index === NO_TUNNEL) break;
    if (load<u32>(bucket, BUCKET_HASH) !== hash) continue;
    const record = recordAt(image, index);
    if (load<u32>(record, RECORD_MODE) !== mode) continue;
    if (!isEndpoint(record + RECORD_REMOTE, remote, family)) continue;
    if (!isEndpoint(record + RECORD_LOCAL, local, family)) continue;
    if (load<u32>(record, RECORD_KEY_IN) !== key) continue;
    if ((load<u32>(record, RECORD_FLAGS) & mask) !== flags) continue;
    if (mayComeFrom(load<u32>(record, RECORD_LINK), link)) return index;
  }
  return NO_TUNNEL;
}

/** Whether the 16 bytes at `endpoint` are the address at `ptr`, or with `ptr` 0 stand for any. */
function isEndpoint(endpoint: usize, ptr: usize, family: u32): bool {
  const high = ptr === 0 ? 0 : highOf(ptr, family);
  const low = ptr === 0 ? 0 : lowOf(ptr, family);
  return load<u64>(endpoint) === high && load<u64>(endpoint, 8) === low;
}

/** A record without a device takes packets from any; one whose device is not known may go to any. */
function mayComeFrom(bound: u32, link: u32): bool {
  return bound === 0 || link === 0 || bound === link;
}

/** Hash of a lookup key. Addresses as hashEndpoint has them, 0 for any; `keyed` is 1 or 0. */
function hashTunnel(mode: u32, local: u32, remote: u32, keyed: u32, key: u32): u32 {
  const words = (local * HASH_WORD_0) ^ (remote * HASH_WORD_1) ^ (key * HASH_WORD_2);
  return mix(words ^ ((mode << 1) | keyed));
}

/** The outer address at `ptr` as one word. */
function hashEndpoint(ptr: usize, family: u32): u32 {
  let word = load<u32>(ptr);
  if (family === 4) return word;
  word = (word * HASH_WORD_3) ^ load<u32>(ptr, 4);
  word = (word * HASH_WORD_3) ^ load<u32>(ptr, 8);
  return (word * HASH_WORD_3) ^ load<u32>(ptr, 12);
}

/** Spreads every bit of a word over all bits of the result. */
export function mix(word: u32): u32 {
  let hash = word ^ (word >>> 15);
  hash *= 0x2c1b3c6d;
  hash ^= hash >>> 12;
  hash *= 0x297a2d39;
  return hash ^ (hash >>> 15);
}

/** OWN_OUTER and OWN_INNER of the address at `ptr`, 0 when it is not ours. `family`: 4 or 6. */
export function ownFlags(image: usize, ptr: usize, family: u32): u32 {
  const hash = family === 4 ? hashMapped(ptr) : hashAddress(load<u64>(ptr), load<u64>(ptr, 8));
  const place = load<u32>(image, IMAGE_OWN) + (hash & load<u32>(image, IMAGE_OWN_MASK)) * OWN_SIZE;
  if (load<u32>(place, OWN_FLAGS) === 0) return 0; // true of nearly every address
  return probeOwn(image, hash, highOf(ptr, family), lowOf(ptr, family));
}

/** The same when the address's place in the set is taken: by it, or by another. */
function probeOwn(image: usize, hash: u32, high: u64, low: u64): u32 {
  const own = <usize>load<u32>(image, IMAGE_OWN);
  const places = load<u32>(image, IMAGE_OWN_MASK);
  for (let step: u32 = 0; step <= places; step++) {
    const entry = own + ((hash + step) & places) * OWN_SIZE;
    const flags = load<u32>(entry, OWN_FLAGS);
    if (flags === 0) break;
    if (load<u64>(entry, OWN_ADDRESS) !== high) continue;
    if (load<u64>(entry, OWN_ADDRESS + 8) === low) return flags;
  }
  return 0;
}

/** hashAddress of the mapped form of the IPv4 address at `ptr`. */
function hashMapped(ptr: usize): u32 {
  return mix(HASH_MAPPED ^ (load<u32>(ptr) * HASH_WORD_3));
}

/** Hash of an address in the form of wire/address. */
export function hashAddress(high: u64, low: u64): u32 {
  return mix(
    (<u32>high * HASH_WORD_0) ^
      (<u32>(high >>> 32) * HASH_WORD_1) ^
      (<u32>low * HASH_WORD_2) ^
      (<u32>(low >>> 32) * HASH_WORD_3),
  );
}

/**
 * Whether the tunnel accepts the inner source at `source`: one of its prefixes holds it. An IPv6 prefix shorter than
 * the mapped form's own 96 bits, such as ::/0, holds IPv4 addresses by value but does not mean them; and a mapped
 * address in an IPv6 header is no sender's, nor the one that IPv4 prefixes are about.
 */
export function acceptsSource(record: usize, source: usize, family: u32): bool {
  const high = highOf(source, family);
  const low = lowOf(source, family);
  const isIpv4 = family === 4;
  if (!isIpv4 && isMapped(high, low)) return false;
  let prefix = <usize>load<u32>(record, RECORD_PREFIXES);
  const end = prefix + load<u32>(record, RECORD_PREFIX_COUNT) * PREFIX_SIZE;
  for (; prefix < end; prefix += PREFIX_SIZE) {
    const differs =
      ((high & load<u64>(prefix, PREFIX_MASK)) ^ load<u64>(prefix, PREFIX_ADDRESS)) |
      ((low & load<u64>(prefix, PREFIX_MASK + 8)) ^ load<u64>(prefix, PREFIX_ADDRESS + 8));
    if (differs !== 0) continue;
    if (!isIpv4 || load<u32>(prefix, PREFIX_MASK + 8) === 0xffffffff) return true;
  }
  return false;
}
