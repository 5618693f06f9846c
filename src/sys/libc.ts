// System calls through koffi. Pointers are numbers: native addresses are below 2^47, so exact.
//
// Every function returns what the C function returns; after a -1 read `errno()` at once, in the same
// thread. Only this file and its neighbours in sys/ know native addresses; nothing of them ever goes
// into the dataplane's memory (the codec sees offsets).
import koffi from 'koffi';
import { EXIT, Failure } from './failure.js';

function loadLibc(): ReturnType<typeof koffi.load> {
  const names = ['libc.so.6', `libc.musl-${MUSL_ARCHITECTURES[process.arch] ?? process.arch}.so.1`];
  const errors: string[] = [];
  for (const name of names) {
    try {
      return koffi.load(name);
    } catch (error) {
      errors.push(String(error));
    }
  }
  throw new Failure(
    EXIT.failed,
    `cannot load the C library (${errors.join('; ')})`,
    'grebe runs on Linux with glibc or musl; decoding works everywhere: grebe decode --help',
  );
}

const MUSL_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

const libc = loadLibc();

export const open: (path: string, flags: number) => number = libc.func(
  'int open(const char *path, int flags)',
);
export const close: (fd: number) => number = libc.func('int close(int fd)');
export const ioctl: (fd: number, request: number, argument: number) => number = libc.func(
  'int ioctl(int fd, unsigned long request, uintptr_t argument)',
);
export const read: (fd: number, address: number, size: number) => number = libc.func(
  'intptr_t read(int fd, uintptr_t address, size_t size)',
);
export const write: (fd: number, address: number, size: number) => number = libc.func(
  'intptr_t write(int fd, uintptr_t address, size_t size)',
);
export const readv: (fd: number, vectors: number, count: number) => number = libc.func(
  'intptr_t readv(int fd, uintptr_t vectors, int count)',
);
export const writev: (fd: number, vectors: number, count: number) => number = libc.func(
  'intptr_t writev(int fd, uintptr_t vectors, int count)',
);
export const socket: (family: number, type: number, protocol: number) => number = libc.func(
  'int socket(int family, int type, int protocol)',
);
export const bind: (fd: number, address: number, length: number) => number = libc.func(
  'int bind(int fd, uintptr_t address, uint32_t length)',
);
export const connect: (fd: number, address: number, length: number) => number = libc.func(
  'int connect(int fd, uintptr_t address, uint32_t length)',
);
export const setsockopt: (
  fd: number,
  level: number,
  option: number,
  value: number,
  length: number,
) => number = libc.func(
  'int setsockopt(int fd, int level, int option, uintptr_t value, uint32_t length)',
);
export const getsockopt: (
  fd: number,
  level: number,
  option: number,
  value: number,
  length: number,
) => number = libc.func(
  'int getsockopt(int fd, int level, int option, uintptr_t value, uintptr_t length)',
);
export const sendto: (
  fd: number,
  data: number,
  size: number,
  flags: number,
  address: number,
  addressLength: number,
) => number = libc.func(
  'intptr_t sendto(int fd, uintptr_t data, size_t size, int flags, uintptr_t address, uint32_t length)',
);
export const recvfrom: (
  fd: number,
  data: number,
  size: number,
  flags: number,
  address: number,
  addressLength: number,
) => number = libc.func(
  'intptr_t recvfrom(int fd, uintptr_t data, size_t size, int flags, uintptr_t address, uintptr_t length)',
);
export const recvmmsg: (fd: number, messages: number, count: number, flags: number) => number = (
  (call: (fd: number, messages: number, count: number, flags: number, timeout: number) => number) =>
  (fd: number, messages: number, count: number, flags: number) =>
    call(fd, messages, count, flags, 0)
)(
  libc.func(
    'int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, uintptr_t timeout)',
  ),
);
export const sendmmsg: (fd: number, messages: number, count: number, flags: number) => number =
  libc.func('int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags)');
export const poll: (fds: number, count: number, timeoutMs: number) => number = libc.func(
  'int poll(uintptr_t fds, unsigned long count, int timeout)',
);
export const eventfd: (initial: number, flags: number) => number = libc.func(
  'int eventfd(unsigned int initial, int flags)',
);
export const epollCreate: (flags: number) => number = libc.func('int epoll_create1(int flags)');
export const epollControl: (epoll: number, operation: number, fd: number, event: number) => number =
  libc.func('int epoll_ctl(int epoll, int operation, int fd, uintptr_t event)');

const epollWaitFunction = libc.func(
  'int epoll_wait(int epoll, uintptr_t events, int count, int timeout)',
);
export const epollWait: (
  epoll: number,
  events: number,
  count: number,
  timeoutMs: number,
) => number = epollWaitFunction;

/** `epollWait` on a thread of the pool, for callers that must not block. Errors resolve as -1. */
export function epollWaitAsync(
  epoll: number,
  events: number,
  count: number,
  timeoutMs: number,
): Promise<number> {
  return new Promise((resolve) => {
    epollWaitFunction.async(epoll, events, count, timeoutMs, (error: unknown, ready: number) =>
      resolve(error ? -1 : ready),
    );
  });
}

/**
 * A system call by number, for those without a function in every C library. Declared without its dots:
 * integers go into the same registers either way, and as 64 bits no half of one is left undefined.
 */
export const syscall: (number: number, a: number, b: number, c: number) => number = libc.func(
  'int64 syscall(int64 number, int64 a, int64 b, int64 c)',
);
/** Capability sets of a thread; both addresses are of the structures of linux/capability.h. */
export const capget: (header: number, data: number) => number = libc.func(
  'int capget(uintptr_t header, uintptr_t data)',
);
export const capset: (header: number, data: number) => number = libc.func(
  'int capset(uintptr_t header, uintptr_t data)',
);
/** Declared without its dots, as syscall is. */
export const prctl: (option: number, a: number, b: number, c: number, d: number) => number =
  libc.func('int prctl(int option, uint64 a, uint64 b, uint64 c, uint64 d)');
export const mmap: (
  address: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number = libc.func(
  'intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, int64 offset)',
);
export const madvise: (address: number, length: number, advice: number) => number = libc.func(
  'int madvise(uintptr_t address, size_t length, int advice)',
);
export const pageSize: () => number = libc.func('int getpagesize(void)');
/** `resource` by number; `limit` is the address of two 64-bit words, soft and hard. */
export const getrlimit: (resource: number, limit: number) => number = libc.func(
  'int getrlimit(int resource, uintptr_t limit)',
);
export const setrlimit: (resource: number, limit: number) => number = libc.func(
  'int setrlimit(int resource, uintptr_t limit)',
);

/** Index of the network device `name`, 0 when there is none. */
export const interfaceIndex: (name: string) => number = libc.func(
  'unsigned int if_nametoindex(const char *name)',
);

/** The error number of the call that just failed in this thread. */
export function errno(): number {
  return koffi.errno();
}

export const ERRNO: Readonly<Record<string, number>> = koffi.os.errno;

/** `ENOENT` for 2 and so on. */
export function errnoName(number: number): string {
  for (const [name, value] of Object.entries(ERRNO)) if (value === number) return name;
  return `errno ${number}`;
}

/** Native address of the first byte of `view`. The caller keeps the view alive while it is in use. */
export function addressOf(view: Uint8Array): number {
  return Number(koffi.address(view));
}

/**
 * Zeroed memory of the host with a fixed native address, for structures that the kernel reads or writes.
 * Its own SharedArrayBuffer: never moved, never on the garbage-collected heap.
 */
export class NativeBlock {
  readonly address: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;

  constructor(size: number) {
    const buffer = new SharedArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = addressOf(this.bytes);
  }
}
