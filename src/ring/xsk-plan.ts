// Where one AF_XDP socket's parts lie in the dataplane's memory.
import { SLOT_COUNT } from '../../asm/layout.js';
import { XDP_BLOCK_SIZE } from '../../asm/xdp-layout.js';
import type { Reserve } from './plan.js';

/** Ends of areas that the kernel maps: no page of Linux on x86-64 or arm64 is larger. */
export const MAP_ALIGNMENT = 65536;
/** Two cache lines: what fetches neighbours too leaves the blocks of two threads apart. */
const BLOCK_ALIGNMENT = 128;
/** Bytes that the kernel may put in front of a ring's descriptors: 320 in Linux 6.18. */
const RING_HEADER_ROOM = 1024;
/** Size of a receive or transmit descriptor; those of the other two rings take half. */
const DESCRIPTOR_SIZE = 16;
/** Room in front of each received packet, always: XDP_PACKET_HEADROOM. */
export const FRAME_HEADROOM = 256;

export interface XskRingPlan {
  /** Offset of the area in linear memory, a multiple of MAP_ALIGNMENT. The kernel's ring replaces what is there. */
  readonly area: number;
  /** Entries, a power of two. */
  readonly count: number;
}

export interface XskPlan {
  /** Offset of the first frame in linear memory, a multiple of MAP_ALIGNMENT. */
  readonly umem: number;
  readonly frameCount: number;
  /** How many of them are received into; the others are sent from. */
  readonly receiveFrames: number;
  readonly frameSize: 2048 | 4096;
  readonly fill: XskRingPlan;
  readonly completion: XskRingPlan;
  readonly receive: XskRingPlan;
  readonly transmit: XskRingPlan;
  /** Offset of the block that asm/xdp.ts works with: see asm/xdp-layout.ts. */
  readonly block: number;
  /** Offset of its stack of free frames, four bytes a frame. */
  readonly free: number;
  /** Offset of what says by slot of a decap ring which frame its packet lies in, four bytes a slot. */
  readonly held: number;
}

export interface XskSize {
  /** Frames to receive into, and entries of the rings they pass: a power of two. */
  readonly receiveFrames: number;
  /** Frames to send from, and entries of the rings they pass: a power of two. */
  readonly sendFrames: number;
  readonly frameSize: 2048 | 4096;
}

/** Bytes to keep for the area of a ring of `count` entries. */
export function ringAreaSize(count: number): number {
  const size = RING_HEADER_ROOM + count * DESCRIPTOR_SIZE;
  return Math.ceil(size / MAP_ALIGNMENT) * MAP_ALIGNMENT;
}

/**
 * Plans a socket's areas with `reserve`, which gives the offset of fresh room of a size and an alignment.
 * Nothing else may lie in that room.
 */
export function planXsk(
  reserve: Reserve,
  { receiveFrames, sendFrames, frameSize }: XskSize,
): XskPlan {
  const ring = (count: number): XskRingPlan => ({
    area: reserve(ringAreaSize(count), MAP_ALIGNMENT),
    count,
  });
  const frameCount = receiveFrames + sendFrames;
  const size = Math.ceil((frameCount * frameSize) / MAP_ALIGNMENT) * MAP_ALIGNMENT;
  return {
    umem: reserve(size, MAP_ALIGNMENT),
    frameCount,
    receiveFrames,
    frameSize,
    fill: ring(receiveFrames),
    completion: ring(sendFrames),
    receive: ring(receiveFrames),
    transmit: ring(sendFrames),
    block: reserve(XDP_BLOCK_SIZE, BLOCK_ALIGNMENT),
    free: reserve(frameCount * 4, BLOCK_ALIGNMENT),
    held: reserve(SLOT_COUNT * 4, BLOCK_ALIGNMENT),
  };
}

/** Largest Ethernet frame that fits behind the headroom of a received frame. */
export function receiveRoom(plan: Pick<XskPlan, 'frameSize'>): number {
  return plan.frameSize - FRAME_HEADROOM;
}
