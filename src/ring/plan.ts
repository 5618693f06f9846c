// Where everything lies in the dataplane's memory: the regions of asm/layout.ts, one behind the other.
import {
  BUCKET_SIZE,
  CONTROL_SIZE,
  COUNTER_ROW_SIZE,
  DESCRIPTOR_SIZE,
  DIRECTION_DECAP,
  DIRECTION_ENCAP,
  FLOWS_SIZE,
  IMAGE_HEADER_SIZE,
  OWN_SIZE,
  PREFIX_SIZE,
  RECORD_SIZE,
  RING_COUNTERS,
  RING_DESCRIPTORS,
  RING_DIRECTION,
  RING_FLOWS,
  RING_HEADER_SIZE,
  RING_MASK,
  RING_SLOTS,
  RING_STATES,
  ROUTE_SIZE,
  SLOT_COUNT,
  SLOT_STRIDE,
  STATE_SIZE,
  TOTALS_SIZE,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import { planCaptureRing } from './capture-ring.js';
import { planRecorder, type RecorderPlan, type RecorderSize, writeRecorder } from './recorder.js';
import { planTraceRing } from './trace-ring.js';

/** Buckets of the tunnel lookup: at most half full, so that a miss ends after a probe or two. */
export const BUCKET_COUNT = TUNNEL_CAPACITY * 2;
/** Own addresses: an outer one a tunnel and several inner ones, again at most half full. */
export const OWN_COUNT = TUNNEL_CAPACITY * 8;
/** Accepted source prefixes of all tunnels together. */
export const PREFIX_CAPACITY = TUNNEL_CAPACITY * 8;

/** Places of networks behind peers: each of those is an accepted source as well. */
export const ROUTE_COUNT = PREFIX_CAPACITY * 2;

const PAGE = 65536;
const WASM_PAGE = 65536;

/** Addresses of one table image's parts. */
export interface ImagePlan {
  readonly header: number;
  readonly records: number;
  readonly buckets: number;
  readonly own: number;
  readonly prefixes: number;
  readonly routes: number;
}

/** Addresses of what one lane owns. */
export interface LanePlan {
  readonly encap: number;
  readonly decap: number;
  readonly counters: number;
  /** What coalesce works in. */
  readonly flows: number;
  /** Headers of packets that are traced: see trace-ring.ts. */
  readonly trace: number;
  /** Packets that are captured: see capture-ring.ts. */
  readonly capture: number;
  /** The last packets of every tunnel; undefined: none are kept. */
  readonly recorder: RecorderPlan | undefined;
}

/** Where every region lies: see asm/layout.ts. Pages that nobody writes cost address space only. */
export interface MemoryPlan {
  /** WebAssembly pages of 64 KiB. */
  readonly pages: number;
  readonly states: number;
  readonly images: readonly [ImagePlan, ImagePlan];
  /** At least one. */
  readonly lanes: readonly [LanePlan, ...LanePlan[]];
}

/** Gives the offset of fresh room of a size and an alignment. */
export type Reserve = (size: number, alignment: number) => number;

/** Pages that a WebAssembly memory can have. */
const PAGES_MAX = 65536;

/**
 * Plans the dataplane's memory for `laneCount` lanes, at least one. `more` may reserve what an underlay needs
 * besides. Where a recorder of `recorder.packets` would not fit it keeps half as many, or half of that.
 */
export function planMemory(
  laneCount: number,
  more: (reserve: Reserve) => void = () => {},
  recorder: RecorderSize = { packets: 0, records: 0 },
): MemoryPlan {
  const plan = planOnce(laneCount, more, recorder);
  if (plan.pages <= PAGES_MAX || recorder.packets === 0) return plan;
  return planMemory(laneCount, more, { ...recorder, packets: recorder.packets >>> 1 });
}

function planOnce(
  laneCount: number,
  more: (reserve: Reserve) => void,
  recorder: RecorderSize,
): MemoryPlan {
  let end = CONTROL_SIZE;
  const reserve = (size: number, alignment = 128): number => {
    const address = Math.ceil(end / alignment) * alignment;
    end = address + size;
    return address;
  };

  const states = reserve(TUNNEL_CAPACITY * STATE_SIZE);
  const image = (): ImagePlan => ({
    header: reserve(IMAGE_HEADER_SIZE),
    records: reserve(TUNNEL_CAPACITY * RECORD_SIZE),
    buckets: reserve(BUCKET_COUNT * BUCKET_SIZE),
    own: reserve(OWN_COUNT * OWN_SIZE),
    prefixes: reserve(PREFIX_CAPACITY * PREFIX_SIZE),
    routes: reserve(ROUTE_COUNT * ROUTE_SIZE),
  });
  const images = [image(), image()] as const;
  const ringSize = RING_HEADER_SIZE + SLOT_COUNT * (DESCRIPTOR_SIZE + SLOT_STRIDE);
  const lane = (): LanePlan => ({
    encap: reserve(ringSize, PAGE),
    decap: reserve(ringSize, PAGE),
    counters: reserve(TOTALS_SIZE + TUNNEL_CAPACITY * COUNTER_ROW_SIZE, PAGE),
    flows: reserve(FLOWS_SIZE),
    trace: planTraceRing(reserve),
    capture: planCaptureRing(reserve),
    recorder: recorder.packets === 0 ? undefined : planRecorder(reserve, recorder),
  });
  const lanes = [lane(), ...Array.from({ length: laneCount - 1 }, lane)] as const;
  more(reserve);
  return { pages: Math.ceil(end / WASM_PAGE), states, images, lanes };
}

/** The same plan with up to `size` bytes behind all else, as far as a memory can have them. */
export function withSpare(plan: MemoryPlan, size: number): MemoryPlan {
  // No area ends at 4 GiB: a u32 could not say where.
  const pages = Math.min(plan.pages + size / WASM_PAGE, PAGES_MAX - 1);
  return { ...plan, pages: Math.max(plan.pages, pages) };
}

/** Bytes of the memory of a plan. */
export function spanOf({ pages }: MemoryPlan): number {
  return pages * WASM_PAGE;
}

/** Allocates the memory of a plan and writes the ring headers. The table is still empty: nothing matches. */
export function createMemory(plan: MemoryPlan): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({ initial: plan.pages, maximum: plan.pages, shared: true });
  const words = new Uint32Array(memory.buffer);
  for (const lane of plan.lanes) {
    if (lane.recorder !== undefined) writeRecorder(words, lane.recorder);
    for (const [address, direction] of [
      [lane.encap, DIRECTION_ENCAP],
      [lane.decap, DIRECTION_DECAP],
    ] as const) {
      const store = (field: number, value: number): void => {
        words[(address + field) >>> 2] = value;
      };
      store(RING_DIRECTION, direction);
      store(RING_MASK, SLOT_COUNT - 1);
      store(RING_DESCRIPTORS, address + RING_HEADER_SIZE);
      store(RING_SLOTS, address + RING_HEADER_SIZE + SLOT_COUNT * DESCRIPTOR_SIZE);
      store(RING_COUNTERS, lane.counters);
      store(RING_STATES, plan.states);
      store(RING_FLOWS, lane.flows);
    }
  }
  return memory;
}
