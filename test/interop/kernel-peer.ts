// A real Linux kernel as tunnel peer: a guest under QEMU's TCG (no KVM), its network card a tap device in
// a namespace of the test, its console a serial line that takes commands.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fetchKernel, prepareKernelImage } from './kernel-image.js';

export interface CommandResult {
  readonly status: number;
  /** stdout and stderr as they came. */
  readonly output: string;
}

export interface KernelPeer {
  /** As `uname -r` says it. */
  readonly release: string;
  readonly bootMs: number;

  /** Runs one line of shell in the guest; one at a time. Rejects when it takes longer than `limitMs`. */
  run(words: string, limitMs?: number): Promise<CommandResult>;

  /** The same, rejecting when the command fails. Returns its output. */
  ask(words: string, limitMs?: number): Promise<string>;

  stop(): Promise<void>;
}

const BOOT_LIMIT_MS = 60_000;
const COMMAND_LIMIT_MS = 10_000;
const PROGRAMS = [
  ...['qemu-system-x86_64', 'busybox', 'cpio', 'apt-get', 'apt-cache', 'dpkg'],
  ...['ip', 'ethtool'],
];

/** Why no guest can be booted here, or undefined. Downloads the kernel when it is not there yet. */
export function missingForKernelPeer(): string | undefined {
  if (process.arch !== 'x64') return `the guest is x86-64, this machine is ${process.arch}`;
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const missing = PROGRAMS.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status);
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  try {
    fetchKernel();
    return undefined;
  } catch (error) {
    return `no kernel to boot: ${error instanceof Error ? error.message : error}`;
  }
}

/** Boots a guest whose eth0 is the tap device `tap` of `namespace`, which must exist. */
export async function bootKernelPeer(namespace: string, tap: string): Promise<KernelPeer> {
  const image = prepareKernelImage();
  const startedAt = performance.now();
  const child = spawn('ip', ['netns', 'exec', namespace, ...qemuCommand(image, tap)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const line = new SerialLine(child);
  try {
    await line.expect(/@ready\n/, BOOT_LIMIT_MS);
    const bootMs = performance.now() - startedAt;
    const release = (await line.command('uname -r', COMMAND_LIMIT_MS)).output.trim();
    return peerOn(line, release, bootMs);
  } catch (error) {
    await line.end();
    throw error;
  } finally {
    rmSync(image.initramfs, { force: true });
  }
}

function qemuCommand(image: { kernel: string; initramfs: string }, tap: string): string[] {
  return [
    ...[
      'qemu-system-x86_64',
      '-accel',
      'tcg,thread=multi',
      '-cpu',
      'max',
      '-smp',
      '1',
      '-m',
      '256',
    ],
    ...['-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...['-kernel', image.kernel, '-initrd', image.initramfs],
    ...['-append', 'console=ttyS0 panic=-1 quiet'],
    ...['-netdev', `tap,id=n0,ifname=${tap},script=no,downscript=no`],
    ...['-device', 'virtio-net-pci,netdev=n0,romfile='],
  ];
}

function peerOn(line: SerialLine, release: string, bootMs: number): KernelPeer {
  const run = (words: string, limitMs = COMMAND_LIMIT_MS) => line.command(words, limitMs);
  const ask = async (words: string, limitMs?: number) => {
    const { status, output } = await run(words, limitMs);
    if (status !== 0) throw new Error(`guest: ${words}: status ${status}: ${output}`);
    return output;
  };
  return { release, bootMs, run, ask, stop: () => line.end() };
}

/** The two ends of the serial line: what the guest said so far, and who waits for it. */
class SerialLine {
  #said = '';
  #looked: (() => void) | undefined;
  #commands = 0;
  readonly #ended: Promise<void>;
  #isEnded = false;

  constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('latin1').on('data', (chunk: string) => {
      this.#said += chunk.replaceAll('\r', '');
      this.#looked?.();
    });
    child.stderr?.on('data', (chunk) => {
      this.#said += String(chunk);
    });
    this.#ended = new Promise((resolve) => {
      child.once('close', () => {
        this.#isEnded = true;
        this.#looked?.();
        resolve();
      });
    });
  }

  /** Waits for `pattern`, and takes everything up to its end. */
  expect(pattern: RegExp, limitMs: number): Promise<{ before: string; match: RegExpExecArray }> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer);
        this.#looked = undefined;
        act();
      };
      const refuse = (cause: string) =>
        finish(() => reject(new Error(`guest: ${cause}: ${this.#said.slice(-1000)}`)));
      const timer = setTimeout(() => refuse(`no ${pattern} within ${limitMs} ms`), limitMs);
      this.#looked = () => {
        const match = pattern.exec(this.#said);
        if (match) {
          const before = this.#said.slice(0, match.index);
          this.#said = this.#said.slice(match.index + match[0].length);
          finish(() => resolve({ before, match }));
        } else if (this.#isEnded) {
          refuse('qemu ended');
        }
      };
      this.#looked();
    });
  }

  async command(words: string, limitMs: number): Promise<CommandResult> {
    const id = ++this.#commands;
    this.child.stdin?.write(`${id} ${words}\n`);
    const { before, match } = await this.expect(new RegExp(`@done ${id} (\\d+)\\n`), limitMs);
    return { status: Number(match[1]), output: before };
  }

  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}
