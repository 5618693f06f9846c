// What the recorder's module (recorder.ts) and the host share of one lane. Read by both compilers: integers only.
//
// Offsets and sizes are bytes; all fields are little-endian. Addresses are offsets in linear memory.
//
//   field              writer               meaning
//   KEPT .. RINGS      host, once           how much is kept, and where it lies
//   TURN               lane, atomic         odd while packets take places in the rings
//   the rest           lane                 the reader copies it between two looks at TURN that agree
//
// The verdict of a packet comes later and without a turn: until then it has KEPT_IN_HAND in its place. What a batch of one
// packet touches lies on few cache lines: with little traffic they are cold, and that is what it costs.
//
// A record has three rings: packets sent, packets received, packets dropped. Each keeps its last KEPT, so that what
// was dropped, and what the peer sent last, outlive whatever a busy sender does.

export const RECORDER_KEPT = 0; // u32: packets that a ring keeps, a power of two
export const RECORDER_RECORDS = 4; // u32: records that have rings; the packets of others are not kept
export const RECORDER_WRITTEN = 8; // u32: address of the packets ever written to each ring, u32 each, free-running
export const RECORDER_RINGS = 12; // u32: address of the first ring
export const RECORDER_TURN = 16; // u32, atomic
export const RECORDER_SEQUENCE = 20; // u32, free-running: packets ever written, of all rings
export const RECORDER_NOTES = 64; // by slot of a ring: NOTE_*
export const RECORDER_HEADER_SIZE = 8256; // 64 + SLOT_COUNT * 32

/** Where the packet of a slot lay before the codec took it on, and where it is kept. */
export const NOTE_ADDRESS = 0; // u32
export const NOTE_LENGTH = 4; // u32
export const NOTE_PAYLOAD = 8; // u32
export const NOTE_PAYLOAD_LENGTH = 12; // u32
export const NOTE_PLACE = 16; // u32: where it was written in this batch, 0 = nowhere
export const NOTE_SEQUENCE = 20; // u32: KEPT_SEQUENCE there, unless another packet has taken the place since
export const NOTE_SIZE = 32;

export const SENT_RING = 0;
export const RECEIVED_RING = 1;
export const DROPPED_RING = 2;
export const RINGS_A_RECORD = 3;

/** One packet. */
export const KEPT_TIME = 0; // f64: when its batch was filled, ms since 1970
export const KEPT_SEQUENCE = 8; // u32: RECORDER_SEQUENCE as it was
export const KEPT_LENGTH = 12; // u32: bytes of the whole packet
export const KEPT_REASON = 16; // u8: REASON_*, KEPT_IN_HAND or KEPT_MOVED
export const KEPT_DIRECTION = 17; // u8: DIRECTION_*
export const KEPT_SNAPPED = 18; // u8: bytes of it that are here
export const KEPT_INNER = 19; // u8: where in it the inner packet begins, 0 = not told
export const KEPT_PACKETS = 20; // u16: packets on the wire that it stands for
export const KEPT_CODEC = 24; // u32: ns from TIME until the codec was through with the batch, 0 = not measured
export const KEPT_END = 28; // u32: ns from TIME until the batch was sent or delivered
export const KEPT_BYTES = 32; // its first bytes
/** Bytes kept of a packet: outer IPv6 40, UDP 8, GRE 16, inner IPv6 40, and the ports behind them. */
export const KEPT_SNAP = 128;
export const KEPT_SIZE = 160;

/** No reason yet: its batch is under way. */
export const KEPT_IN_HAND = 255;
/** It was refused at the end, and is among the dropped instead. */
export const KEPT_MOVED = 254;
