// The rings of an AF_XDP socket as asm/xdp.ts works them, from the host's side.

import {
  XDP_COMPLETED_FRAMES,
  XDP_COMPLETION,
  XDP_FILL,
  XDP_FRAME_COUNT,
  XDP_FRAME_SIZE,
  XDP_FREE,
  XDP_FREE_COUNT,
  XDP_HELD,
  XDP_IN_FLIGHT,
  XDP_LINK,
  XDP_RECEIVE,
  XDP_RECEIVED_BYTES,
  XDP_RECEIVED_FRAMES,
  XDP_RING_CONSUMER,
  XDP_RING_DESCRIPTORS,
  XDP_RING_FLAGS,
  XDP_RING_MASK,
  XDP_RING_PRODUCER,
  XDP_SENT_BYTES,
  XDP_SENT_FRAMES,
  XDP_TRANSMIT,
  XDP_UMEM,
} from '../../../asm/xdp-layout.js';
import type { XskPlan } from '../../ring/xsk-plan.js';
import { openModule } from '../../sys/module.js';
import type { Xsk, XskRing } from './xsk.js';

/** The exports of asm/xdp.ts, which documents each. `block` is XskPlan.block, `ring` Ring.address. */
export interface XdpModule {
  initialise(block: number, receiveFrames: number): number;
  receiveSlots(block: number, ring: number, max: number): number;
  releaseSlots(block: number, ring: number, from: number, to: number): number;
  /** 0 or 1. */
  needsReceiveWakeup(block: number): number;
  transmitSlots(block: number, ring: number, from: number, to: number): number;
  complete(block: number): number;
}

/** What the module counts for one socket. */
export interface XskCounters {
  readonly received: { readonly frames: number; readonly bytes: number };
  readonly sent: { readonly frames: number; readonly bytes: number };
  readonly completed: number;
  /** Frames sent and not completed. */
  readonly inFlight: number;
  /** Frames on the free stack. */
  readonly free: number;
}

const MODULE = new URL('../../../asm/xdp.wasm', import.meta.url);

/** An instance over `memory`: one for each thread. */
export function openXdpModule(memory: WebAssembly.Memory): XdpModule {
  return openModule(MODULE, memory) as XdpModule;
}

/**
 * Writes the block of a socket: where its frames and rings lie. Then `initialise` splits the frames, which
 * has to come before anything else of the module.
 */
export function writeXskBlock(
  memory: WebAssembly.Memory,
  plan: XskPlan,
  rings: Xsk['rings'],
  link = 0,
): void {
  const words = new Uint32Array(memory.buffer);
  const store = (offset: number, value: number): void => {
    words[(plan.block + offset) >>> 2] = value;
  };
  const storeRing = (view: number, ring: XskRing): void => {
    store(view + XDP_RING_PRODUCER, ring.producer);
    store(view + XDP_RING_CONSUMER, ring.consumer);
    store(view + XDP_RING_FLAGS, ring.flags);
    store(view + XDP_RING_DESCRIPTORS, ring.descriptors);
    store(view + XDP_RING_MASK, ring.mask);
  };
  store(XDP_UMEM, plan.umem);
  store(XDP_FRAME_SIZE, plan.frameSize);
  store(XDP_FRAME_COUNT, plan.frameCount);
  store(XDP_FREE, plan.free);
  store(XDP_LINK, link);
  store(XDP_HELD, plan.held);
  storeRing(XDP_FILL, rings.fill);
  storeRing(XDP_COMPLETION, rings.completion);
  storeRing(XDP_RECEIVE, rings.receive);
  storeRing(XDP_TRANSMIT, rings.transmit);
}

/** Reads the counters of a block; from another thread they may be a batch old. */
export function readXskCounters(memory: WebAssembly.Memory, plan: XskPlan): XskCounters {
  const view = new DataView(memory.buffer, plan.block);
  const long = (offset: number): number => Number(view.getBigUint64(offset, true));
  return {
    received: { frames: long(XDP_RECEIVED_FRAMES), bytes: long(XDP_RECEIVED_BYTES) },
    sent: { frames: long(XDP_SENT_FRAMES), bytes: long(XDP_SENT_BYTES) },
    completed: long(XDP_COMPLETED_FRAMES),
    inFlight: view.getUint32(XDP_IN_FLIGHT, true),
    free: view.getUint32(XDP_FREE_COUNT, true),
  };
}
