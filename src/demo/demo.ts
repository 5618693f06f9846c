// grebe demo: shows tunnels that carry real traffic, on any machine.
//
//   1. choose   level A with the kernel's devices where that is possible, level B in memory elsewhere
//   2. run      pings and a bulk transfer through gre, ipip and sit; printed as they come
//   3. keep     the outer packets in grebe-demo.pcapng
import { spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CaptureFile, LINKTYPE_RAW } from '../inspect/pcapng-writer.js';
import { EXIT, Failure } from '../sys/failure.js';
import { findWay, INSIDE, inUserNamespace } from './level.js';
import { SEARCH_PATH, sweepNamespaces } from './namespaces.js';
import { formatClosing, formatJson, formatMode, formatOpening, type Level } from './report.js';
import {
  hasPassed,
  LabFailure,
  type LevelOptions,
  type LevelResult,
  type OuterPacket,
} from './result.js';

export interface DemoOptions {
  /** Forces a level; absent: the best one the machine allows. */
  readonly level?: Level;
  /** One line of JSON in the place of the report. */
  readonly json?: boolean;
  /** Shorter transfers, fewer pings. */
  readonly quick?: boolean;
}

const PROGRAM = fileURLToPath(new URL('../cli/main.js', import.meta.url));
/** The outer packets, in the current folder. */
const CAPTURE = 'grebe-demo.pcapng';
/** Its name until it is whole. */
const UNFINISHED = `${CAPTURE}.tmp`;

/** Exit codes above it say which signal ended a process. */
const SIGNALLED = 128;

const FULL = { bulkSeconds: 1, echoCount: 100 };
const QUICK = { bulkSeconds: 0.3, echoCount: 20 };

/** Runs the demo and returns the exit code: 0 only if everything passed. */
export async function runDemo(options: DemoOptions = {}): Promise<number> {
  requireWritableFolder();
  const choice = chooseLevel(options.level);
  if (choice.inUserNamespace) return await runInUserNamespace(options);
  try {
    return await runHere(choice, options);
  } catch (error) {
    // Found out only when the lab was built: the next best level is shown instead.
    if (options.level !== undefined || !(error instanceof LabFailure)) throw error;
    return await runHere({ ...choice, level: 'b', obstacles: [error.message] }, options);
  }
}

async function runHere({ level, obstacles }: Choice, options: DemoOptions): Promise<number> {
  const start = performance.now();
  const print = (text: string): boolean => options.json || process.stdout.write(`${text}\n`);
  const levelOptions: LevelOptions = {
    ...(options.quick ? QUICK : FULL),
    onReady: () => print(formatOpening(level, obstacles)),
    onMode: (mode) => print(formatMode(level, mode)),
  };
  const result = await runLevel(level, levelOptions);
  const seconds = (performance.now() - start) / 1000;
  writeCapture(result.packets);
  print(formatClosing(result, seconds, CAPTURE));
  if (options.json) {
    process.stdout.write(`${formatJson(level, obstacles, result, seconds, CAPTURE)}\n`);
  }
  return result.modes.every(hasPassed) ? EXIT.ok : EXIT.failed;
}

interface Choice {
  readonly level: Level;
  /** Why it is not level A. */
  readonly obstacles: readonly string[];
  /** Whether level A is to be run by a process of its own in a user namespace. */
  readonly inUserNamespace: boolean;
}

function chooseLevel(asked: Level | undefined): Choice {
  if (asked === 'b') return { level: 'b', obstacles: [], inUserNamespace: false };
  const way = findWay();
  switch (way.kind) {
    case 'direct':
      sweepNamespaces();
      return { level: 'a', obstacles: [], inUserNamespace: false };
    case 'user-namespace':
      return { level: 'a', obstacles: [], inUserNamespace: true };
    case 'none': {
      const { obstacles } = way;
      if (asked === undefined) return { level: 'b', obstacles, inUserNamespace: false };
      throw new Failure(
        EXIT.noPermission,
        `demo level A is not possible here: ${obstacles.join('; ')}`,
        'run it as root, or see level B: grebe demo --level b',
      );
    }
  }
}

/** Each level is loaded only where it is run: level B needs neither namespaces nor devices. */
async function runLevel(level: Level, options: LevelOptions): Promise<LevelResult> {
  if (level === 'a') return (await import('./kernel-level.js')).runKernelLevel(options);
  return (await import('./memory-level.js')).runMemoryLevel(options);
}

/** Runs this demo once more, as the root of a user namespace. */
async function runInUserNamespace({ level, json, quick }: DemoOptions): Promise<number> {
  const words = [
    'demo',
    ...(level === undefined ? [] : ['--level', level]),
    ...(json ? ['-j'] : []),
    ...(quick ? ['--quick'] : []),
  ];
  const [command, args] = inUserNamespace([process.execPath, PROGRAM, ...words]);
  const env = { ...process.env, PATH: SEARCH_PATH, [INSIDE]: '1' };
  const child = spawn(command, args, { stdio: 'inherit', env });
  // A signal that reaches only this process is passed on: the child cleans up and ends.
  const pass = (signal: NodeJS.Signals): boolean => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      // Ended by a signal, as this process is: shells expect the same number from both.
      if (code !== null && code > SIGNALLED) process.exit(code);
      resolve(code ?? EXIT.failed);
    });
  });
}

function requireWritableFolder(): void {
  try {
    closeSync(openSync(UNFINISHED, 'w'));
    rmSync(UNFINISHED);
  } catch (error) {
    throw new Failure(
      EXIT.failed,
      `cannot write ${CAPTURE} in ${process.cwd()}: ${codeOf(error)}`,
      'run the demo in a folder of your own with free space: cd "$(mktemp -d)"',
    );
  }
}

/** Writes the capture file whole or not at all. */
function writeCapture(packets: readonly OuterPacket[]): void {
  try {
    const file = new CaptureFile(UNFINISHED, 'grebe demo');
    const interfaceId = file.addInterface({
      name: 'u0',
      description: 'underlay of router rA',
      linkType: LINKTYPE_RAW,
    });
    for (const { timeMs, bytes, length } of packets) {
      const timestampNs = BigInt(Math.round(timeMs * 1e6));
      file.add({ interfaceId, timestampNs, bytes, originalLength: length });
    }
    file.close();
    renameSync(UNFINISHED, CAPTURE);
  } catch (error) {
    rmSync(UNFINISHED, { force: true });
    if (!(error instanceof Failure)) throw error;
    throw new Failure(EXIT.failed, `the tunnels were shown, but ${error.message}`, error.hint);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
