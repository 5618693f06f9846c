// A real Linux kernel as tunnel peer: a guest under QEMU's TCG (no KVM), its network card a tap device in
// a namespace of the test, its console a serial line that takes commands.
import { type ChildProcess, spawnSync } from 'node:child_process';
import type { Namespaces } from '../../src/demo/namespaces.js';
import { lacking } from '../support/lab.js';
import { fetchKernel, type KernelImage, prepareKernelImage } from './kernel-image.js';

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
/** Program and the Debian package that has it. */
const PROGRAMS = [
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['busybox', 'busybox-static'],
  ['cpio', 'cpio'],
  ['ethtool', 'ethtool'],
  ['apt-cache', 'apt'],
  ['apt-get', 'apt'],
  ['dpkg', 'dpkg'],
] as const;

/** Why no guest can be booted here, or undefined. Downloads the kernel when it is not there yet. */
export function missingForKernelPeer(): string | undefined {
  if (process.arch !== 'x64') return `the guest is x86-64, this machine is ${process.arch}`;
  const obstacle = lacking();
  if (obstacle) return obstacle;
  const missing = PROGRAMS.filter(([name]) => spawnSync('sh', ['-c', `command -v ${name}`]).status);
  if (missing.length > 0) {
    return `needs ${missing.map(([name, owner]) => `${name} (apt-get install ${owner})`).join(', ')}`;
  }
  try {
    fetchKernel();
    return undefined;
  } catch (error) {
    return `no kernel to boot: ${error instanceof Error ? error.message : error}`;
  }
}

/** Boots a guest whose eth0 is the tap device `tap` of `namespace`. It ends with `namespaces` at the latest. */
export async function bootKernelPeer(
  namespaces: Namespaces,
  namespace: string,
  tap: string,
): Promise<KernelPeer> {
  const image = prepareKernelImage(namespaces.folder);
  const startedAt = performance.now();
  const child = namespaces.start(namespace, 'qemu-system-x86_64', qemuWords(image, tap), {
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
  }
}

function qemuWords(image: KernelImage, tap: string): string[] {
  return [
    // Before 8.1 QEMU leaves out the memory barriers of a guest with one processor, although its devices run in other
    // threads (its commit c914d46d): now and then a notice of the network card was lost, and nothing arrived any more.
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '256'],
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
