// The flow of an inner packet, as the source port of GRE-in-UDP and the flow label tell it to the network: the same for
// all packets of a flow (RFC 8086, 3.2.1; RFC 6438, 2).
import { mix } from './table';
import { load32 } from './wire/bytes';
import {
  headerLength4,
  IPV4_DESTINATION,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  isFragment4,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  totalLength4,
} from './wire/ipv4';
import {
  IPV6_DESTINATION,
  IPV6_LENGTH,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
  totalLength6,
} from './wire/ipv6';

/** First port of the range that source ports come from: 14 bits of it are the flow's (RFC 8086, 2.1.1). */
const SOURCE_PORT_BASE: u32 = 0xc000;

const HASH_SOURCE: u32 = 0x9e3779b1;
const HASH_DESTINATION: u32 = 0x85ebca77;
const HASH_PORTS: u32 = 0xc2b2ae3d;
const HASH_WORD: u32 = 0x27d4eb2f;

/** The source port of the flow with this hash. */
export function flowPort(hash: u32): u32 {
  return SOURCE_PORT_BASE | (hash >>> 18);
}

/** Its flow label, as it lies in the first word of a header when loaded: 20 bits of the hash, never 0. */
export function hashedLabel(hash: u32): u32 {
  const label = hash >>> 12;
  return bswap<u32>(label === 0 ? 1 : label);
}

/** What tells the flow of the sound packet at `inner` from others. `family`: 4 or 6; 0: no packet, one flow. */
export function hashFlow(inner: usize, family: u32): u32 {
  if (family === 0) return 0;
  let source: u32;
  let destination: u32;
  let protocol: u32;
  let start: u32;
  let length: u32;
  if (family === 4) {
    source = load32(inner + IPV4_SOURCE);
    destination = load32(inner + IPV4_DESTINATION);
    protocol = <u32>load<u8>(inner, IPV4_PROTOCOL);
    // No fragment has ports of its own but the first, so none is told by them.
    length = totalLength4(inner);
    start = isFragment4(inner) ? length : headerLength4(inner);
  } else {
    source = hashAddress6(inner + IPV6_SOURCE);
    destination = hashAddress6(inner + IPV6_DESTINATION);
    protocol = <u32>load<u8>(inner, IPV6_NEXT_HEADER);
    start = IPV6_LENGTH;
    length = totalLength6(inner);
  }
  const hasPorts = (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) && start + 4 <= length;
  const ports = hasPorts ? load32(inner + start) : 0;
  const words = (source * HASH_SOURCE) ^ (destination * HASH_DESTINATION) ^ (ports * HASH_PORTS);
  return mix(words ^ protocol);
}

function hashAddress6(address: usize): u32 {
  let word = load32(address);
  word = (word * HASH_WORD) ^ load32(address + 4);
  word = (word * HASH_WORD) ^ load32(address + 8);
  return (word * HASH_WORD) ^ load32(address + 12);
}
