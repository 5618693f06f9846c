// What was inside a tunnel packet: may it leave the tunnel, and how?
//
//   1. checkInner4/6    header sound, addresses possible
//   2. checkPolicy      addresses allowed from this tunnel, TTL; local.ts: does it end here?
//      checkFrame       of an Ethernet frame: the IP packet in it, where there is one
//   3. arrive           congestion seen on the way (RFC 6040), DSCP, TTL
//   4. putDeviceHeader  device-header.ts: what a kernel left open is left to the device
//   5. clampMss         mss.ts
import { putDeviceHeader } from './device-header';
import { ETHERNET_LENGTH, findIp, isGroupSource } from './frame';
import {
  DESCRIPTOR_ADDRESS,
  DESCRIPTOR_DEVICE_HEADER,
  DESCRIPTOR_INNER_LENGTH,
  DESCRIPTOR_IP,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_PAYLOAD_LENGTH,
  FLAG_ALLOW_ANY,
  FLAG_ALLOW_LINK_LOCAL,
  FLAG_ETHERNET,
  FLAG_TOS_IN,
  FLAG_TTL_IN,
  LOCAL_PROBE,
  OWN_INNER,
  OWN_OUTER,
  RECORD_FLAGS,
  RECORD_PROBE,
  STATE_ECN,
} from './layout';
import { endHere, fromOwn, isProbeAnswer } from './local';
import { clampMss } from './mss';
import {
  REASON_ECN,
  REASON_INNER_DST_POLICY,
  REASON_INNER_HEADER,
  REASON_INNER_MARTIAN,
  REASON_INNER_SRC_SPOOF,
  REASON_INNER_TRUNCATED,
  REASON_INNER_TTL,
  REASON_INNER_VERSION,
  REASON_NESTING_LIMIT,
  REASON_NONE,
} from './reason';
import { acceptsSource, ownFlags } from './table';
import { highOf, isLinkLocal6, isMulticast, isUnspecified6, lowOf } from './wire/address';
import { ECN_DROP, ECN_ECT_1, ECN_MASK, ECN_NOT_ECT, isOddEcn, mergeEcn } from './wire/ecn';
import {
  IPV4_DESTINATION,
  IPV4_LENGTH,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOS,
  IPV4_TTL,
  isLinkLocal4,
  isMartianDestination4,
  isMartianSource4,
  isSound4,
  isTunnelProtocol,
  setTos4,
  setTtl4,
  totalLength4,
  version,
} from './wire/ipv4';
import {
  IPV6_DESTINATION,
  IPV6_HOP_LIMIT,
  IPV6_LENGTH,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
  isMartianDestination6,
  isMartianSource6,
  isSound6,
  setTrafficClass,
  totalLength6,
  trafficClass,
} from './wire/ipv6';

/** What takes the place of an IP version where the tunnel carries Ethernet frames. */
export const CARRIES_ETHERNET: u32 = 1;

/**
 * Checks the `available` bytes at `inner` and makes them what the slot holds. `kind`: the IP version that they must
 * be of, or CARRIES_ETHERNET.
 */
export function leave(
  descriptor: usize,
  outer: usize,
  image: usize,
  record: usize,
  state: usize,
  inner: usize,
  available: u32,
  kind: u32,
): u32 {
  // The IP packet and its version; family 0: there is none in the frame.
  let ip = inner;
  let family = kind;
  let refusal: u32;
  if (kind === CARRIES_ETHERNET) {
    if (available < ETHERNET_LENGTH) return REASON_INNER_TRUNCATED;
    if (isGroupSource(inner)) return REASON_INNER_MARTIAN;
    const start = findIp(inner, available);
    ip += start;
    family = start === 0 ? 0 : version(ip);
    refusal = start === 0 ? REASON_NONE : checkFrame(image, record, ip, family);
  } else {
    if (available === 0) return REASON_INNER_TRUNCATED;
    if (version(inner) !== family) return REASON_INNER_VERSION;
    const fault =
      family === 4 ? checkInner4(record, inner, available) : checkInner6(inner, available);
    if (fault !== REASON_NONE) return fault;
    refusal = checkPolicy(descriptor, image, record, inner, family);
  }
  if (refusal !== REASON_NONE) return refusal;
  let length = available;
  if (family === 0) {
    store<u64>(descriptor, 0, DESCRIPTOR_DEVICE_HEADER); // all of its ten bytes
    store<u16>(descriptor, 0, DESCRIPTOR_DEVICE_HEADER + 8);
  } else {
    if (!arrive(record, state, outer, ip, family)) return REASON_ECN;
    const own = innerLength(ip, family);
    putDeviceHeader(descriptor, record, ip, own, family, <u32>(ip - inner));
    clampMss(record, ip, own, family, true);
    if (kind !== CARRIES_ETHERNET) length = own;
  }
  store<u32>(descriptor, <u32>inner, DESCRIPTOR_ADDRESS);
  store<u32>(descriptor, length, DESCRIPTOR_LENGTH);
  store<u32>(descriptor, 0, DESCRIPTOR_PAYLOAD_LENGTH);
  store<u32>(descriptor, length, DESCRIPTOR_INNER_LENGTH);
  store<u32>(descriptor, family | ((<u32>(ip - inner)) << 8), DESCRIPTOR_IP);
  return REASON_NONE;
}

/** What a sound inner packet says its length is: bytes behind it are padding. */
export function innerLength(inner: usize, family: u32): u32 {
  return family === 4 ? totalLength4(inner) : totalLength6(inner);
}

/** Whether an inner IPv4 header is sound and its addresses are possible in another network. */
function checkInner4(record: usize, inner: usize, available: u32): u32 {
  if (available < IPV4_LENGTH) return REASON_INNER_TRUNCATED;
  if (!isSound4(inner, available)) return REASON_INNER_HEADER;
  const source = inner + IPV4_SOURCE;
  const destination = inner + IPV4_DESTINATION;
  if (isMartianSource4(source)) return REASON_INNER_MARTIAN;
  if (isMartianDestination4(destination)) return REASON_INNER_MARTIAN;
  if (isLinkLocal4(source) || isLinkLocal4(destination)) {
    if (!(load<u32>(record, RECORD_FLAGS) & FLAG_ALLOW_LINK_LOCAL)) return REASON_INNER_MARTIAN;
  }
  return REASON_NONE;
}

/** The same for IPv6, whose header has no checksum. */
function checkInner6(inner: usize, available: u32): u32 {
  if (available < IPV6_LENGTH) return REASON_INNER_TRUNCATED;
  if (!isSound6(inner, available)) return REASON_INNER_HEADER;
  const destinationHigh = load<u64>(inner, IPV6_DESTINATION);
  const destinationLow = load<u64>(inner, IPV6_DESTINATION + 8);
  const sourceHigh = load<u64>(inner, IPV6_SOURCE);
  const sourceLow = load<u64>(inner, IPV6_SOURCE + 8);
  if (isMartianSource6(sourceHigh, sourceLow, destinationHigh)) return REASON_INNER_MARTIAN;
  if (isMartianDestination6(destinationHigh, destinationLow)) return REASON_INNER_MARTIAN;
  return REASON_NONE;
}

/** What this tunnel may send us. */
function checkPolicy(
  descriptor: usize,
  image: usize,
  record: usize,
  inner: usize,
  family: u32,
): u32 {
  const is4 = family === 4;
  const source = inner + (is4 ? IPV4_SOURCE : IPV6_SOURCE);
  const destination = inner + (is4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  const claimed = ownFlags(image, source, family);
  if (claimed) return fromOwn(descriptor, image, record, inner, family, claimed);
  const own = ownFlags(image, destination, family);
  if (own & OWN_OUTER) {
    // A tunnel packet inside a tunnel packet would reach the tunnel past the underlay's filters.
    const next = is4 ? <u32>load<u8>(inner, IPV4_PROTOCOL) : <u32>load<u8>(inner, IPV6_NEXT_HEADER);
    return isTunnelProtocol(next) ? REASON_NESTING_LIMIT : REASON_INNER_DST_POLICY;
  }
  if (!(load<u32>(record, RECORD_FLAGS) & FLAG_ALLOW_ANY)) {
    // Those that stay on this link got here only with a link-local destination.
    if (!acceptsSource(record, source, family) && !staysOnLink(source, family)) {
      return REASON_INNER_SRC_SPOOF;
    }
  }
  const ttl = is4 ? <u32>load<u8>(inner, IPV4_TTL) : <u32>load<u8>(inner, IPV6_HOP_LIMIT);
  if (ttl <= 1) {
    // A router would have to drop it (RFC 1812, 5.3.1). What ends here is not forwarded.
    const endsHere =
      own !== 0 || isMulticast(highOf(destination, family), lowOf(destination, family));
    if (ttl === 0 || !endsHere) return REASON_INNER_TTL;
  }
  if (own & OWN_INNER && load<u16>(record, RECORD_PROBE) !== 0) {
    if (isProbeAnswer(record, inner, family)) {
      return endHere(descriptor, LOCAL_PROBE, inner, innerLength(inner, family));
    }
  }
  return REASON_NONE;
}

/**
 * What the IP packet of a frame may be. A segment is no border between networks: what is judged is whether it came
 * from where the tunnel accepts sources, and whether it is a tunnel packet for us again.
 */
function checkFrame(image: usize, record: usize, inner: usize, family: u32): u32 {
  const is4 = family === 4;
  const source = inner + (is4 ? IPV4_SOURCE : IPV6_SOURCE);
  const destination = inner + (is4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  if (ownFlags(image, destination, family) & OWN_OUTER) {
    const next = is4 ? <u32>load<u8>(inner, IPV4_PROTOCOL) : <u32>load<u8>(inner, IPV6_NEXT_HEADER);
    if (isTunnelProtocol(next)) return REASON_NESTING_LIMIT;
  }
  if (load<u32>(record, RECORD_FLAGS) & FLAG_ALLOW_ANY) return REASON_NONE;
  if (acceptsSource(record, source, family) || staysOnLink(source, family)) return REASON_NONE;
  return REASON_INNER_SRC_SPOOF;
}

/** Whether nobody on another link can have this source: fe80::/10, and :: of who has no address yet. */
function staysOnLink(source: usize, family: u32): bool {
  if (family === 4) return false;
  const high = highOf(source, family);
  return isLinkLocal6(high) || isUnspecified6(high, lowOf(source, family));
}

/** Writes what the way left in the outer header into the inner one. Returns false when the packet must be dropped. */
function arrive(record: usize, state: usize, outer: usize, inner: usize, family: u32): bool {
  const over4 = version(outer) === 4;
  const outerTos = over4 ? <u32>load<u8>(outer, IPV4_TOS) : trafficClass(outer);
  const flags = load<u32>(record, RECORD_FLAGS);
  if ((outerTos & ECN_MASK) === ECN_NOT_ECT && !(flags & (FLAG_TOS_IN | FLAG_TTL_IN))) return true;

  const tos = family === 4 ? <u32>load<u8>(inner, IPV4_TOS) : trafficClass(inner);
  const ecn = mergeEcn(outerTos & ECN_MASK, tos & ECN_MASK);
  if (ecn === ECN_DROP) return false;
  if (isOddEcn(outerTos & ECN_MASK, tos & ECN_MASK)) {
    noteEcn(state, outerTos & ECN_MASK, tos & ECN_MASK);
  }
  const after = ((flags & FLAG_TOS_IN ? outerTos : tos) & ~ECN_MASK) | ecn;
  if (after !== tos) {
    if (family === 4) setTos4(inner, after);
    else setTrafficClass(inner, after);
  }
  if (flags & FLAG_TTL_IN && !(flags & FLAG_ETHERNET)) {
    const ttl = over4 ? <u32>load<u8>(outer, IPV4_TTL) : <u32>load<u8>(outer, IPV6_HOP_LIMIT);
    lowerTtl(inner, family, ttl);
  }
  return true;
}

/** Counts a pair of ECN fields that is passed on but worth a word in the log (RFC 6040, 4.2). */
function noteEcn(state: usize, outer: u32, inner: u32): void {
  atomic.add<u32>(state + ((((outer - ECN_ECT_1) << 2) | inner) << 2), 1, STATE_ECN);
}

/** Writes `ttl` where the packet has more left. */
function lowerTtl(inner: usize, family: u32, ttl: u32): void {
  if (family === 4) {
    if (ttl < <u32>load<u8>(inner, IPV4_TTL)) setTtl4(inner, ttl);
  } else if (ttl < <u32>load<u8>(inner, IPV6_HOP_LIMIT)) {
    store<u8>(inner, <u8>ttl, IPV6_HOP_LIMIT);
  }
}
