// Sockets, opened and set up with failures that an operator can act on.
import { EXIT, Failure } from './failure.js';
import {
  bind,
  close,
  ERRNO,
  errno,
  errnoName,
  getsockopt,
  NativeBlock,
  setsockopt,
  socket,
} from './libc.js';

/** The line that gives a Node program the capabilities a router needs. */
export const CAPABILITY_HINT =
  'sudo setcap cap_net_admin,cap_net_raw+ep "$(readlink -f "$(command -v node)")"' +
  '; or run it as root; systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW';

// Linux, the same on every architecture that Node runs on but MIPS.
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

/** Opens a socket that children do not inherit, or throws a Failure that says which right or feature is missing. */
export function openSocket(family: number, type: number, protocol: number, what: string): number {
  const fd = socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd >= 0) return fd;
  const error = errno();
  if (error === ERRNO.EPERM || error === ERRNO.EACCES) {
    throw new Failure(
      EXIT.noPermission,
      `${what}: ${errnoName(error)}: the capability CAP_NET_RAW is missing`,
      CAPABILITY_HINT,
    );
  }
  throw new Failure(
    EXIT.kernelRefused,
    `${what}: the kernel refused: ${errnoName(error)}`,
    family === AF_INET6 && error === ERRNO.EAFNOSUPPORT
      ? 'it has no IPv6: see whether it was started with ipv6.disable=1 (cat /proc/cmdline)'
      : undefined,
  );
}

/** Sets an integer option; returns whether the kernel took it. */
export function setOption(fd: number, level: number, option: number, value: number): boolean {
  const block = new NativeBlock(4);
  block.view.setInt32(0, value, true);
  return setsockopt(fd, level, option, block.address, 4) === 0;
}

/** Asks for send and receive buffers of `size` bytes, past the system's limit where that is permitted. */
export function setBuffers(fd: number, size: number): void {
  if (!setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, size)) setOption(fd, SOL_SOCKET, SO_RCVBUF, size);
  if (!setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, size)) setOption(fd, SOL_SOCKET, SO_SNDBUF, size);
}

const SO_BINDTODEVICE = 25;

/** Binds a socket to the network device `name`. Returns false when the kernel refuses: `errno()` says why. */
export function setDevice(fd: number, name: string): boolean {
  const block = new NativeBlock(16);
  new TextEncoder().encodeInto(name, block.bytes.subarray(0, 15) as Uint8Array<ArrayBuffer>);
  return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, block.address, 16) === 0;
}

/** Binds a socket to the network device `name`, or throws. */
export function bindToDevice(fd: number, name: string): void {
  if (setDevice(fd, name)) return;
  const error = errno();
  close(fd);
  throw new Failure(
    EXIT.kernelRefused,
    `cannot bind to the device ${name}: ${errnoName(error)}`,
    'see which devices there are: ip link',
  );
}

/** struct sockaddr_in and sockaddr_in6: family, port, then where the address lies. */
export const SOCKADDR_IN_SIZE = 16;
export const SOCKADDR_IN_ADDRESS = 4;
export const SOCKADDR_IN6_SIZE = 28;
export const SOCKADDR_IN6_ADDRESS = 8;
const SOCKADDR_IN6_SCOPE = 24;

/** An address of 4 or 16 bytes and a port as the kernel takes them; `link`: index of the device it counts on. */
export function socketAddress(address: Uint8Array, port: number, link = 0): NativeBlock {
  const isIpv4 = address.length === 4;
  const block = new NativeBlock(isIpv4 ? SOCKADDR_IN_SIZE : SOCKADDR_IN6_SIZE);
  block.view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  block.view.setUint16(2, port);
  block.bytes.set(address, isIpv4 ? SOCKADDR_IN_ADDRESS : SOCKADDR_IN6_ADDRESS);
  // The kernel looks at it where it matters: for link-local addresses.
  if (!isIpv4) block.view.setUint32(SOCKADDR_IN6_SCOPE, link, true);
  return block;
}

/**
 * Binds a socket to `address`, 4 or 16 bytes (zeros = all of ours), and `port` (0 = any that is free); `link`: the
 * device of a link-local address. Returns false when the kernel refuses: `errno()` says why.
 */
export function bindSocket(fd: number, address: Uint8Array, port: number, link = 0): boolean {
  const name = socketAddress(address, port, link);
  return bind(fd, name.address, name.bytes.length) === 0;
}

/** Leaves a socket that is only sent through as little room for what it receives as the kernel allows. */
export function shrinkReceiveBuffer(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_RCVBUF, 0);
}

const SO_MEMINFO = 55;
/** u32[SK_MEMINFO_VARS] of linux/sock_diag.h; SK_MEMINFO_DROPS is the last. */
const MEMINFO_SIZE = 36;
const MEMINFO_DROPS = 32;

/**
 * What the kernel dropped instead of handing it to this socket, since it was opened, modulo 2^32; undefined where it
 * does not say (before Linux 4.12).
 */
export function receiveDrops(fd: number): number | undefined {
  const { address, view } = new NativeBlock(MEMINFO_SIZE);
  const length = new NativeBlock(4);
  length.view.setUint32(0, MEMINFO_SIZE, true);
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, address, length.address) !== 0) return undefined;
  return length.view.getUint32(0, true) < MEMINFO_SIZE
    ? undefined
    : view.getUint32(MEMINFO_DROPS, true);
}
