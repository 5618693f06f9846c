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
  RECORD_PREFIX_COUNT,
  RECORD_PREFIXES,
  RECORD_REMOTE,
  RECORD_SIZE,
} from './layout';
import { isMapped } from './wire/address';

// The table image as the packet path reads it: tunnels by their endpoints, our own addresses, accepted
// sources. The host builds it (src/tunnel) and computes the same hashes.
//
// INVARIANT: tables are at most half full; even so a probe never takes more steps than there are places.
// INVARIANT: mix() is a bijection, so equal hashes of equal addresses and keys mean the same protocol:
// the mode of a record need not be compared.

/** Address of record `index`. */
export function recordAt(image: usize, index: u32): usize {
  return load<u32>(image, IMAGE_RECORDS) + index * RECORD_SIZE;
}

/**
 * The record that takes a packet from `remote` to `local`, or NO_TUNNEL: the most specific pass with a
 * match wins, and in it the lowest index. `protocol` is the outer header's; addresses and key in host order,
 * key 0 without K; `keyed` is FLAG_KEY_IN or 0; `link` 0 = not known.
 */
export function lookup(
  image: usize,
  protocol: u32,
  local: u32,
  remote: u32,
  keyed: u32,
  key: u32,
  link: u32,
): u32 {
  const passes = load<u32>(image, IMAGE_PASSES);
  const flags = FLAG_UP | keyed;
  let index: u32 = NO_TUNNEL;
  if (passes & (1 << PASS_EXACT)) {
    index = probe(image, protocol, local, remote, flags, FLAG_UP | FLAG_KEY_IN, key, link);
    if (index !== NO_TUNNEL) return index;
  }
  if (passes & (1 << PASS_ANY_LOCAL)) {
    index = probe(image, protocol, 0, remote, flags, FLAG_UP | FLAG_KEY_IN, key, link);
    if (index !== NO_TUNNEL) return index;
  }
  if (passes & (1 << PASS_ANY_REMOTE)) {
    index = probe(image, protocol, local, 0, flags, FLAG_UP | FLAG_KEY_IN, key, link);
    if (index !== NO_TUNNEL) return index;
  }
  // A tunnel open to everyone compares the key by value only: none counts as 0.
  if (passes & (1 << PASS_ANY)) index = probe(image, protocol, 0, 0, FLAG_UP, FLAG_UP, key, link);
  return index;
}

/** First record of one pass whose flags under `mask` are `flags`. */
function probe(
  image: usize,
  protocol: u32,
  local: u32,
  remote: u32,
  flags: u32,
  mask: u32,
  key: u32,
  link: u32,
): u32 {
  const hash = hashTunnel(protocol, local, remote, flags & FLAG_KEY_IN, key);
  const buckets = <usize>load<u32>(image, IMAGE_BUCKETS);
  const records = <usize>load<u32>(image, IMAGE_RECORDS);
  const places = load<u32>(image, IMAGE_BUCKET_MASK);
  for (let step: u32 = 0; step <= places; step++) {
    const bucket = buckets + ((hash + step) & places) * BUCKET_SIZE;
    const index = load<u32>(bucket, BUCKET_RECORD);
    if (index === NO_TUNNEL) break;
    if (load<u32>(bucket, BUCKET_HASH) !== hash) continue;
    const record = records + index * RECORD_SIZE;
    const bound = load<u32>(record, RECORD_LINK);
    if (
      load<u32>(record, RECORD_LOCAL) === local &&
      load<u32>(record, RECORD_REMOTE) === remote &&
      load<u32>(record, RECORD_KEY_IN) === key &&
      (load<u32>(record, RECORD_FLAGS) & mask) === flags &&
      (bound === 0 || link === 0 || bound === link)
    ) {
      return index;
    }
  }
  return NO_TUNNEL;
}

/** Hash of a lookup key. `keyed` is 1 or 0. */
function hashTunnel(protocol: u32, local: u32, remote: u32, keyed: u32, key: u32): u32 {
  const words = (local * 0x9e3779b1) ^ (remote * 0x85ebca77) ^ (key * 0xc2b2ae3d);
  return mix(words ^ ((protocol << 1) | keyed));
}

/** Spreads every bit of a word over all bits of the result. */
function mix(word: u32): u32 {
  let hash = word ^ (word >>> 15);
  hash *= 0x2c1b3c6d;
  hash ^= hash >>> 12;
  hash *= 0x297a2d39;
  return hash ^ (hash >>> 15);
}

/** OWN_OUTER and OWN_INNER of an address in the form of wire/address, 0 when it is not ours. */
export function ownFlags(image: usize, high: u64, low: u64): u32 {
  const words =
    (<u32>high * 0x9e3779b1) ^
    (<u32>(high >>> 32) * 0x85ebca77) ^
    (<u32>low * 0xc2b2ae3d) ^
    (<u32>(low >>> 32) * 0x27d4eb2f);
  const hash = mix(words);
  const own = <usize>load<u32>(image, IMAGE_OWN);
  const places = load<u32>(image, IMAGE_OWN_MASK);
  for (let step: u32 = 0; step <= places; step++) {
    const entry = own + ((hash + step) & places) * OWN_SIZE;
    const flags = load<u32>(entry, OWN_FLAGS);
    if (flags === 0) break;
    if (load<u64>(entry, OWN_ADDRESS) === high && load<u64>(entry, OWN_ADDRESS + 8) === low) {
      return flags;
    }
  }
  return 0;
}

/**
 * Whether the tunnel accepts an inner source: one of its prefixes holds it. An IPv6 prefix shorter than the
 * mapped form's own 96 bits, such as ::/0, holds IPv4 addresses by value but does not mean them.
 */
export function acceptsSource(record: usize, high: u64, low: u64): bool {
  const isIpv4 = isMapped(high, low);
  let prefix = <usize>load<u32>(record, RECORD_PREFIXES);
  const end = prefix + load<u32>(record, RECORD_PREFIX_COUNT) * PREFIX_SIZE;
  for (; prefix < end; prefix += PREFIX_SIZE) {
    const differs =
      ((high & load<u64>(prefix, PREFIX_MASK)) ^ load<u64>(prefix, PREFIX_ADDRESS)) |
      ((low & load<u64>(prefix, PREFIX_MASK + 8)) ^ load<u64>(prefix, PREFIX_ADDRESS + 8));
    if (differs === 0 && (!isIpv4 || load<u32>(prefix, PREFIX_MASK + 8) === 0xffffffff))
      return true;
  }
  return false;
}
