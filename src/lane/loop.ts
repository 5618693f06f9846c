// The blocking loop of a lane: waits in epoll for devices, underlay sockets and the wake-up descriptor,
// and moves one batch for each that is ready. An idle lane uses no CPU.
//
// Level-triggered: what a batch leaves behind makes the next wait return at once, so every device and
// socket gets its turn and none starves the others.
import {
  close,
  ERRNO,
  epollControl,
  epollCreate,
  epollWait,
  epollWaitAsync,
  errno,
  errnoName,
  NativeBlock,
  read,
} from '../sys/libc.js';
import { decapBatch, releaseEarly } from './decap.js';
import { encapBatch, generatedBatch } from './encap.js';
import type { Lane } from './lane.js';

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLLIN = 0x1;
const EPOLLERR = 0x8;
const EPOLLHUP = 0x10;
/** struct epoll_event is packed on x86-64 only. */
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;
const EVENT_TOKEN = process.arch === 'x64' ? 4 : 8;
/** Events taken from one wait: more than are ever ready at once in practice; the rest come with the next. */
const EVENT_COUNT = 256;

/** What a ready descriptor stands for: a device's record (1...), the underlay, the wake-up, the network, ICMP errors. */
const TOKEN_UNDERLAY = 0x4000_0000;
const TOKEN_WAKE = 0x4000_0001;
const TOKEN_NETWORK = 0x4000_0002;
const TOKEN_ERRORS = 0x4000_0003;

/** An epoll instance with a 32-bit token a descriptor. */
export class EventQueue {
  readonly fd: number;
  readonly #events = new NativeBlock(EVENT_COUNT * EVENT_SIZE);
  readonly #event = new NativeBlock(EVENT_SIZE);
  /** Those that `follow` added, with their tokens. */
  #followed: ReadonlyMap<number, number> = new Map();

  constructor() {
    this.fd = epollCreate(EPOLL_CLOEXEC);
    if (this.fd < 0) throw new Error(`epoll_create1: ${errnoName(errno())}`);
  }

  add(fd: number, token: number): void {
    this.#event.view.setUint32(0, EPOLLIN, true);
    this.#event.view.setUint32(EVENT_TOKEN, token, true);
    if (epollControl(this.fd, EPOLL_CTL_ADD, fd, this.#event.address) === 0) return;
    throw new Error(`epoll_ctl for descriptor ${fd}: ${errnoName(errno())}`);
  }

  /** Waits for these descriptors, each with its token, and for no other that it was told of here before. */
  follow(wanted: ReadonlyMap<number, number>): void {
    for (const [fd, token] of this.#followed) if (wanted.get(fd) !== token) this.remove(fd);
    for (const [fd, token] of wanted) if (this.#followed.get(fd) !== token) this.add(fd, token);
    this.#followed = wanted;
  }

  remove(fd: number): void {
    epollControl(this.fd, EPOLL_CTL_DEL, fd, this.#event.address);
  }

  /** Waits until something is ready or `timeoutMs` have passed (-1: no limit). Returns how many are. */
  wait(timeoutMs: number): number {
    const count = epollWait(this.fd, this.#events.address, EVENT_COUNT, timeoutMs);
    if (count >= 0) return count;
    if (errno() === ERRNO.EINTR) return 0;
    throw new Error(`epoll_wait: ${errnoName(errno())}`);
  }

  /** `wait` on a thread of the pool. */
  async waitAsync(timeoutMs: number): Promise<number> {
    return Math.max(0, await epollWaitAsync(this.fd, this.#events.address, EVENT_COUNT, timeoutMs));
  }

  token(index: number): number {
    return this.#events.view.getUint32(index * EVENT_SIZE + EVENT_TOKEN, true);
  }

  /** Whether the descriptor of event `index` is gone: its device was deleted. */
  isBroken(index: number): boolean {
    const events = this.#events.view.getUint32(index * EVENT_SIZE, true);
    return (events & (EPOLLERR | EPOLLHUP)) !== 0 && (events & EPOLLIN) === 0;
  }

  close(): void {
    close(this.fd);
  }
}

export interface LoopHooks {
  /** Descriptor that becomes readable when `onWake` is to be called. */
  readonly wakeFd: number;
  /** Handles what was asked of the lane, between two batches. Returns false to end the loop. */
  readonly onWake: (loop: LoopControl) => boolean;
  /** Descriptors that become readable when ICMP errors came, and what is done then. */
  readonly errorFds: () => readonly number[];
  readonly onErrors: () => void;
  /** Descriptor that becomes readable when the network changed. */
  readonly networkFd?: number | undefined;
  /** Told of that once; again after `LoopControl.watchNetwork`. */
  readonly onNetworkChanged: () => void;
  /** Microseconds to look for more work, after there was some, before waiting. */
  readonly busyPoll: number;
  /** Records whose devices another lane reads. */
  readonly unread: ReadonlySet<number>;
  /** Told when a device vanished from under the router. */
  readonly onDeviceLost: (record: number) => void;
}

/** What can be asked of a running loop. */
export interface LoopControl {
  /** Waits for the next change of the network: after one was told nobody does. */
  watchNetwork(): void;
  /** Lets go of devices and sockets that the lane has no more, and waits for those that it has. */
  follow(): void;
}

/** Runs a lane until `onWake` returns false. */
export function runLoop(lane: Lane, hooks: LoopHooks): void {
  const queue = new EventQueue();
  const drain = new NativeBlock(8);
  queue.add(hooks.wakeFd, TOKEN_WAKE);
  const follow = (): void => {
    queue.follow(
      new Map([
        ...lane.underlay.fds.map((fd) => [fd, TOKEN_UNDERLAY] as const),
        ...hooks.errorFds().map((fd) => [fd, TOKEN_ERRORS] as const),
        ...readDevices(lane, hooks.unread),
      ]),
    );
  };
  follow();

  const watchNetwork = (): void => {
    if (hooks.networkFd !== undefined) queue.add(hooks.networkFd, TOKEN_NETWORK);
  };
  watchNetwork();

  try {
    for (;;) {
      // What was left to say goes out though nothing becomes readable.
      const count = generatedBatch(lane)
        ? queue.wait(0)
        : waitForWork(queue, hooks.busyPoll, timeoutOf(lane));
      let underlayReady = false;
      for (let index = 0; index < count; index++) {
        const token = queue.token(index);
        if (token === TOKEN_UNDERLAY) {
          underlayReady = true; // several sockets, one receive for all of them
        } else if (token === TOKEN_WAKE) {
          read(hooks.wakeFd, drain.address, 8);
          if (!hooks.onWake({ watchNetwork, follow })) return;
        } else if (token === TOKEN_ERRORS) {
          hooks.onErrors();
        } else if (token === TOKEN_NETWORK) {
          // Read by the main thread: until that is done, the descriptor would be ready for ever.
          if (hooks.networkFd !== undefined) queue.remove(hooks.networkFd);
          hooks.onNetworkChanged();
        } else {
          serveDevice(lane, queue, index, hooks.onDeviceLost);
        }
      }
      if (underlayReady) decapBatch(lane);
      else releaseEarly(lane);
    }
  } finally {
    queue.close();
  }
}

/** Descriptors of the devices that a lane reads, with their records. */
export function readDevices(lane: Lane, unread: ReadonlySet<number>): [number, number][] {
  return lane.devices.flatMap((device, record): [number, number][] =>
    device === undefined || device.fd < 0 || unread.has(record) ? [] : [[device.fd, record]],
  );
}

/** How long a lane may wait for work, -1: for ever. */
function timeoutOf({ reorder }: Lane): number {
  return reorder === undefined ? -1 : reorder.timeoutMs(performance.now());
}

/** Looks for work for `busyPoll` microseconds, then waits for it, `timeoutMs` at the longest (-1: no limit). */
function waitForWork(queue: EventQueue, busyPoll: number, timeoutMs: number): number {
  if (busyPoll > 0) {
    const until = performance.now() + busyPoll / 1000;
    do {
      const count = queue.wait(0);
      if (count > 0) return count;
    } while (performance.now() < until);
  }
  return queue.wait(timeoutMs);
}

/** Moves a batch for the device of event `index`; forgets one that was deleted, which would be ready for ever. */
export function serveDevice(
  lane: Lane,
  queue: EventQueue,
  index: number,
  onLost: (record: number) => void,
): void {
  const record = queue.token(index);
  if (!queue.isBroken(index)) {
    encapBatch(lane, record);
    return;
  }
  const device = lane.devices[record];
  if (device === undefined) return;
  queue.remove(device.fd);
  lane.devices[record] = undefined;
  onLost(record);
}
