// bpf(2): programs, maps and the links that attach them. Nothing here is pinned: programs, maps and
// attachments go with their last descriptor, so also with a router that is killed.
import { spawnSync } from 'node:child_process';
import { EXIT, Failure } from './failure.js';
import { close, ERRNO, errno, errnoName, NativeBlock, syscall } from './libc.js';

/** Number of bpf(2) by architecture. */
const SYSCALL_NUMBERS: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };

const BPF_MAP_CREATE = 0;
const BPF_MAP_LOOKUP_ELEM = 1;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_MAP_DELETE_ELEM = 3;
const BPF_PROG_LOAD = 5;
const BPF_LINK_CREATE = 28;

export const PROGRAM_TYPE = { schedCls: 3, xdp: 6 } as const;
export const MAP_TYPE = { hash: 1, array: 2, xskmap: 17 } as const;
/** Kernel 5.9 and newer have XDP links, 6.6 and newer those of TCX. */
export const ATTACH_TYPE = { xdp: 37, tcxEgress: 47 } as const;

/** Bytes of union bpf_attr that any command here uses; the kernel takes a short one. */
const ATTRIBUTE_SIZE = 128;
const NAME_LENGTH = 15;
const INSTRUCTION_SIZE = 8;
/** Room for what the verifier says about one of our programs. */
const LOG_SIZE = 1 << 18;
/** Lines of it that go into a Failure: the last name the instruction and the cause. */
const LOG_LINES = 6;

const CAPABILITIES =
  'sudo setcap cap_bpf,cap_net_admin,cap_net_raw+ep "$(readlink -f "$(command -v node)")"' +
  '; or run it as root; systemd: AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_NET_RAW';

export interface ProgramOptions {
  readonly type: (typeof PROGRAM_TYPE)[keyof typeof PROGRAM_TYPE];
  /** At most 15 letters, digits, dots and underscores: what `bpftool` shows. */
  readonly name: string;
  /** Instructions, 8 bytes each: see BpfAssembler. */
  readonly code: Uint8Array;
  /** Helpers that the kernel reserves for the GPL are refused to any other licence. */
  readonly license?: string;
}

/** The verifier gives up when a signal comes for the process, and is then asked again. */
const SIGNAL_TRIES = 5;

/**
 * Loads a program and returns its descriptor, for the caller to close. Throws a Failure that has the last
 * lines of the verifier's log when it is refused.
 */
export function loadProgram(options: ProgramOptions): number {
  const what = `BPF program ${options.name}`;
  const code = copy(options.code);
  const license = copy(new TextEncoder().encode(`${options.license ?? 'Apache-2.0'}\0`));
  const attribute = new NativeBlock(ATTRIBUTE_SIZE);
  const { view } = attribute;
  view.setUint32(0, options.type, true);
  view.setUint32(4, options.code.length / INSTRUCTION_SIZE, true);
  setPointer(view, 8, code);
  setPointer(view, 16, license);
  setName(attribute, 48, options.name);
  const fd = verify(attribute, what);
  if (fd >= 0) return fd;
  const error = errno();
  if (error !== ERRNO.EACCES && error !== ERRNO.EINVAL) throw bpfFailure(what, error);

  // Again, with a log: writing one takes the verifier time that a good program does not need.
  const log = new NativeBlock(LOG_SIZE);
  view.setUint32(24, 1, true);
  view.setUint32(28, LOG_SIZE, true);
  setPointer(view, 32, log);
  const second = verify(attribute, what);
  if (second >= 0) return second;
  const text = Buffer.from(log.bytes.subarray(0, log.bytes.indexOf(0))).toString('latin1');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('processed '));
  throw new Failure(
    EXIT.kernelRefused,
    `${what}: the verifier refused it: ${errnoName(error)}: ${lines.slice(-LOG_LINES).join('; ')}`,
    'choose underlay = "raw", which needs no BPF, and report this with the output of: uname -a',
  );
}

/** BPF_PROG_LOAD: a descriptor, or -1 with the reason in errno. */
function verify(attribute: NativeBlock, what: string): number {
  for (let tries = 1; ; tries++) {
    const fd = bpf(BPF_PROG_LOAD, attribute, what);
    if (fd >= 0 || errno() !== ERRNO.EAGAIN || tries === SIGNAL_TRIES) return fd;
  }
}

export interface MapOptions {
  readonly type: (typeof MAP_TYPE)[keyof typeof MAP_TYPE];
  /** At most 15 letters, digits, dots and underscores. */
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly capacity: number;
}

/** A map: keys and values are bytes, in the order of the program's memory. */
export class BpfMap {
  readonly fd: number;
  readonly #name: string;
  readonly #attribute = new NativeBlock(ATTRIBUTE_SIZE);
  /** Without a value: the kernel refuses fields that a command does not have. */
  readonly #keyAttribute = new NativeBlock(ATTRIBUTE_SIZE);
  readonly #key: NativeBlock;
  readonly #value: NativeBlock;

  /** Makes the map. Throws a Failure when the kernel refuses. */
  constructor({ type, name, keySize, valueSize, capacity }: MapOptions) {
    this.#name = name;
    this.#key = new NativeBlock(keySize);
    this.#value = new NativeBlock(valueSize);
    const attribute = new NativeBlock(ATTRIBUTE_SIZE);
    [type, keySize, valueSize, capacity].forEach((word, index) => {
      attribute.view.setUint32(index * 4, word, true);
    });
    setName(attribute, 28, name);
    this.fd = bpf(BPF_MAP_CREATE, attribute, `BPF map ${name}`);
    if (this.fd < 0) throw bpfFailure(`BPF map ${name}`, errno());
    for (const { view } of [this.#attribute, this.#keyAttribute]) {
      view.setUint32(0, this.fd, true);
      setPointer(view, 8, this.#key);
    }
    setPointer(this.#attribute.view, 16, this.#value);
  }

  /** Adds or replaces an entry; a program that runs sees it at once. Throws a Failure when there is no room. */
  update(key: Uint8Array, value: Uint8Array): void {
    this.#key.bytes.set(key);
    this.#value.bytes.set(value);
    if (bpf(BPF_MAP_UPDATE_ELEM, this.#attribute, this.#name) === 0) return;
    const error = errno();
    if (error === ERRNO.E2BIG) {
      throw new Failure(EXIT.kernelRefused, `BPF map ${this.#name}: it is full: E2BIG`);
    }
    throw bpfFailure(`BPF map ${this.#name}`, error);
  }

  /** A copy of the value of `key`, or undefined where there is none. */
  lookup(key: Uint8Array): Uint8Array | undefined {
    this.#key.bytes.set(key);
    if (bpf(BPF_MAP_LOOKUP_ELEM, this.#attribute, this.#name) !== 0) return undefined;
    return this.#value.bytes.slice();
  }

  /** Returns whether the entry was there. */
  delete(key: Uint8Array): boolean {
    this.#key.bytes.set(key);
    return bpf(BPF_MAP_DELETE_ELEM, this.#keyAttribute, this.#name) === 0;
  }

  /** Gives the descriptor back; the map lives on as long as a program uses it. */
  close(): void {
    close(this.fd);
  }
}

export interface LinkOptions {
  readonly program: number;
  /** Index and name of the network device. */
  readonly link: number;
  readonly device: string;
  readonly attachType: (typeof ATTACH_TYPE)[keyof typeof ATTACH_TYPE];
  readonly flags?: number;
}

/**
 * Attaches a program to a device. Returns the descriptor of the link, for the caller to close (or to lose:
 * a link that nobody holds is gone), or the error number of the kernel's refusal.
 */
export function createLink(
  options: LinkOptions,
): { readonly fd: number } | { readonly error: number } {
  const attribute = new NativeBlock(ATTRIBUTE_SIZE);
  const { program, link, attachType, flags = 0 } = options;
  [program, link, attachType, flags].forEach((word, index) => {
    attribute.view.setUint32(index * 4, word, true);
  });
  const fd = bpf(BPF_LINK_CREATE, attribute, `BPF link to ${options.device}`);
  return fd >= 0 ? { fd } : { error: errno() };
}

/** The Failure for a link that `createLink` could not make: the device, the cause, what to do. */
export function linkFailure({ device, attachType }: LinkOptions, error: number): Failure {
  const what = `device ${device}: no BPF program can be attached: ${errnoName(error)}`;
  const refused = (cause: string, hint: string): Failure =>
    new Failure(EXIT.kernelRefused, `${what}: ${cause}`, hint);
  switch (error) {
    case ERRNO.EPERM:
    case ERRNO.ENOSYS:
      return bpfFailure(`device ${device}`, error);
    case ERRNO.ENODEV:
      return refused('there is no such device', 'see which there are: ip link');
  }
  if (attachType === ATTACH_TYPE.tcxEgress) {
    return refused('links to its way out need Linux 6.6 or newer', 'see which it is: uname -r');
  }
  switch (error) {
    case ERRNO.EBUSY:
    case ERRNO.EEXIST:
      return refused(...inTheWay(device));
    case ERRNO.EOPNOTSUPP:
      return refused('its driver does not know XDP', 'choose underlay = "raw"');
    case ERRNO.ERANGE:
    case ERRNO.EINVAL:
    case ERRNO.ENOSPC:
      return refused(
        'its MTU is too large for XDP, it merges packets (LRO), it has too few queues, or the kernel is too old for links',
        `lower the MTU: ip link set dev ${device} mtu 1500; or switch merging off: ethtool -K ${device} lro off`,
      );
    default:
      return bpfFailure(`device ${device}`, error);
  }
}

/** The XDP program that keeps another one off a device, as far as `ip` tells, and how it is taken away. */
function inTheWay(device: string): [cause: string, hint: string] {
  const links = readLinks();
  const own = links.find(({ ifname }) => ifname === device);
  // The kernel takes no program on a device below one that has a program: a port of a bridge, say.
  const isAbove = ({ ifname, link }: LinkObject): boolean =>
    link === device || (ifname !== undefined && ifname === own?.master);
  const upper = own?.xdp ? undefined : links.find((one) => one.xdp && isAbove(one));
  const place = upper?.ifname ?? device;
  const where = upper === undefined ? '' : ` to ${place} above it`;
  return [
    `another program is attached already${where}${programText(upper ?? own)}`,
    `see it: ip -d link show dev ${place}; take it away where it is not needed: ip link set dev ${place} xdp off, or end the process that holds it: bpftool link`,
  ];
}

function readLinks(): readonly LinkObject[] {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const words = ['-j', '-d', 'link', 'show'];
  const { stdout } = spawnSync('ip', words, { encoding: 'utf8', env, timeout: 2000 });
  try {
    return JSON.parse(stdout) as LinkObject[];
  } catch {
    return [];
  }
}

/** ` (program 12 "name", native)`, or nothing where `ip` does not tell. */
function programText(link: LinkObject | undefined): string {
  const attached = link?.xdp?.attached?.[0] ?? link?.xdp;
  const { id, name } = attached?.prog ?? {};
  if (attached === undefined || id === undefined) return '';
  const mode = MODES[attached.mode ?? -1] ?? 'XDP';
  return ` (program ${id}${name === undefined ? '' : ` "${name}"`}, ${mode})`;
}

interface LinkObject {
  readonly ifname?: string;
  /** The device that this one is made on top of. */
  readonly link?: string;
  /** The bridge, say, that this one is a port of. */
  readonly master?: string;
  readonly xdp?: Attached & { readonly attached?: readonly Attached[] };
}

interface Attached {
  readonly mode?: number;
  readonly prog?: { readonly id?: number; readonly name?: string };
}

/** XDP_ATTACHED_* of if_link.h. */
const MODES: Readonly<Record<number, string>> = { 1: 'native', 2: 'generic', 3: 'offloaded' };

/** One bpf(2) call; -1 with errno when it fails. */
function bpf(command: number, attribute: NativeBlock, what: string): number {
  const number = SYSCALL_NUMBERS[process.arch];
  if (number === undefined) {
    throw new Failure(
      EXIT.failed,
      `${what}: the number of bpf(2) is not known for ${process.arch}`,
      'choose underlay = "raw", which needs no BPF',
    );
  }
  return syscall(number, command, attribute.address, ATTRIBUTE_SIZE);
}

function bpfFailure(what: string, error: number): Failure {
  switch (error) {
    case ERRNO.EPERM:
      return new Failure(
        EXIT.noPermission,
        `${what}: EPERM: the capability CAP_BPF or CAP_NET_ADMIN is missing (or, before Linux 5.11, the limit on locked memory is too low)`,
        CAPABILITIES,
      );
    case ERRNO.ENOSYS:
      return new Failure(
        EXIT.kernelRefused,
        `${what}: ENOSYS: this kernel has no BPF`,
        'choose underlay = "raw"',
      );
    default:
      return new Failure(
        EXIT.kernelRefused,
        `${what}: the kernel refused: ${errnoName(error)}`,
        'choose underlay = "raw", which needs no BPF',
      );
  }
}

function copy(bytes: Uint8Array): NativeBlock {
  const block = new NativeBlock(bytes.length);
  block.bytes.set(bytes);
  return block;
}

function setPointer(view: DataView, offset: number, block: NativeBlock): void {
  view.setBigUint64(offset, BigInt(block.address), true);
}

function setName(attribute: NativeBlock, offset: number, name: string): void {
  attribute.bytes.set(new TextEncoder().encode(name).subarray(0, NAME_LENGTH), offset);
}
