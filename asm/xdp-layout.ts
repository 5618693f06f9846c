// What the codec's second module (xdp.ts) and the host share of one AF_XDP socket. Read by both compilers:
// integers only.
//
// Offsets and sizes are bytes; all fields are little-endian. Addresses are offsets in linear memory.
//
//   field           writer                     meaning
//   UMEM .. FREE    host, before initialise    where the frames and the free stack lie
//   ring views      host, before initialise    where the kernel's rings lie; OWN is the module's
//   the rest        module                     only ever one thread at a time
//
// Every frame is in one place at a time: in the fill ring or the receive ring (the kernel's), held by a slot of
// the decap ring, on the free stack, or in flight (the kernel's, until completed).

/** The block of one socket. */
export const XDP_UMEM = 0; // u32: address of the first frame
export const XDP_FRAME_SIZE = 4; // u32: 2048 or 4096
export const XDP_FRAME_COUNT = 8; // u32
export const XDP_FREE = 12; // u32: address of the stack of frames to send with, XDP_FRAME_COUNT u32
export const XDP_FREE_COUNT = 16; // u32: frames on it
export const XDP_IN_FLIGHT = 20; // u32: frames given to the kernel to send and not completed yet

export const XDP_LINK = 24; // u32: index of the network device
export const XDP_HELD = 28; // u32: address of SLOT_COUNT u32: by slot of the decap ring the frame that its packet lies in, or 0

/** Views of the four rings. */
export const XDP_FILL = 32;
export const XDP_COMPLETION = 64;
export const XDP_RECEIVE = 96;
export const XDP_TRANSMIT = 128;

/** Of a ring view. The first four are addresses of the kernel's fields: see XskRing in src/underlay/xdp/xsk.ts. */
export const XDP_RING_PRODUCER = 0; // u32
export const XDP_RING_CONSUMER = 4; // u32
export const XDP_RING_FLAGS = 8; // u32
export const XDP_RING_DESCRIPTORS = 12; // u32
export const XDP_RING_MASK = 16; // u32: entries - 1
export const XDP_RING_OWN = 20; // u32: our cursor: producer of fill and transmit, consumer of the others

/** Counters, u64, from initialise on. */
export const XDP_RECEIVED_FRAMES = 160;
export const XDP_RECEIVED_BYTES = 168;
export const XDP_SENT_FRAMES = 176; // given to the kernel
export const XDP_SENT_BYTES = 184;
export const XDP_COMPLETED_FRAMES = 192; // given back by the kernel: sent or dropped by it

export const XDP_BLOCK_SIZE = 256;

/** Bit of a ring's flags: the kernel waits to be woken. */
export const XDP_NEED_WAKEUP = 1;

/** Descriptors of the receive and the transmit ring; those of the other two are a u64 address alone. */
export const XDP_DESCRIPTOR_ADDRESS = 0; // u64, from the first frame
export const XDP_DESCRIPTOR_LENGTH = 8; // u32
export const XDP_DESCRIPTOR_OPTIONS = 12; // u32: 0
export const XDP_DESCRIPTOR_SIZE = 16;
export const XDP_ADDRESS_SIZE = 8;
