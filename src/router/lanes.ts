// The lanes of a router: started together, asked together.
import { type CodecBuild, openCodec } from '../codec/builds.js';
import { EventedLane } from '../lane/evented.js';
import { Lane, type LaneEvents, type LaneHandle } from '../lane/lane.js';
import type { LaneStart } from '../lane/message.js';
import { LaneThread } from '../lane/thread.js';
import type { MemoryPlan } from '../ring/plan.js';
import { addressOf } from '../sys/libc.js';
import { LinuxTun } from '../tun/linux.js';
import { DeviceVectors } from '../tun/vectors.js';
import type { Underlay } from '../underlay/contract.js';

/** What all lanes are started with; each gets its own plan, devices and sockets besides. */
export type SharedStart = Omit<
  LaneStart,
  'plan' | 'devices' | 'wakeFd' | 'xdp' | 'lane' | 'laneCount' | 'watchFd'
>;

/** What differs from lane to lane. */
export type OwnStart = Pick<LaneStart, 'devices' | 'xdp' | 'watchFd'>;

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
    const { memory, codec, merge } = shared;
    const lane = new Lane({
      memory,
      plan: plan.lanes[0],
      underlay,
      codec: openCodec(codec, memory),
      fallback: openCodec({ name: 'js' }, memory),
      merge,
      onMergeRefused: events.onMergeRefused,
      onFault: (name, error) => events.onFault(name, String(error)),
    });
    const vectors = new DeviceVectors(addressOf(new Uint8Array(memory.buffer)), lane.encapRing);
    for (const { record, name, fd } of own.devices) {
      lane.devices[record] = new LinuxTun(name, fd, vectors);
    }
    return new Lanes([new EventedLane(lane, memory, events)]);
  }

  /** Resolves once all move packets; rejects with the Failure of the first that cannot. */
  async ready(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.ready()));
  }

  /** Resolves once all run `build`. */
  async useCodec(build: CodecBuild): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.useCodec(build)));
  }

  /** Lets the lane that watches the network tell of changes again. */
  watchAgain(): void {
    this.#lanes[0]?.watchAgain();
  }

  /** Ends all after the batch in hand, or by force after `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.stop(limitMs)));
  }
}
