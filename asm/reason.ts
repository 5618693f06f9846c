// Why a packet was not forwarded. Read by both compilers: integers only.
// Every packet ends as forwarded (0), local, or exactly one of these. Names are in src/packet/reason.ts.

export const REASON_NONE = 0;

// no tunnel took it
export const REASON_NO_TUNNEL = 1;
export const REASON_OUTER_HEADER = 2;
export const REASON_OUTER_MARTIAN = 3;
export const REASON_OUTER_FRAGMENT = 4;
export const REASON_GRE_TRUNCATED = 5;
export const REASON_GRE_VERSION = 6;
export const REASON_GRE_ROUTING_PRESENT = 7;
export const REASON_GRE_RESERVED_BITS = 8;

// the tunnel refused it
export const REASON_GRE_CHECKSUM = 9;
export const REASON_GRE_SEQUENCE = 10;
export const REASON_UNKNOWN_PROTOCOL = 11;
export const REASON_UDP_HEADER = 12;
export const REASON_UDP_CHECKSUM = 13;
export const REASON_INNER_TRUNCATED = 14;
export const REASON_INNER_VERSION = 15;
export const REASON_INNER_HEADER = 16;
export const REASON_INNER_MARTIAN = 17;
export const REASON_INNER_SRC_SPOOF = 18;
export const REASON_INNER_DST_POLICY = 19;
export const REASON_INNER_TTL = 20;
export const REASON_NESTING_LIMIT = 21;
export const REASON_ENCAP_LIMIT = 22;
export const REASON_ECN = 23;

// it could not be sent or delivered
export const REASON_NO_ROUTE = 24;
export const REASON_TOO_BIG = 25;
export const REASON_TX_ENOBUFS = 26;
export const REASON_TX_ERROR = 27;
export const REASON_QUEUE_FULL = 28;
export const REASON_ICMP_MALFORMED = 29;
export const REASON_ICMP_NO_TUNNEL = 30;
export const REASON_TUNNEL_DOWN = 31;
export const REASON_CODEC_FAULT = 32; // the codec build trapped on it or left an impossible descriptor

export const REASON_COUNT = 33;
/**
 * No drop: a numbered packet that came before another which is still missing. The lane keeps a copy, and brings it
 * again when its turn comes; only then it counts as what became of it.
 */
export const REASON_EARLY = 46;

/** No drop: the packet ended at the router itself. The last of the counters. */
export const REASON_LOCAL = 47;

/** Counters kept for reasons in a counter row: room to grow without moving the layout. */
export const REASON_CAPACITY = 48;
