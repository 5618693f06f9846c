// One AF_XDP socket: a queue of a network device whose frames and rings lie in the dataplane's memory.
//
//   1. umem      register the frames; the kernel pins their pages
//   2. rings     size the four, ask where their fields are, map each over its area of linear memory
//   3. bind      to one queue, without copies where driver and device can
//
// INVARIANT: every address that goes to the kernel lies inside the memory, checked before the first call.
// V8 keeps guard regions behind a memory: a mapping there would break its bounds checks.

import {
  MAP_ALIGNMENT,
  ringAreaSize,
  type XskPlan,
  type XskRingPlan,
} from '../../ring/xsk-plan.js';
import { EXIT, Failure } from '../../sys/failure.js';
import {
  addressOf,
  bind,
  close,
  ERRNO,
  errno,
  errnoName,
  getrlimit,
  getsockopt,
  madvise,
  mmap,
  NativeBlock,
  pageSize,
  recvfrom,
  sendto,
  setrlimit,
  setsockopt,
} from '../../sys/libc.js';
import { openSocket, SOCK_RAW, setBuffers, setOption } from '../../sys/socket.js';
import { readStatistics, type XskStatistics } from './xsk-statistics.js';

// linux/if_xdp.h
const AF_XDP = 44;
const SOL_XDP = 283;
const XDP_MMAP_OFFSETS = 1;
const XDP_RX_RING = 2;
const XDP_TX_RING = 3;
const XDP_UMEM_REG = 4;
const XDP_UMEM_FILL_RING = 5;
const XDP_UMEM_COMPLETION_RING = 6;
const XDP_OPTIONS = 8;
const XDP_MAX_TX_SKB_BUDGET = 9;
const XDP_COPY = 2;
const XDP_USE_NEED_WAKEUP = 8;
const XDP_OPTIONS_ZEROCOPY = 1;
const UMEM_REG_SIZE = 32;
const SOCKADDR_XDP_SIZE = 16;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_POPULATE = 0x8000;
const MADV_DONTNEED = 4;
const MADV_DONTFORK = 10;
const MADV_DOFORK = 11;
const MSG_DONTWAIT = 0x40;
const RLIMIT_MEMLOCK = 8;

/** Copy mode charges a sent frame to the socket until it has left: as much as a full ring needs. */
const BUFFER_SIZE = 8 << 20;

/** The kernel gives a closed socket's queue back some milliseconds later: a router that restarts waits for it. */
const BIND_TRIES = 40;
const BIND_PAUSE_MS = 5;

type RingName = 'receive' | 'transmit' | 'fill' | 'completion';

/** Of each ring: its socket option, its page offset for mmap, the size of a descriptor. In the order of XDP_MMAP_OFFSETS. */
const RINGS: readonly (readonly [
  name: RingName,
  option: number,
  pageOffset: number,
  size: number,
])[] = [
  ['receive', XDP_RX_RING, 0, 16],
  ['transmit', XDP_TX_RING, 0x8000_0000, 16],
  ['fill', XDP_UMEM_FILL_RING, 0x1_0000_0000, 8],
  ['completion', XDP_UMEM_COMPLETION_RING, 0x1_8000_0000, 8],
];

/** A ring as it lies in linear memory: all fields are offsets there but `mask`. */
export interface XskRing {
  /** u32, free-running. Written with an atomic store by whoever fills the ring. */
  readonly producer: number;
  /** u32, free-running. Written with an atomic store by whoever empties it. */
  readonly consumer: number;
  /** u32, written by the kernel. Bit 0 (of fill and transmit): the kernel waits to be woken. */
  readonly flags: number;
  /**
   * First descriptor. Receive and transmit: {address u64, length u32, options u32}; the others: address u64.
   * An address counts from the first frame of the UMEM.
   */
  readonly descriptors: number;
  /** Entries - 1. */
  readonly mask: number;
}

/**
 * What a kick came to. `done`: everything in the transmit ring is on its way. `again`: the device or the
 * socket is full, or the budget of one call spent: kick again, after draining completions. `down`: the
 * device is down or gone.
 */
export type Kick = 'done' | 'again' | 'down';

/** An open socket as it is handed from thread to thread. */
export interface XskHandle {
  readonly fd: number;
  readonly plan: XskPlan;
  readonly rings: Readonly<Record<RingName, XskRing>>;
}

export interface XskOptions {
  readonly memory: WebAssembly.Memory;
  readonly plan: XskPlan;
  /** Name and index of the network device. */
  readonly device: string;
  readonly link: number;
  readonly queue: number;
  /** Never without copies: for a device whose program runs in generic mode. */
  readonly copy?: boolean;
}

export class Xsk {
  /** Readable (POLLIN) when frames wait in the receive ring. In copy mode a poll also sends, like a kick. */
  readonly fd: number;
  /** Whether the device reads and writes the frames itself. */
  readonly isZeroCopy: boolean;
  readonly rings: Readonly<Record<RingName, XskRing>>;
  readonly #base: number;
  readonly #plan: XskPlan;
  readonly #what: string;
  #closed = false;

  /**
   * Opens and binds the socket. Throws a Failure, with nothing left behind, when it cannot. Blocks for up to
   * 0.2 s while another socket has the queue.
   */
  constructor(options: XskOptions) {
    const { memory, plan, device, queue } = options;
    this.#plan = plan;
    this.#what = `AF_XDP socket on ${device}, queue ${queue}`;
    requireInside(plan, memory.buffer.byteLength);
    this.#base = addressOf(new Uint8Array(memory.buffer));
    this.fd = openSocket(AF_XDP, SOCK_RAW, 0, this.#what);
    try {
      this.#registerFrames();
      this.rings = this.#mapRings();
      setBuffers(this.fd, BUFFER_SIZE);
      // Frames sent by one kick in copy mode, where the kernel lets it be set (6.17): 32 otherwise.
      setOption(this.fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, plan.transmit.count);
      this.#bind(options);
      this.isZeroCopy =
        (this.#option(XDP_OPTIONS, 4).getUint32(0, true) & XDP_OPTIONS_ZEROCOPY) > 0;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Lets the kernel send what is in the transmit ring. Never blocks. */
  kick(): Kick {
    return kick(this.fd);
  }

  /** What another thread needs to work the rings. */
  handle(): XskHandle {
    return { fd: this.fd, plan: this.#plan, rings: this.rings };
  }

  /** Lets the driver look into the fill ring again: where bit 0 of its flags is set. Never blocks. */
  wakeReceive(): Kick {
    return wakeReceive(this.fd);
  }

  /** What the kernel counts for this socket. */
  statistics(): XskStatistics {
    const statistics = readStatistics(this.fd);
    if (statistics === undefined) throw this.#refusal('tell its statistics', errno());
    return statistics;
  }

  /**
   * Closes the socket and gives the pages of its rings and frames back: they are zeros. No thread may work on the rings
   * then or later. Idempotent.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.fd);
    // A mapped ring would keep the socket, and with it the queue: fresh memory takes its place.
    for (const [name] of RINGS) {
      const { area, count } = this.#plan[name];
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
      mmap(this.#base + area, ringAreaSize(count), PROT_READ_WRITE, flags, -1, 0);
    }
    for (const advice of [MADV_DOFORK, MADV_DONTNEED]) {
      madvise(this.#base + this.#plan.umem, this.#framesSize(), advice);
    }
  }

  #framesSize(): number {
    return this.#plan.frameCount * this.#plan.frameSize;
  }

  #registerFrames(): void {
    const { umem, frameSize } = this.#plan;
    const size = this.#framesSize();
    // Pinned pages would be copied whenever a command is started; no child uses them.
    madvise(this.#base + umem, size, MADV_DONTFORK);
    const request = new NativeBlock(UMEM_REG_SIZE);
    request.view.setBigUint64(0, BigInt(this.#base + umem), true);
    request.view.setBigUint64(8, BigInt(size), true);
    request.view.setUint32(16, frameSize, true);
    const register = (): number =>
      setsockopt(this.fd, SOL_XDP, XDP_UMEM_REG, request.address, UMEM_REG_SIZE);
    if (register() === 0) return;
    const error = errno();
    const isLimit = error === ERRNO.ENOBUFS || error === ERRNO.ENOMEM;
    if (isLimit && raiseLockLimit(size) && register() === 0) return;
    throw isLimit
      ? new Failure(
          EXIT.noPermission,
          `${this.#what}: ${errnoName(error)}: it locks ${size >>> 10} KiB of memory, which is more than the process may`,
          'allow it: ulimit -l unlimited (systemd: LimitMEMLOCK=infinity), or grant the capability CAP_IPC_LOCK',
        )
      : this.#refusal('register its memory', error);
  }

  #mapRings(): Record<RingName, XskRing> {
    for (const [name, option] of RINGS) {
      if (setOption(this.fd, SOL_XDP, option, this.#plan[name].count)) continue;
      throw this.#refusal(`make its ${name} ring`, errno());
    }
    // Of each ring: producer, consumer, descriptors, flags, as u64.
    const offsets = this.#option(XDP_MMAP_OFFSETS, RINGS.length * 32);
    const map = (index: number): XskRing => this.#mapRing(index, offsets);
    return { receive: map(0), transmit: map(1), fill: map(2), completion: map(3) };
  }

  #mapRing(index: number, offsets: DataView): XskRing {
    const [name, , pageOffset, descriptorSize] = RINGS[index] as (typeof RINGS)[number];
    const { area, count } = this.#plan[name];
    const field = (n: number): number => Number(offsets.getBigUint64(index * 32 + n * 8, true));
    const used = field(2) + count * descriptorSize;
    const page = pageSize();
    const length = Math.ceil(used / page) * page;
    if (length > ringAreaSize(count)) {
      throw new RangeError(`the kernel's ${name} ring takes ${length} bytes`);
    }
    const flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
    const address = this.#base + area;
    if (mmap(address, length, PROT_READ_WRITE, flags, this.fd, pageOffset) !== address) {
      throw this.#refusal(`map its ${name} ring`, errno());
    }
    return {
      producer: area + field(0),
      consumer: area + field(1),
      descriptors: area + field(2),
      flags: area + field(3),
      mask: count - 1,
    };
  }

  /** Without XDP_ZEROCOPY or XDP_COPY the kernel tries the first and falls back to the second. */
  #bind({ link, queue, device, copy = false }: XskOptions): void {
    const address = new NativeBlock(SOCKADDR_XDP_SIZE);
    address.view.setUint16(0, AF_XDP, true);
    address.view.setUint16(2, XDP_USE_NEED_WAKEUP | (copy ? XDP_COPY : 0), true);
    address.view.setUint32(4, link, true);
    address.view.setUint32(8, queue, true);
    let error = 0;
    for (let tries = 0; tries < BIND_TRIES; tries++) {
      if (bind(this.fd, address.address, SOCKADDR_XDP_SIZE) === 0) return;
      error = errno();
      if (error !== ERRNO.EBUSY) break;
      sleep(BIND_PAUSE_MS);
    }
    const causes: Readonly<Record<number, readonly [string, string]>> = {
      [ERRNO.EBUSY ?? 0]: [
        'another AF_XDP socket has this queue',
        `see who: ss --xdp -p; or how many queues there are: ethtool -l ${device}`,
      ],
      [ERRNO.EINVAL ?? 0]: ['there is no such queue', `see how many: ethtool -l ${device}`],
      [ERRNO.ENODEV ?? 0]: ['there is no such device', 'see which there are: ip link'],
    };
    const [cause, hint] = causes[error] ?? ['the kernel refused', 'choose underlay = "raw"'];
    throw new Failure(EXIT.kernelRefused, `${this.#what}: ${errnoName(error)}: ${cause}`, hint);
  }

  /** The value of a socket option of SOL_XDP. */
  #option(option: number, size: number): DataView {
    const value = new NativeBlock(size);
    const length = new NativeBlock(4);
    length.view.setUint32(0, size, true);
    if (getsockopt(this.fd, SOL_XDP, option, value.address, length.address) === 0) {
      return value.view;
    }
    throw this.#refusal(`tell option ${option}`, errno());
  }

  #refusal(what: string, error: number): Failure {
    return new Failure(
      EXIT.kernelRefused,
      `${this.#what}: the kernel does not ${what}: ${errnoName(error)}`,
      'choose underlay = "raw", which needs no AF_XDP',
    );
  }
}

/** `Xsk.kick` by the descriptor. */
export function kick(fd: number): Kick {
  return sendto(fd, 0, 0, MSG_DONTWAIT, 0, 0) >= 0 ? 'done' : outcome(errno());
}

/** `Xsk.wakeReceive` by the descriptor. */
export function wakeReceive(fd: number): Kick {
  return recvfrom(fd, 0, 0, MSG_DONTWAIT, 0, 0) >= 0 ? 'done' : outcome(errno());
}

function outcome(error: number): Kick {
  switch (error) {
    case ERRNO.EAGAIN:
    case ERRNO.EBUSY:
    case ERRNO.ENOBUFS:
    case ERRNO.ENOMEM:
    case ERRNO.EINTR:
      return 'again';
    default: // ENETDOWN, ENXIO, ENODEV
      return 'down';
  }
}

/** Blocks this thread. */
function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Raises the limit on locked memory so that `size` more bytes fit, as far as that is permitted. */
function raiseLockLimit(size: number): boolean {
  const limit = new NativeBlock(16);
  if (getrlimit(RLIMIT_MEMLOCK, limit.address) !== 0) return false;
  const soft = limit.view.getBigUint64(0, true);
  const hard = limit.view.getBigUint64(8, true);
  // The kernel counts what is locked by user: what others have of it is unknown, so ask for all there is.
  const unlimited = 0xffff_ffff_ffff_ffffn;
  limit.view.setBigUint64(0, unlimited, true);
  limit.view.setBigUint64(8, unlimited, true);
  if (setrlimit(RLIMIT_MEMLOCK, limit.address) === 0) return true;
  if (hard <= soft || hard < BigInt(size)) return false;
  limit.view.setBigUint64(0, hard, true);
  limit.view.setBigUint64(8, hard, true);
  return setrlimit(RLIMIT_MEMLOCK, limit.address) === 0;
}

/** Throws a RangeError unless all areas lie in a memory of `size` bytes, aligned, and none in another. */
function requireInside(plan: XskPlan, size: number): void {
  const ringArea = ({ area, count }: XskRingPlan): [number, number] => [area, ringAreaSize(count)];
  const areas: [number, number][] = [
    [plan.umem, plan.frameCount * plan.frameSize],
    ...RINGS.map(([name]) => ringArea(plan[name])),
  ];
  areas.sort(([a], [b]) => a - b);
  let end = 0;
  for (const [area, length] of areas) {
    const isRight = area >= end && area % MAP_ALIGNMENT === 0 && area + length <= size;
    if (!isRight) throw new RangeError(`area ${area} of ${length} bytes does not fit the memory`);
    end = area + length;
  }
}
