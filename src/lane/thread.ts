// A lane's thread from the router's side. Its other side is worker.ts; message.ts has what they say.
import { Worker } from 'node:worker_threads';
import type { CodecBuild } from '../codec/builds.js';
import { EXIT, Failure } from '../sys/failure.js';
import { close, eventfd, NativeBlock, write } from '../sys/libc.js';
import type { KernelDrops } from '../underlay/contract.js';
import { fromFault } from './change.js';
import type { LaneEvents, LaneHandle } from './contract.js';
import type { LaneChange, LaneEvent, LaneRequest, LaneStart } from './message.js';

const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

/** A lane answers between two batches, within milliseconds. One that hangs in its codec must not hide the status. */
const ANSWER_LIMIT_MS = 1000;

/** Sockets of many tunnels over UDP take their time. */
const CHANGE_LIMIT_MS = 5000;

/** What a lane tells because it was asked. */
type Answer = Extract<LaneEvent, { kind: 'kernel-drops' }>;

/** A lane in a thread of its own. */
export class LaneThread implements LaneHandle {
  readonly #worker: Worker;
  readonly #wakeFd: number;
  readonly #one = new NativeBlock(8);
  readonly #events: LaneEvents;
  readonly #swaps = new Map<number, { done: () => void; failed: (error: Failure) => void }>();
  readonly #asked = new Map<number, (answer: Answer | undefined) => void>();
  readonly #ready: Promise<void>;
  readonly #exited: Promise<void>;
  #threadId: number | undefined;
  #nextId = 1;
  #stopping = false;
  #ended = false;

  constructor(start: Omit<LaneStart, 'wakeFd'>, events: LaneEvents) {
    this.#events = events;
    this.#one.view.setBigUint64(0, 1n, true);
    this.#wakeFd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const workerData: LaneStart = { ...start, wakeFd: this.#wakeFd };
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#ended = true;
        for (const answer of this.#asked.values()) answer(undefined);
        resolve();
      });
    });
    this.#ready = new Promise((resolve, reject) => {
      let isReady = false;
      const fail = (failure: Failure): void => {
        for (const swap of this.#swaps.values()) swap.failed(failure);
        this.#swaps.clear();
        if (!isReady) reject(failure);
        else if (!this.#stopping) events.onFailed(failure);
      };
      this.#worker.on('message', (event: LaneEvent) => {
        if (event.kind === 'ready') {
          isReady = true;
          this.#threadId = event.threadId;
          resolve();
        } else if (event.kind === 'failed') {
          fail(fromFault(event));
        } else {
          this.#take(event);
        }
      });
      this.#worker.once('error', (error) => fail(new Failure(EXIT.bug, `lane: ${String(error)}`)));
    });
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  get threadId(): number | undefined {
    return this.#threadId;
  }

  useCodec(build: CodecBuild): Promise<void> {
    const id = this.#nextId++;
    return new Promise((done, failed) => {
      this.#swaps.set(id, { done, failed });
      this.#ask({ kind: 'codec', id, build });
    });
  }

  change(change: LaneChange): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const late = new Failure(EXIT.bug, 'a lane does not take other tunnels: it hangs');
      const timer = setTimeout(() => failed(late), CHANGE_LIMIT_MS);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const failed = (error: Failure): void => {
        clearTimeout(timer);
        this.#swaps.delete(id);
        reject(error);
      };
      this.#swaps.set(id, { done, failed });
      this.#ask({ kind: 'change', id, change });
    });
  }

  async kernelDrops(): Promise<KernelDrops | undefined> {
    const answer = await this.#askFor((id) => ({ kind: 'kernel-drops', id }));
    return answer?.kind === 'kernel-drops' ? answer.drops : undefined;
  }

  emit(record: number, packet: Uint8Array): void {
    this.#ask({ kind: 'emit', record, packet });
  }

  watchNetwork(): void {
    this.#ask({ kind: 'watch-network' });
  }

  async stop(limitMs: number): Promise<void> {
    this.#stopping = true;
    this.#ask({ kind: 'stop' });
    const timer = setTimeout(() => void this.#worker.terminate(), limitMs);
    await this.#exited;
    clearTimeout(timer);
    close(this.#wakeFd);
  }

  /** What the lane answers; undefined: it has ended, or does not answer. */
  #askFor(request: (id: number) => LaneRequest): Promise<Answer | undefined> {
    if (this.#ended) return Promise.resolve(undefined);
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const answer = (event: Answer | undefined): void => {
        clearTimeout(timer);
        this.#asked.delete(id);
        resolve(event);
      };
      const timer = setTimeout(() => answer(undefined), ANSWER_LIMIT_MS);
      this.#asked.set(id, answer);
      this.#ask(request(id));
    });
  }

  #ask(request: LaneRequest): void {
    this.#worker.postMessage(request);
    write(this.#wakeFd, this.#one.address, 8);
  }

  #take(event: Exclude<LaneEvent, { kind: 'ready' | 'failed' }>): void {
    switch (event.kind) {
      case 'fault':
        this.#events.onFault(event.codec, event.error);
        break;
      case 'device-lost':
        this.#events.onDeviceLost(event.record);
        break;
      case 'network-changed':
        this.#events.onNetworkChanged();
        break;
      case 'path-mtu':
        this.#events.onPathMtu(event.record, event.mtu);
        break;
      case 'merge-refused':
        this.#events.onMergeRefused(event.device);
        break;
      case 'superpackets-refused':
        this.#events.onSuperpacketsRefused(event.device);
        break;
      case 'segmentation-refused':
        this.#events.onSegmentationRefused();
        break;
      case 'kernel-drops':
        this.#asked.get(event.id)?.(event);
        break;
      case 'change': {
        const asked = this.#swaps.get(event.id);
        this.#swaps.delete(event.id);
        if (event.fault === undefined) asked?.done();
        else asked?.failed(fromFault(event.fault));
        break;
      }
      case 'codec': {
        const swap = this.#swaps.get(event.id);
        this.#swaps.delete(event.id);
        if (event.error === undefined) swap?.done();
        else swap?.failed(new Failure(EXIT.failed, `codec ${event.name}: ${event.error}`));
        break;
      }
    }
  }
}
