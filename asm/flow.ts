// The flow of an inner packet, as the source port of GRE-in-UDP tells it to the network: the same for all packets
// of a flow (RFC 8086, 3.2.1).
import { mix } from './tunnel';
import { load32 } from './wire/bytes';
import {
  headerLength4,
  IPV4_DESTINATION,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  isFragment4,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from './wire/ipv4';
import { IPV6_DESTINATION, IPV6_LENGTH, IPV6_NEXT_HEADER, IPV6_SOURCE } from './wire/ipv6';

/** First port of the range that source ports come from: 14 bits of it are the flow's (RFC 8086, 2.1.1). */
const SOURCE_PORT_BASE: u32 = 0xc000;

/** Source port of packets with sequence numbers: ways of their own for each flow would change their order. */
export const ORDERED_PORT: u32 = SOURCE_PORT_BASE;

const HASH_SOURCE: u32 = 0x9e3779b1;
const HASH_DESTINATION: u32 = 0x85ebca77;
const HASH_PORTS: u32 = 0xc2b2ae3d;
const HASH_WORD: u32 = 0x27d4eb2f;

/** The source port for the sound packet of `length` bytes at `inner`. `family`: 4 or 6. */
export function flowPort(inner: usize, length: u32, family: u32): u32 {
  let source: u32;
  let destination: u32;
  let protocol: u32;
  let start: u32;
  if (family === 4) {
    source = load32(inner + IPV4_SOURCE);
    destination = load32(inner + IPV4_DESTINATION);
    protocol = <u32>load<u8>(inner, IPV4_PROTOCOL);
    // No fragment has ports of its own but the first, so none is told by them.
    start = isFragment4(inner) ? length : headerLength4(inner);
  } else {
    source = hashAddress6(inner + IPV6_SOURCE);
    destination = hashAddress6(inner + IPV6_DESTINATION);
    protocol = <u32>load<u8>(inner, IPV6_NEXT_HEADER);
    start = IPV6_LENGTH;
  }
  const hasPorts = (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) && start + 4 <= length;
  const ports = hasPorts ? load32(inner + start) : 0;
  const words = (source * HASH_SOURCE) ^ (destination * HASH_DESTINATION) ^ (ports * HASH_PORTS);
  return SOURCE_PORT_BASE | (mix(words ^ protocol) >>> 18);
}

function hashAddress6(address: usize): u32 {
  let word = load32(address);
  word = (word * HASH_WORD) ^ load32(address + 4);
  word = (word * HASH_WORD) ^ load32(address + 8);
  return (word * HASH_WORD) ^ load32(address + 12);
}
