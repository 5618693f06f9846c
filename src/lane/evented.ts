// The same lane on an event loop, for underlays and devices that call back instead of having a
// descriptor: memory and raw-socket. Devices with a descriptor are waited for on a thread of the pool.
import { type CodecBuild, openCodec } from '../codec/builds.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { KernelDrops } from '../underlay/contract.js';
import { decapBatch, releaseEarly } from './decap.js';
import { BATCH, encapBatch, generatedBatch } from './encap.js';
import type { Lane, LaneEvents, LaneHandle } from './lane.js';
import type { TunnelChange } from './tunnels.js';

/** How long one wait for devices lasts: the longest that a stop is delayed. */
const WAIT_MS = 100;

/** A lane on the current thread's event loop. It runs from its making on. */
export class EventedLane implements LaneHandle {
  readonly #lane: Lane;
  readonly #memory: WebAssembly.Memory;
  readonly #waiting: Promise<void>;
  /** Sends what waits in `aside`. */
  readonly #emitSoon: () => void;
  #running = true;
  #timer: NodeJS.Timeout | undefined;

  constructor(lane: Lane, memory: WebAssembly.Memory, events: LaneEvents) {
    this.#lane = lane;
    this.#memory = memory;
    lane.underlay.onReadable = this.#turns(() => {
      const count = decapBatch(lane);
      this.#releaseInTime();
      return count;
    });
    lane.devices.forEach((device, record) => {
      if (device && device.fd < 0) device.onReadable = this.#turns(() => encapBatch(lane, record));
    });
    this.#emitSoon = this.#turns(() => 0);
    const hasDescriptors = lane.devices.some((device) => device !== undefined && device.fd >= 0);
    this.#waiting = hasDescriptors
      ? waitForDevices(lane, () => this.#running, events.onDeviceLost)
      : Promise.resolve();
    this.#waiting.catch((error) => events.onFailed(new Failure(EXIT.bug, String(error))));
  }

  async ready(): Promise<void> {}

  async useCodec(build: CodecBuild): Promise<void> {
    this.#lane.useCodec(openCodec(build, this.#memory));
  }

  async kernelDrops(): Promise<KernelDrops> {
    return this.#lane.kernelDrops();
  }

  async changeTunnels(changes: readonly TunnelChange[]): Promise<void> {
    this.#lane.tunnels?.change(changes);
  }

  emit(record: number, packet: Uint8Array): void {
    this.#lane.aside.emit(record, packet);
    this.#emitSoon();
  }

  watchAgain(): void {} // nothing is watched

  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    for (const device of this.#lane.devices) if (device) device.onReadable = undefined;
    await this.#waiting;
    this.#lane.close();
  }

  /** Delivers early packets when they have waited long enough. */
  #releaseInTime(): void {
    const timeoutMs = this.#lane.reorder?.timeoutMs(performance.now()) ?? -1;
    clearTimeout(this.#timer);
    if (timeoutMs < 0) return;
    this.#timer = setTimeout(() => {
      if (!this.#running) return;
      releaseEarly(this.#lane);
      this.#releaseInTime();
    }, timeoutMs);
  }

  /** A callback that runs `batch` soon, again while it comes back full, and once however often it is called. */
  #turns(batch: () => number): () => void {
    let scheduled = false;
    const schedule = (): void => {
      if (scheduled) return;
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        if (!this.#running) return;
        const isFull = batch() >= BATCH;
        if (generatedBatch(this.#lane) || isFull) schedule();
      });
    };
    return schedule;
  }
}

/** Moves a batch for every device that has packets, until `isRunning` says no. */
async function waitForDevices(
  lane: Lane,
  isRunning: () => boolean,
  onLost: (record: number) => void,
): Promise<void> {
  // It needs koffi, which a lane in memory does without.
  const { EventQueue, serveDevice } = await import('./loop.js');
  const queue = new EventQueue();
  lane.devices.forEach((device, record) => {
    if (device && device.fd >= 0) queue.add(device.fd, record);
  });
  try {
    while (isRunning()) {
      const count = await queue.waitAsync(WAIT_MS);
      for (let index = 0; index < count && isRunning(); index++) {
        serveDevice(lane, queue, index, onLost);
      }
      generatedBatch(lane);
    }
  } finally {
    queue.close();
  }
}
