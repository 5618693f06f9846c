// The same lane on an event loop, for underlays and devices that call back instead of having a
// descriptor: memory and raw-socket. Devices with a descriptor are waited for on a thread of the pool.
import { type CodecBuild, openCodec } from '../codec/builds.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { KernelDrops } from '../underlay/contract.js';
import { applyChange } from './change.js';
import type { LaneEvents, LaneHandle } from './contract.js';
import { decapBatch, releaseEarly } from './decap.js';
import { BATCH, encapBatch, generatedBatch } from './encap.js';
import type { Lane } from './lane.js';
import type { EventQueue } from './loop.js';
import type { LaneChange } from './message.js';

/** How long one wait for devices lasts: the longest that a stop is delayed. */
const WAIT_MS = 100;

/** A lane on the current thread's event loop. It runs from its making on. */
export class EventedLane implements LaneHandle {
  readonly #lane: Lane;
  readonly #memory: WebAssembly.Memory;
  readonly #waiting: Promise<void>;
  /** Sends what waits in `aside`. */
  readonly #emitSoon: () => void;
  readonly #unread = new Set<number>();
  #queue: EventQueue | undefined;
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
    this.#waiting = hasDescriptors ? this.#waitForDevices(events.onDeviceLost) : Promise.resolve();
    this.#waiting.catch((error) => events.onFailed(new Failure(EXIT.bug, String(error))));
  }

  async ready(): Promise<void> {}

  async useCodec(build: CodecBuild): Promise<void> {
    this.#lane.useCodec(openCodec(build, this.#memory));
  }

  async kernelDrops(): Promise<KernelDrops> {
    return this.#lane.kernelDrops();
  }

  emit(record: number, packet: Uint8Array): void {
    this.#lane.aside.emit(record, packet);
    this.#emitSoon();
  }

  async change(change: LaneChange): Promise<void> {
    const { loop, tun } = await this.#kernel();
    applyChange(change, {
      lane: this.#lane,
      unread: this.#unread,
      openDevice: tun.deviceOpener(this.#memory, this.#lane.encapRing),
      changeSockets: () => [], // memory has none; raw-socket opens its own with the start alone
      changeXdp: () => {}, // nor AF_XDP
      closeSockets: () => {},
      follow: () => this.#queue?.follow(new Map(loop.readDevices(this.#lane, this.#unread))),
    });
  }

  /** It needs koffi, which a lane in memory does without. */
  async #kernel() {
    return { loop: await import('./loop.js'), tun: await import('./kernel-devices.js') };
  }

  watchNetwork(): void {} // nothing is watched

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

  /** Moves a batch for every device that has packets, until the lane is to end. */
  async #waitForDevices(onLost: (record: number) => void): Promise<void> {
    const lane = this.#lane;
    const { EventQueue, readDevices, serveDevice } = (await this.#kernel()).loop;
    const queue = new EventQueue();
    this.#queue = queue;
    queue.follow(new Map(readDevices(lane, this.#unread)));
    try {
      while (this.#running) {
        const count = await queue.waitAsync(WAIT_MS);
        for (let index = 0; index < count && this.#running; index++) {
          serveDevice(lane, queue, index, onLost);
        }
        generatedBatch(lane);
      }
    } finally {
      queue.close();
    }
  }
}
