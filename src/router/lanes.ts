// The lanes of a router: started together, asked together.
import type { CodecBuild } from '../codec/builds.js';
import type { LaneEvents, LaneHandle } from '../lane/contract.js';
import { EventedLane } from '../lane/evented.js';
import { kernelDevices } from '../lane/kernel-devices.js';
import type { LaneChange, LaneStart } from '../lane/message.js';
import { openLane } from '../lane/open.js';
import { LaneThread } from '../lane/thread.js';
import type { MemoryPlan } from '../ring/plan.js';
import type { KernelDrops, Underlay } from '../underlay/contract.js';

/** What all lanes are started with; each gets its own plan, devices and sockets besides. */
export type SharedStart = Omit<
  LaneStart,
  'plan' | 'devices' | 'wakeFd' | 'xdp' | 'lane' | 'laneCount' | 'networkFd'
>;

/** What differs from lane to lane. */
export type OwnStart = Pick<LaneStart, 'devices' | 'xdp' | 'networkFd'>;

export class Lanes {
  readonly #lanes: readonly LaneHandle[];

  private constructor(lanes: readonly LaneHandle[]) {
    this.#lanes = lanes;
  }

  /** Starts a thread for each lane of `plan`. */
  static startThreads(
    plan: MemoryPlan,
    shared: SharedStart,
    own: (lane: number) => OwnStart,
    events: LaneEvents,
  ): Lanes {
    const laneCount = plan.lanes.length;
    const threads = plan.lanes.map((lanePlan, lane) => {
      const start = { ...shared, ...own(lane), plan: lanePlan, lane, laneCount };
      return new LaneThread(start, events);
    });
    return new Lanes(threads);
  }

  /** Runs one lane on this thread's event loop, for an underlay that calls back. */
  static startEvented(
    plan: MemoryPlan,
    shared: SharedStart,
    own: OwnStart,
    underlay: Underlay,
    events: LaneEvents,
  ): Lanes {
    const { memory, codec, merge, reorder, peers, tunnels = [], board } = shared;
    const lane = openLane({
      ...{ memory, plan: plan.lanes[0], codec, merge, reorder, peers, tunnels, board },
      ...{ underlay, events },
      devices: kernelDevices(memory, own.devices),
    });
    return new Lanes([new EventedLane(lane, memory, events)]);
  }

  /** Resolves once all move packets; rejects with the Failure of the first that cannot. */
  async ready(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.ready()));
  }

  /** The kernel's numbers of the threads that lanes have to themselves. */
  get threadIds(): readonly number[] {
    return this.#lanes.flatMap(({ threadId }) => threadId ?? []);
  }

  /** Resolves once all run `build`. */
  async useCodec(build: CodecBuild): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.useCodec(build)));
  }

  /** Resolves once all work with other tunnels; rejects with the Failure of the first that cannot, when all are done. */
  async change(of: (lane: number) => LaneChange): Promise<void> {
    const done = await Promise.allSettled(this.#lanes.map((lane, index) => lane.change(of(index))));
    const failed = done.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** By lane, what the kernel dropped on the way to its sockets; undefined: it does not answer. */
  kernelDrops(): Promise<(KernelDrops | undefined)[]> {
    return Promise.all(this.#lanes.map((lane) => lane.kernelDrops()));
  }

  /** Sends a packet of the router's own into the tunnel of `record`, by one lane. */
  emit(lane: number, record: number, packet: Uint8Array): void {
    this.#lanes[lane]?.emit(record, packet);
  }

  /** Lets the lane that watches the network tell of changes again. */
  watchNetwork(): void {
    this.#lanes[0]?.watchNetwork();
  }

  /** Ends all after the batch in hand, or by force after `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.stop(limitMs)));
  }
}
