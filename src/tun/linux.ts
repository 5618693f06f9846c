// The kernel's side of the devices: makes TUN and TAP devices and their queues, and reads and writes slots through them.
import { DEVICE_HEADER_SIZE, SLOT_PACKET } from '../../asm/layout.js';
import {
  REASON_NONE,
  REASON_QUEUE_FULL,
  REASON_TUNNEL_DOWN,
  REASON_TX_ERROR,
} from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import { EXIT, Failure } from '../sys/failure.js';
import {
  close,
  ERRNO,
  errno,
  errnoName,
  interfaceIndex,
  ioctl,
  NativeBlock,
  open,
  readv,
  write,
  writev,
} from '../sys/libc.js';
import { CAPABILITY_HINT } from '../sys/socket.js';
import { type TunDevice, WRITE_REFUSED } from './contract.js';
import { type DeviceVectors, READ_PIECES } from './vectors.js';

// include/uapi/linux/if_tun.h
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETCARRIER = 0x400454e2; // since Linux 5.0
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;
const IFF_TUN = 0x0001;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFF_MULTI_QUEUE = 0x0100;
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

const PATH = '/dev/net/tun';
const IFREQ_SIZE = 40;
const IFREQ_FLAGS = 16;

/** What a device may leave for us to do; see OffloadConfig. */
export interface DeviceOffload {
  readonly csum: boolean;
  readonly tso4: boolean;
  readonly tso6: boolean;
  readonly uso4: boolean;
  readonly uso6: boolean;
}

export interface TunOptions {
  /** Default: everything that the kernel has. */
  readonly offload?: DeviceOffload;
  /** Lets `addQueue` add queues to it. */
  readonly isMultiQueue?: boolean;
  /** A TAP device, which has Ethernet frames. */
  readonly isTap?: boolean;
}

/**
 * Makes the TUN or TAP device `name` and returns its file descriptor. The device lives as long as the descriptor:
 * also after kill -9 nothing of it stays. Throws a Failure when the kernel refuses.
 */
export function createTun(name: string, options: TunOptions = {}): number {
  const { offload, isMultiQueue, isTap } = options;
  if (interfaceIndex(name) !== 0) {
    throw new Failure(
      EXIT.kernelRefused,
      `tunnel ${name}: an interface of that name exists already: EEXIST`,
      `look at it: ip -d link show ${name}; then remove it (ip link del ${name}) or rename the tunnel`,
    );
  }
  const fd = open(PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw openFailure(name, errno());

  if (attach(fd, name, flagsOf(isTap, isMultiQueue))) {
    setOffload(fd, offload);
    return fd;
  }

  const error = errno();
  close(fd);
  if (error === ERRNO.EPERM) {
    throw new Failure(
      EXIT.noPermission,
      `tunnel ${name}: making a TUN device: EPERM: the capability CAP_NET_ADMIN is missing`,
      CAPABILITY_HINT,
    );
  }
  throw new Failure(
    EXIT.kernelRefused,
    `tunnel ${name}: the kernel refused to make the TUN device: ${errnoName(error)}`,
    `see whether something holds that name: ip -d link show ${name}`,
  );
}

/** Opens one more queue of the device `name`, which was made with `isMultiQueue`. Throws a Failure when it cannot. */
export function addQueue(name: string, isTap = false): number {
  const fd = open(PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw openFailure(name, errno());
  if (attach(fd, name, flagsOf(isTap, true))) return fd;
  const error = errno();
  close(fd);
  throw new Failure(
    EXIT.kernelRefused,
    `tunnel ${name}: the kernel refused another queue: ${errnoName(error)}`,
    'run with lanes = 1',
  );
}

/** Says of a device, by any of its descriptors, whether its cable is plugged in. Returns false where it cannot. */
export function setCarrier(fd: number, isUp: boolean): boolean {
  const value = new NativeBlock(4);
  value.view.setInt32(0, isUp ? 1 : 0, true);
  return ioctl(fd, TUNSETCARRIER, value.address) === 0;
}

function flagsOf(isTap = false, isMultiQueue = false): number {
  return (isTap ? IFF_TAP : IFF_TUN) | (isMultiQueue ? IFF_MULTI_QUEUE : 0);
}

function attach(fd: number, name: string, flags: number): boolean {
  const request = new NativeBlock(IFREQ_SIZE);
  request.bytes.set(new TextEncoder().encode(name));
  request.view.setUint16(IFREQ_FLAGS, IFF_NO_PI | IFF_VNET_HDR | flags, true);
  return ioctl(fd, TUNSETIFF, request.address) === 0;
}

/**
 * Tells the kernel what it may leave to us. One that does not know USO (before 6.2) hands such packets over split,
 * one that knows nothing of it all finished.
 */
function setOffload(fd: number, offload: DeviceOffload = EVERYTHING): void {
  if (!offload.csum) return;
  const tso = (offload.tso4 ? TUN_F_TSO4 : 0) | (offload.tso6 ? TUN_F_TSO6 : 0);
  const uso = (offload.uso4 ? TUN_F_USO4 : 0) | (offload.uso6 ? TUN_F_USO6 : 0);
  for (const features of [TUN_F_CSUM | tso | uso, TUN_F_CSUM | tso, TUN_F_CSUM]) {
    if (ioctl(fd, TUNSETOFFLOAD, features) === 0) return;
  }
}

const EVERYTHING: DeviceOffload = { csum: true, tso4: true, tso6: true, uso4: true, uso6: true };

function openFailure(name: string, error: number): Failure {
  const message = `tunnel ${name}: cannot open ${PATH}: ${errnoName(error)}`;
  if (error === ERRNO.EACCES || error === ERRNO.EPERM) {
    return new Failure(EXIT.noPermission, message, CAPABILITY_HINT);
  }
  if (error === ERRNO.ENOENT || error === ERRNO.ENODEV || error === ERRNO.ENXIO) {
    return new Failure(
      EXIT.kernelRefused,
      `${message}: this system has no TUN devices`,
      `load the driver (sudo modprobe tun), or make the node: sudo mkdir -p /dev/net && sudo mknod ${PATH} c 10 200`,
    );
  }
  return new Failure(EXIT.kernelRefused, message);
}

/** Where the packets of this thread that were in no ring are written from; made with the first. */
let injected: NativeBlock | undefined;

/** A TUN or TAP device of Linux, reading and writing the dataplane's memory directly. */
export class LinuxTun implements TunDevice {
  readonly name: string;
  readonly fd: number;
  readonly #vectors: DeviceVectors;

  /** Takes over `fd`. `vectors`: of the lane that reads and writes. */
  constructor(name: string, fd: number, vectors: DeviceVectors) {
    this.name = name;
    this.fd = fd;
    this.#vectors = vectors;
  }

  read(_ring: Ring, position: number): number {
    const length = readv(this.fd, this.#vectors.forRead(position), READ_PIECES);
    return length > DEVICE_HEADER_SIZE ? length - DEVICE_HEADER_SIZE : 0;
  }

  write(ring: Ring, index: number): number {
    const pieces = this.#vectors.setWrite(ring, index);
    if (writev(this.fd, this.#vectors.write, pieces) >= 0) return REASON_NONE;
    switch (errno()) {
      case ERRNO.EAGAIN:
      case ERRNO.ENOBUFS:
      case ERRNO.ENOMEM:
        return REASON_QUEUE_FULL;
      case ERRNO.EIO: // the device is not up
      case ERRNO.EBADFD: // the device was deleted
        return REASON_TUNNEL_DOWN;
      case ERRNO.EINVAL:
        return pieces > READ_PIECES ? WRITE_REFUSED : REASON_TX_ERROR;
      default:
        return REASON_TX_ERROR;
    }
  }

  inject(packet: Uint8Array): boolean {
    if (packet.length > SLOT_PACKET) return false;
    // The device header stays zero: nothing is left to do.
    injected ??= new NativeBlock(DEVICE_HEADER_SIZE + SLOT_PACKET);
    injected.bytes.set(packet, DEVICE_HEADER_SIZE);
    return write(this.fd, injected.address, DEVICE_HEADER_SIZE + packet.length) >= 0;
  }

  close(): void {
    close(this.fd);
  }
}
