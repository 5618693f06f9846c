// Where everything lies in the dataplane's memory. Read by both compilers: integers only.
//
// Offsets and sizes are bytes; all fields are little-endian in host order unless a line says "wire".
//
//   control | tunnel states | table image 0 | table image 1 | lane 0 | lane 1 | ...
//
// The host plans the regions (src/ring/plan.ts) and writes their addresses into control, images
// and rings; the codec finds everything from the address of a ring.
//
//   region         writer                                   readers
//   control        host main thread                         codec, host
//   next hops      host main thread, while it is not named  lanes, asm/xdp.ts
//   table image    host main thread, while it is not live   codec, once CONTROL_TABLE names it
//   tunnel state   codec (atomic where lanes share a field) host, for display and log; PATH_MTU the other way round
//   ring           the lane that owns it                    the same lane
//   counters       the lane that owns them                  host main thread
//   trace, capture the lane that owns it, the host what it asks for (src/ring/trace-ring.ts, capture-ring.ts)
//   recorder       the lane that owns it (recorder-layout.ts)      host main thread

/** Raised whenever a layout, an export or the meaning of one changes. A codec build states its own. */
export const ABI_VERSION = 6;

/** Most tunnels a router holds: ten thousand and room to reload. Record 0 means "no tunnel". */
export const TUNNEL_CAPACITY = 16384;
export const NO_TUNNEL = 0;

// ---- Control: one block at address 0 ----

export const CONTROL_TABLE = 64; // u32, atomic: address of the live table image
export const CONTROL_NEXT_HOPS = 68; // u32: address of the next hops, TUNNEL_CAPACITY u32; 0 = none are kept
export const CONTROL_SIZE = 4096;

// ---- Next hops: which Ethernet header the packets of a tunnel get, for underlays that write one ----
//
// Of each tunnel record one u32, atomic: address of an adjacency, or 0 while it is not known. An adjacency never
// changes while a next hop names it: a new one is written elsewhere.

export const ADJACENCY_HEADER = 0; // 14 bytes: Ethernet header, wire
export const ADJACENCY_DEVICE = 16; // u32: number of the device, in the order the host has them
export const ADJACENCY_MTU = 20; // u32: longest packet that the way takes, Ethernet header not counted
export const ADJACENCY_SIZE = 32;
/** One for each tunnel, and as many while they change. */
export const ADJACENCY_CAPACITY = 32768;

// ---- Table image: everything the codec looks up, built by the host, published by CONTROL_TABLE ----

export const IMAGE_GENERATION = 0; // u32: grows by one with every publication
export const IMAGE_RECORDS = 4; // u32: address of record 0
export const IMAGE_RECORD_COUNT = 8; // u32: records in use, record 0 included
export const IMAGE_BUCKETS = 12; // u32: address of the lookup buckets
export const IMAGE_BUCKET_MASK = 16; // u32: bucket count - 1 (a power of two minus one)
export const IMAGE_OWN = 20; // u32: address of the set of own addresses
export const IMAGE_OWN_MASK = 24; // u32: own slots - 1 (a power of two minus one)
export const IMAGE_PASSES = 28; // u32: bit n set when pass n of the lookup can match something
export const IMAGE_ROUTES = 32; // u32: address of the routes to peers
export const IMAGE_ROUTE_MASK = 36; // u32: route places - 1 (a power of two minus one)
export const IMAGE_HEADER_SIZE = 64;

/** Lookup passes, most specific first (semantics of ip_tunnel_lookup). Numbers are bits of IMAGE_PASSES. */
export const PASS_EXACT = 0; // local, remote, key
export const PASS_ANY_LOCAL = 1; // remote, key
export const PASS_ANY_REMOTE = 2; // local, key
export const PASS_ANY = 3; // key, by value only

/** A lookup bucket: open addressing, linear probing, record 0 = free. */
export const BUCKET_HASH = 0; // u32
export const BUCKET_RECORD = 4; // u32: record index
export const BUCKET_SIZE = 8;

/** An own address: open addressing, linear probing, OWN_FLAGS 0 = free. */
export const OWN_ADDRESS = 0; // 16 bytes, wire; IPv4 as ::ffff:a.b.c.d
export const OWN_FLAGS = 16; // u32: OWN_OUTER, OWN_INNER
export const OWN_SIZE = 32;
export const OWN_OUTER = 1; // local endpoint of a tunnel
export const OWN_INNER = 2; // address of a tunnel device

/** An accepted inner source prefix: address & mask, as 16 wire bytes each; IPv4 as ::ffff:a.b.c.d/96+n. */
export const PREFIX_ADDRESS = 0;
export const PREFIX_MASK = 16;
export const PREFIX_SIZE = 32;

/**
 * A network behind a peer of a tunnel: open addressing, linear probing, ROUTE_TUNNEL 0 = free. Found by the tunnel, the
 * length of the prefix and the destination's bits of it.
 */
export const ROUTE_ADDRESS = 0; // 16 bytes, wire, host bits 0; IPv4 as ::ffff:a.b.c.d
export const ROUTE_TUNNEL = 16; // u32: record of the tunnel
export const ROUTE_BITS = 20; // u32: 1..128; IPv4 as 96+n
export const ROUTE_PEER = 24; // u32: record of the peer
export const ROUTE_SIZE = 32;

// ---- Tunnel record ----
//
// A tunnel with peers has a record that its device's packets begin with and that receives nothing, and one for each
// peer. Records of peers lie behind those of all tunnels.

export const RECORD_MODE = 0; // u32: MODE_*, 0 = no such tunnel
export const RECORD_FLAGS = 4; // u32: FLAG_*
export const RECORD_MTU = 8; // u32: largest inner packet
export const RECORD_LINK = 12; // u32: index of the device it is bound to, 0 = any
export const RECORD_LOCAL = 16; // 16 bytes, wire: outer destination of its packets, IPv4 as ::ffff:a.b.c.d, 0 = any
export const RECORD_REMOTE = 32; // 16 bytes, wire: outer source of its packets, 0 = any
export const RECORD_KEY_IN = 48; // u32, with FLAG_KEY_IN
export const RECORD_PREFIXES = 52; // u32: address of the first accepted prefix
export const RECORD_PREFIX_COUNT = 56; // u32
export const RECORD_OUTER_LENGTH = 60; // u32: bytes of the outer header template in use
export const RECORD_OUTER = 64; // wire, 80 bytes: outer header template, checksum and per-packet fields 0; UDP source port 0: the flow's
export const RECORD_GRE = 144; // u16: where in the template the GRE header begins, 0 = there is none
export const RECORD_MSS4 = 146; // u16: largest TCP segment over IPv4, 0 = not limited
export const RECORD_MSS6 = 148; // u16: over IPv6
export const RECORD_PROBE = 150; // u16: identifier of the echo requests that probe the peer, 0 = none are sent
export const RECORD_LENGTHS = 152; // 2 u64, of a tunnel with peers: lengths of its prefixes, 64..1 and 128..65, the longest in bit 0
export const RECORD_DEFAULT = 168; // u32: record of the peer that has ::/0, 0 = none
export const RECORD_PROBE_TARGET = 176; // 16 bytes, wire: whom they ask, IPv4 as ::ffff:a.b.c.d
export const RECORD_SIZE = 192;

export const MODE_GRE = 1;
export const MODE_IPIP = 2; // IPv4 inside
export const MODE_SIT = 3; // IPv6 inside
export const MODE_GRE_UDP = 4;
export const MODE_GRETAP = 5;
/** Added to a mode: its outer header is IPv6. */
export const MODE_OVER6 = 8;

export const FLAG_KEY_IN = 0x0001; // packets must carry RECORD_KEY_IN
export const FLAG_CHECKSUM_OUT = 0x0002;
export const FLAG_SEQUENCE_IN = 0x0004;
export const FLAG_SEQUENCE_OUT = 0x0008;
export const FLAG_TTL_INHERIT = 0x0010;
export const FLAG_TOS_INHERIT = 0x0020;
export const FLAG_PMTUDISC = 0x0040; // outer DF always set; otherwise copied from the inner header
export const FLAG_ALLOW_ANY = 0x0080; // inner source not checked against prefixes
export const FLAG_ALLOW_LINK_LOCAL = 0x0100; // 169.254.0.0/16 inside is no martian here
export const FLAG_UP = 0x0200;
export const FLAG_OVER6 = 0x0400; // the outer header is IPv6
export const FLAG_ETHERNET = 0x0800; // frames inside, not packets
export const FLAG_ONLY4 = 0x1000; // IPv4 inside
export const FLAG_ONLY6 = 0x2000; // IPv6 inside
export const FLAG_IGNORE_DF = 0x4000; // outer DF not copied from the inner header
export const FLAG_ECN_COMPATIBILITY = 0x8000; // outer ECN bits 0 (RFC 6040, 4.1)
export const FLAG_TTL_IN = 0x10000; // inner TTL on arrival: the outer one where that is less
export const FLAG_TOS_IN = 0x20000; // inner DSCP on arrival: the outer one
export const FLAG_ENCAP_LIMIT = 0x40000; // the template has a destination options header (RFC 2473, 4.1)
export const FLAG_FLOW_INHERIT = 0x80000; // outer flow label: that of inner IPv6
export const FLAG_FLOW_HASH = 0x10000000; // outer flow label: of the inner flow (RFC 6438)
export const FLAG_LINUX = 0x100000; // profile linux
export const FLAG_CHECKSUM_IN = 0x200000; // GRE packets have a checksum, asked for by profile linux
export const FLAG_UDP = 0x400000; // a UDP header in front of the GRE header
export const FLAG_PEERS = 0x800000; // packets go to its peers, and come from them alone
export const FLAG_GROUP = 0x2000000; // the remote is a multicast group
export const FLAG_REORDER = 0x1000000; // numbered packets that come early wait for those before them
export const FLAG_REFLECT = 0x4000000; // echo replies from our own inner addresses go back into the tunnel
export const FLAG_KEEPALIVE = 0x8000000; // keepalives are sent: GRE packets of protocol type 0 answer them

/** State of a tunnel that outlives a table image. */
export const STATE_TX_SEQUENCE = 0; // u32, atomic add: next sequence number to send (RFC 2890, 2.2)
export const STATE_IDENT = 4; // u32, atomic add: next IPv4 identification where DF is clear (RFC 6864)
export const STATE_RX_SYNCED = 8; // u32: 1 once a numbered packet was accepted
export const STATE_RX_NEXT = 12; // u32: sequence number after the last accepted one
export const STATE_STALE_NEXT = 16; // u32: number that would continue a run of old packets
export const STATE_STALE_COUNT = 20; // u32: length of that run
export const STATE_PATH_MTU = 24; // u32, atomic, host: largest inner packet that the path is known to take, 0 = not known
export const STATE_ECN = 32; // 8 u32, atomic: packets passed on by an odd pair of ECN fields, see there
export const STATE_SIZE = 64;

/** Index among the counters of STATE_ECN: outer ECT(1), then outer ECT(0), each by the inner field. */
export const ECN_PAIRS = 8;

/**
 * Old packets in unbroken sequence after which the receiver follows the sender: a peer that restarted
 * counts from 0 again, and without this 2^31 packets would be lost (RFC 2890 names no way back).
 */
export const RESYNC_COUNT = 8;

// ---- Ring: slots of one direction of one lane, three free-running cursors ----
//
//   field      writer            meaning
//   FILLED     the filling end   slots below it hold a packet and a descriptor
//   PROCESSED  codec             slots below it have a reason (0 = to be forwarded)
//   DRAINED    codec, in settle  slots below it are counted and free again
//
// DRAINED <= PROCESSED <= FILLED <= DRAINED + capacity, in arithmetic modulo 2^32.
// The cursors lie 128 bytes apart: two ends on two cores never share a cache line (or its neighbour).

export const RING_DIRECTION = 0; // u32: DIRECTION_*
export const RING_MASK = 4; // u32: slot count - 1 (a power of two minus one)
export const RING_SLOTS = 8; // u32: address of slot 0
export const RING_DESCRIPTORS = 12; // u32: address of descriptor 0
export const RING_COUNTERS = 16; // u32: address of the lane's counters
export const RING_STATES = 20; // u32: address of the state of tunnel 0
export const RING_FLOWS = 24; // u32: address of FLOWS_SIZE bytes that coalesce works in
export const RING_FILLED = 128; // u32
export const RING_PROCESSED = 256; // u32
export const RING_DRAINED = 384; // u32
export const RING_HEADER_SIZE = 512;

export const DIRECTION_ENCAP = 0;
export const DIRECTION_DECAP = 1;

// A packet is one piece at ADDRESS, or two when PAYLOAD_LENGTH is not 0: headers at ADDRESS and the rest at
// PAYLOAD, as the segments of a superpacket share the payload that the device wrote once. On the decap side the
// first piece of two is an outer header alone (IPv4 20 or IPv6 40, and UDP 8), which a socket had taken off; the
// datagrams of one receive call share it.
export const DESCRIPTOR_ADDRESS = 0; // u32: where the packet starts
export const DESCRIPTOR_LENGTH = 4; // u32: bytes at ADDRESS
export const DESCRIPTOR_TUNNEL = 8; // u32: record index; encap: the host's, decap: the codec's
export const DESCRIPTOR_REASON = 12; // u32: REASON_*
export const DESCRIPTOR_INNER_LENGTH = 16; // u32: bytes of the inner packets, for the counters
export const DESCRIPTOR_LINK = 20; // u32: index of the device it came from, 0 = not known
export const DESCRIPTOR_PAYLOAD = 24; // u32: address of the second piece
export const DESCRIPTOR_PAYLOAD_LENGTH = 28; // u32: bytes of the second piece, 0 = there is none
export const DESCRIPTOR_DEVICE_HEADER = 32; // DEVICE_HEADER_SIZE bytes, see there
export const DESCRIPTOR_PACKETS = 42; // u16: packets on the wire that it stands for, 1 unless a superpacket
export const DESCRIPTOR_SUM = 44; // u32: encap: folded sum of the inner packet, 0 = not known
export const DESCRIPTOR_IP = 44; // u32: decap: IP version of the packet, 0 = none; from bit 8 on, where in a frame it begins
export const DESCRIPTOR_LOCAL = 44; // u32: decap: of a packet with REASON_LOCAL, what it was: LOCAL_*
export const DESCRIPTOR_EMIT = 48; // u16: decap: 1 + slot index of what is written in its turn, 0 = nothing
export const DESCRIPTOR_NEXT = 50; // u16: decap: 1 + slot index of the packet whose payload follows, 0 = none
export const DESCRIPTOR_MERGED = 52; // 12 bytes: what merging overwrote in the first packet of a run
export const DESCRIPTOR_SIZE = 64;

// What ended at the router itself, and what ADDRESS and LENGTH name of it.
export const LOCAL_KEEPALIVE = 1; // the peer's keepalive: the inner packet, to be sent to the peer as it is
export const LOCAL_ANSWER = 2; // answer to ours: what is behind its GRE header, possibly nothing
export const LOCAL_PROBE = 3; // answer to a probe of ours: the inner packet
export const LOCAL_REFLECT = 4; // an echo reply from our own inner address: the inner packet, to go back into the tunnel

/** Slots of a ring. Twice the largest batch, so that one batch can be filled while one is drained. */
export const SLOT_COUNT = 256;
/** Free bytes before a packet that was filled in: the outer header template (80) and room to align. */
export const SLOT_HEADROOM = 128;
/** Largest packet in a slot: an IP packet merged by the kernel's GRO. */
export const SLOT_PACKET = 65535;
/**
 * Distance of slots: headroom + largest packet, rounded up to pages, plus 192 so that the headers of
 * consecutive slots fall into different sets of the first-level cache (a whole number of pages would
 * put all of them into the same one).
 */
export const SLOT_STRIDE = 69824;

/**
 * Most segments that one packet of a device stands for: the devices are told so (gso_max_segs), and the
 * filling end keeps as many slots free before each read. 64 of the usual 1436 bytes are more than the
 * 64 KB of a superpacket.
 */
export const SEGMENT_LIMIT = 64;

// struct virtio_net_hdr, little-endian: what a TUN device says of a packet it hands over, and is told of one
// it gets. flags u8 | gso_type u8 | hdr_len u16 | gso_size u16 | csum_start u16 | csum_offset u16
export const DEVICE_HEADER_SIZE = 10;
export const DEVICE_GSO_TYPE = 1;
export const DEVICE_HEADER_LENGTH = 2;
export const DEVICE_GSO_SIZE = 4;
export const DEVICE_CHECKSUM_START = 6;
export const DEVICE_CHECKSUM_OFFSET = 8;
export const NEEDS_CHECKSUM = 1; // flags: the checksum field holds the pseudo-header sum alone
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_UDP = 5; // datagrams of gso_size bytes (SKB_GSO_UDP_L4)

// ---- Flows of a decap batch: what coalesce remembers of it, nothing from one batch to the next ----

export const FLOW_PLACES = 512; // u16 each: 1 + slot index of the flow's open run; a power of two
export const FLOW_RUN_SIZE = 48; // one for each slot, behind the places
export const FLOWS_SIZE = 13312; // 2 * FLOW_PLACES + SLOT_COUNT * FLOW_RUN_SIZE

/** What coalesce may merge. */
export const MERGE_TCP = 1;
export const MERGE_UDP = 2;

// ---- Counters of one lane: u64 each. Totals, then a row a tunnel (row 0: packets of no tunnel) ----

export const TOTAL_DEVICE_RECEIVED = 0; // packets read from tunnel devices
export const TOTAL_UNDERLAY_RECEIVED = 8; // packets received from the underlay
export const TOTAL_BATCHES = 16;
export const TOTAL_GENERATED = 24; // packets of the router's own, sent by way of the encap ring
export const TOTAL_ANSWERS = 32; // ICMP errors told to senders of inner packets
export const TOTAL_ANSWERS_LIMITED = 40; // those that a rate or a full queue kept back
export const TOTAL_ERRORS = 48; // ICMP errors of the underlay about packets of tunnel protocols
export const TOTAL_ERRORS_LIMITED = 56; // those of them that a rate kept from having an effect
export const TOTAL_DEVICE_BATCHES = 64; // BATCH_CLASSES counters: batches read from tunnel devices, by their packets
export const TOTAL_UNDERLAY_BATCHES = 128; // the same, received from the underlay
export const LANE_TURN = 192; // u32, atomic, no counter: odd while the codec may be reading a table image
export const TOTALS_SIZE = 256;

/** Classes of batches by size: 1 packet, 2, up to 4, 8, 16, 32, 64, and more. */
export const BATCH_CLASSES = 8;

export const COUNTER_RX_PACKETS = 0; // decapsulated and delivered to the device
export const COUNTER_RX_BYTES = 8; // of the inner packets
export const COUNTER_TX_PACKETS = 16; // encapsulated and sent
export const COUNTER_TX_BYTES = 24; // of the inner packets
export const COUNTER_LAST_RX = 32; // when a packet was last delivered: ms since 1970
export const COUNTER_DECAP_DROPS = 64; // REASON_CAPACITY counters
export const COUNTER_ENCAP_DROPS = 448; // REASON_CAPACITY counters
export const COUNTER_ROW_SIZE = 832; // 64 + 2 * 48 * 8
