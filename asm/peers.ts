// Tunnels with several at their far end: peers that are told apart by what is behind them, and groups of receivers.
//
// Which peer has a destination: one probe for each length of prefix in use, the longest first. The host files the
// prefixes (src/tunnel/table.ts) and computes the same hashes.
import {
  DESCRIPTOR_TUNNEL,
  FLAG_ALLOW_ANY,
  FLAG_ETHERNET,
  IMAGE_ROUTE_MASK,
  IMAGE_ROUTES,
  NO_TUNNEL,
  RECORD_DEFAULT,
  RECORD_LENGTHS,
  ROUTE_ADDRESS,
  ROUTE_BITS,
  ROUTE_PEER,
  ROUTE_SIZE,
  ROUTE_TUNNEL,
} from './layout';
import { acceptsSource, hashAddress, mix, ownFlags, recordAt } from './table';
import { highOf, isMapped, lowOf } from './wire/address';
import { IPV4_DESTINATION, IPV4_SOURCE } from './wire/ipv4';
import { IPV6_DESTINATION, IPV6_SOURCE } from './wire/ipv6';

/** Lengths of IPv4 prefixes, 96 + 0..32, in the word of those from 65 to 128. */
const LENGTHS_IPV4: u64 = 0x1_ffff_ffff;

/**
 * The record of the peer that a packet is for, which the descriptor names from here on; the tunnel's own where no peer
 * has its destination: that leads nowhere. But for whom they accept, peers are as their tunnel is.
 */
export function choosePeer(
  descriptor: usize,
  image: usize,
  tunnel: u32,
  inner: usize,
  family: u32,
): u32 {
  const destination = inner + (family === 4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  const peer = peerFor(image, tunnel, destination, family);
  if (peer === NO_TUNNEL) return tunnel;
  store<u32>(descriptor, peer, DESCRIPTOR_TUNNEL);
  return peer;
}

/** The record of the peer that the address at `destination` is behind, or NO_TUNNEL. `tunnel`: record of the tunnel. */
function peerFor(image: usize, tunnel: u32, destination: usize, family: u32): u32 {
  const record = recordAt(image, tunnel);
  const high = highOf(destination, family);
  const low = lowOf(destination, family);
  let lengths = load<u64>(record, RECORD_LENGTHS + 8);
  if (family === 4) lengths &= LENGTHS_IPV4;
  // Never on the wire (RFC 4213, 3.6), and no peer's to have.
  else if (isMapped(high, low)) return NO_TUNNEL;
  for (; lengths !== 0; lengths &= lengths - 1) {
    const bits = 64 - <u32>ctz(lengths);
    const peer = probeRoute(image, tunnel, high, low & maskOf(bits), 64 + bits);
    if (peer !== NO_TUNNEL) return peer;
  }
  if (family === 4) return NO_TUNNEL;
  for (lengths = load<u64>(record, RECORD_LENGTHS); lengths !== 0; lengths &= lengths - 1) {
    const bits = 64 - <u32>ctz(lengths);
    const peer = probeRoute(image, tunnel, high & maskOf(bits), 0, bits);
    if (peer !== NO_TUNNEL) return peer;
  }
  return load<u32>(record, RECORD_DEFAULT);
}

/** The first `bits` of eight wire bytes, 1..64, as a load finds them. */
function maskOf(bits: u32): u64 {
  return bswap<u64>((<u64>-1) << (64 - bits));
}

/** The peer of this very prefix, or NO_TUNNEL. */
function probeRoute(image: usize, tunnel: u32, high: u64, low: u64, bits: u32): u32 {
  const routes = <usize>load<u32>(image, IMAGE_ROUTES);
  const places = load<u32>(image, IMAGE_ROUTE_MASK);
  const hash = mix(hashAddress(high, low) ^ ((tunnel << 8) | bits));
  for (let step: u32 = 0; step <= places; step++) {
    const place = routes + ((hash + step) & places) * ROUTE_SIZE;
    const owner = load<u32>(place, ROUTE_TUNNEL);
    if (owner === NO_TUNNEL) break;
    if (owner !== tunnel || load<u32>(place, ROUTE_BITS) !== bits) continue;
    if (load<u64>(place, ROUTE_ADDRESS) !== high) continue;
    if (load<u64>(place, ROUTE_ADDRESS + 8) === low) return load<u32>(place, ROUTE_PEER);
  }
  return NO_TUNNEL;
}

/**
 * Whether a packet comes from a group of receivers and would go back to it: every router of the group that forwards
 * packets would do so, again and again. It is told by its source, which the tunnel accepts from others. A bridge sends no
 * frame back to where it came from.
 */
export function isBack(image: usize, record: usize, flags: u32, inner: usize, family: u32): bool {
  if (flags & (FLAG_ETHERNET | FLAG_ALLOW_ANY)) return false;
  const source = inner + (family === 4 ? IPV4_SOURCE : IPV6_SOURCE);
  if (ownFlags(image, source, family) !== 0) return false;
  return acceptsSource(record, source, family);
}
