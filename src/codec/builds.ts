// The codec builds: which there are, and how one is loaded and opened.
//
//   1. loadBuild     a name or a path -> a build (read, compiled, border checked)
//   2. verifyBuild   src/codec/verify.ts: may it go live?
//   3. openCodec     an instance over a dataplane's memory, in the thread that will call it
//
// A build can be posted to another thread; the machine code behind its module is shared, tiers included.
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ABI_VERSION } from '../../asm/layout.js';
import { createMemory, planMemory } from '../ring/plan.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Codec } from './contract.js';
import { createJsCodec } from './js.js';
import { borderFault, compileWasm, openWasm, refusal, wasmAbi } from './wasm.js';

/** Builds made from asm/, the preferred one first. */
const WASM_BUILDS = ['simd', 'scalar'] as const;

/** Largest file that is taken for a build: ours have some 7 KiB. */
const BUILD_MAX = 16 << 20;

/** The reference of src/packet behind the face of a codec. */
export interface JsBuild {
  readonly name: 'js';
  readonly module?: undefined;
}

export interface WasmBuild {
  /** `simd`, `scalar`, or the path as it was given. */
  readonly name: string;
  readonly file: string;
  /** Bytes of the module. */
  readonly size: number;
  readonly module: WebAssembly.Module;
}

/** Everything in it can be cloned or shared. */
export type CodecBuild = JsBuild | WasmBuild;

export interface BuildListing {
  readonly name: string;
  readonly file: string | null;
  readonly size: number | null;
  readonly abi: number | null;
  readonly live: boolean;
  /** Why it cannot be used, or null. */
  readonly fault: string | null;
}

/**
 * Loads a build by name (`auto`, `simd`, `scalar`, `js`) or by a path that begins with `.` or `/`. `auto` is
 * `simd` where the engine accepts it, else `scalar`.
 */
export function loadBuild(name: string): CodecBuild {
  if (name === 'js') return { name };
  if (name === 'auto') return loadPreferred();
  if (isWasmName(name)) return loadOwn(name);
  if (isPath(name)) return loadWasm(name, name, readBuild(name, name));
  throw new Failure(
    EXIT.usage,
    `no codec build is named ${JSON.stringify(name)}`,
    'the builds are auto, simd, scalar and js; a path begins with . or /',
  );
}

/** Whether the name of a build is the path of a user's own. */
export function isPath(name: string): boolean {
  return name.startsWith('.') || name.startsWith('/');
}

/** A codec over `memory`. The build should have been verified. */
export function openCodec(build: CodecBuild, memory: WebAssembly.Memory): Codec {
  if (build.module === undefined) return createJsCodec(memory);
  return openWasm(build.name, build.module, memory);
}

/** The ABI number that a build states. */
export function abiOf(build: CodecBuild, memory: WebAssembly.Memory): number {
  return build.module === undefined ? ABI_VERSION : wasmAbi(build.name, build.module, memory);
}

/** Every build, and the live one if it is a user's own. */
export function listBuilds(live?: string): BuildListing[] {
  const names: string[] = [...WASM_BUILDS, 'js'];
  if (live !== undefined && !names.includes(live)) names.push(live);
  const memory = createMemory(planMemory(1));
  return names.map((name) => ({ name, live: name === live, ...describe(name, memory) }));
}

function describe(
  name: string,
  memory: WebAssembly.Memory,
): Pick<BuildListing, 'file' | 'size' | 'abi' | 'fault'> {
  try {
    const build = loadBuild(name);
    const abi = abiOf(build, memory);
    if (build.module === undefined) return { file: null, size: null, abi, fault: null };
    return { file: build.file, size: build.size, abi, fault: null };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { file: null, size: null, abi: null, fault: error.message };
  }
}

function loadPreferred(): CodecBuild {
  const isUsable = ownBuilds.has('simd') || WebAssembly.validate(readBuild('simd', fileOf('simd')));
  return loadOwn(isUsable ? 'simd' : 'scalar');
}

/** Builds of asm/ that this process has loaded: they do not change while it runs. */
const ownBuilds = new Map<string, WasmBuild>();

function loadOwn(name: (typeof WASM_BUILDS)[number]): WasmBuild {
  const known = ownBuilds.get(name);
  if (known !== undefined) return known;
  const build = loadWasm(name, fileOf(name), readBuild(name, fileOf(name)));
  ownBuilds.set(name, build);
  return build;
}

function loadWasm(name: string, file: string, bytes: Uint8Array): WasmBuild {
  const module = compileWasm(name, bytes);
  const fault = borderFault(module, bytes);
  if (fault !== null) throw refusal(name, fault);
  return { name, file, size: bytes.length, module };
}

function readBuild(name: string, file: string): Uint8Array {
  try {
    const stat = statSync(file);
    // Reading a pipe or /dev/zero would not end, and a router would stand still meanwhile.
    if (!stat.isFile()) throw new Error('it is no regular file');
    if (stat.size > BUILD_MAX) throw new Error(`it is larger than ${BUILD_MAX >> 20} MiB`);
    return readFileSync(file);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Failure(
      EXIT.noInput,
      `codec ${name} cannot be read: ${cause}`,
      name === file ? 'name the .wasm file of the build' : 'run node build.mjs to make it',
    );
  }
}

function isWasmName(name: string): name is (typeof WASM_BUILDS)[number] {
  return WASM_BUILDS.some((known) => known === name);
}

/** In the build output: this file is dist/src/codec/builds.js. */
function fileOf(name: (typeof WASM_BUILDS)[number]): string {
  return fileURLToPath(new URL(`../../asm/${name}.wasm`, import.meta.url));
}
