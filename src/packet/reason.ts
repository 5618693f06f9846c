import {
  REASON_CODEC_FAULT,
  REASON_ECN,
  REASON_ENCAP_LIMIT,
  REASON_GRE_CHECKSUM,
  REASON_GRE_RESERVED_BITS,
  REASON_GRE_ROUTING_PRESENT,
  REASON_GRE_SEQUENCE,
  REASON_GRE_TRUNCATED,
  REASON_GRE_VERSION,
  REASON_ICMP_MALFORMED,
  REASON_ICMP_NO_TUNNEL,
  REASON_INNER_DST_POLICY,
  REASON_INNER_HEADER,
  REASON_INNER_MARTIAN,
  REASON_INNER_SRC_SPOOF,
  REASON_INNER_TRUNCATED,
  REASON_INNER_TTL,
  REASON_INNER_VERSION,
  REASON_NESTING_LIMIT,
  REASON_NO_ROUTE,
  REASON_NO_TUNNEL,
  REASON_OUTER_FRAGMENT,
  REASON_OUTER_HEADER,
  REASON_OUTER_MARTIAN,
  REASON_QUEUE_FULL,
  REASON_TOO_BIG,
  REASON_TUNNEL_DOWN,
  REASON_TX_ENOBUFS,
  REASON_TX_ERROR,
  REASON_UDP_CHECKSUM,
  REASON_UDP_HEADER,
  REASON_UNKNOWN_PROTOCOL,
} from '../../asm/reason.js';

/** Every drop reason by its stable name: these names are metrics labels and JSON keys. */
export const REASON = {
  'no-tunnel': REASON_NO_TUNNEL,
  'outer-header': REASON_OUTER_HEADER,
  'outer-martian': REASON_OUTER_MARTIAN,
  'outer-fragment': REASON_OUTER_FRAGMENT,
  'gre-truncated': REASON_GRE_TRUNCATED,
  'gre-version': REASON_GRE_VERSION,
  'gre-routing-present': REASON_GRE_ROUTING_PRESENT,
  'gre-reserved-bits': REASON_GRE_RESERVED_BITS,
  'gre-checksum': REASON_GRE_CHECKSUM,
  'gre-sequence': REASON_GRE_SEQUENCE,
  'unknown-protocol': REASON_UNKNOWN_PROTOCOL,
  'udp-header': REASON_UDP_HEADER,
  'udp-checksum': REASON_UDP_CHECKSUM,
  'inner-truncated': REASON_INNER_TRUNCATED,
  'inner-version': REASON_INNER_VERSION,
  'inner-header': REASON_INNER_HEADER,
  'inner-martian': REASON_INNER_MARTIAN,
  'inner-src-spoof': REASON_INNER_SRC_SPOOF,
  'inner-dst-policy': REASON_INNER_DST_POLICY,
  'inner-ttl': REASON_INNER_TTL,
  'nesting-limit': REASON_NESTING_LIMIT,
  'encap-limit': REASON_ENCAP_LIMIT,
  ecn: REASON_ECN,
  'no-route': REASON_NO_ROUTE,
  'too-big': REASON_TOO_BIG,
  'tx-enobufs': REASON_TX_ENOBUFS,
  'tx-error': REASON_TX_ERROR,
  'queue-full': REASON_QUEUE_FULL,
  'icmp-malformed': REASON_ICMP_MALFORMED,
  'icmp-no-tunnel': REASON_ICMP_NO_TUNNEL,
  'tunnel-down': REASON_TUNNEL_DOWN,
  'codec-fault': REASON_CODEC_FAULT,
} as const;

export type Reason = keyof typeof REASON;

const NAMES: ReadonlyMap<number, Reason> = new Map(
  Object.entries(REASON).map(([name, number]) => [number, name as Reason]),
);

/** The name of a reason number, or null for 0 (forwarded). Throws RangeError for any other number. */
export function reasonName(number: number): Reason | null {
  if (number === 0) return null;
  const name = NAMES.get(number);
  if (name === undefined) throw new RangeError(`no drop reason has the number ${number}`);
  return name;
}
