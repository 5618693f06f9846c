// The same bytes summed over and over: by the codec builds, by C, and copied, for a scale.
//
// The repeating loops lie in WebAssembly and in C, so that no figure holds a call from JavaScript.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import binaryen from 'assemblyscript/binaryen';
import koffi from 'koffi';
import { type CodecBuild, openCodec } from '../../src/codec/builds.js';
import type { Codec } from '../../src/codec/contract.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { addressOf } from '../../src/sys/libc.js';

/** Works on `length` bytes, `count` times. */
export type Repeat = (length: number, count: number) => void;

/** Room for the bytes; their copy goes behind them. */
const LONGEST = 65536;
const SOURCE_FILE = fileURLToPath(new URL('../../../bench/codec/checksum.c', import.meta.url));

const LOOPS = `(module
  (import "env" "memory" (memory 1 65536 shared))
  (import "env" "checksum" (func $checksum (param i32 i32) (result i32)))
  (func (export "sum") (param $from i32) (param $length i32) (param $count i32)
    (loop $again
      (drop (call $checksum (local.get $from) (local.get $length)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  (func (export "copy") (param $from i32) (param $length i32) (param $count i32)
    (loop $again
      (memory.copy
        (i32.add (local.get $from) (i32.const ${LONGEST})) (local.get $from) (local.get $length))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))`;

export class ChecksumLoad {
  /** What can be measured here, by name. */
  readonly rows = new Map<string, Repeat>();
  /** Why there is no row for C, or null. */
  readonly withoutC: string | null;
  readonly #memory: WebAssembly.Memory;
  readonly #address: number;

  constructor(builds: readonly CodecBuild[]) {
    const plan = planMemory(1);
    this.#memory = createMemory(plan);
    // A counter region: untouched by anything else, and on a page border.
    this.#address = plan.lanes[0]?.counters ?? 0;
    new Uint8Array(this.#memory.buffer, this.#address, LONGEST).fill(0x5a);
    const loops = new WebAssembly.Module(assemble(LOOPS));
    for (const build of builds) {
      const codec = openCodec(build, this.#memory);
      this.rows.set(build.name, this.#loop(loops, 'sum', checksumOf(build, codec)));
    }
    this.rows.set(
      'memory.copy',
      this.#loop(loops, 'copy', () => 0),
    );
    this.withoutC = this.#addC();
  }

  /** One of the loops of LOOPS over this memory. */
  #loop(module: WebAssembly.Module, name: string, checksum: Codec['checksum']): Repeat {
    const env = { memory: this.#memory, checksum };
    const loop = new WebAssembly.Instance(module, { env }).exports[name];
    if (typeof loop !== 'function') throw new TypeError(`the loops have no ${name}`);
    return (length, count) => loop(this.#address, length, count);
  }

  /** Compiles and adds the C loop, over the same bytes. Returns why it cannot. */
  #addC(): string | null {
    const folder = mkdtempSync(join(tmpdir(), 'grebe-bench-'));
    try {
      const library = join(folder, 'checksum.so');
      const words = ['-O3', '-shared', '-fPIC', '-o', library, SOURCE_FILE];
      const { status, error, stderr } = spawnSync('gcc', words, { encoding: 'utf8' });
      if (error !== undefined) return 'gcc is not installed';
      if (status !== 0) return `gcc: ${stderr.trim()}`;
      // A loaded library outlives its file.
      const sum = koffi
        .load(library)
        .func('uint32_t checksum_repeat(uintptr_t address, size_t length, uint32_t count)');
      const address = addressOf(new Uint8Array(this.#memory.buffer)) + this.#address;
      this.rows.set('gcc -O3', (length, count) => sum(address, length, count));
      return null;
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}

/** A WebAssembly export as it is, so that the loop calls it without a way through JavaScript. */
function checksumOf(build: CodecBuild, codec: Codec): Codec['checksum'] {
  if (build.module !== undefined) return codec.checksum;
  return (address, length) => codec.checksum(address, length);
}

function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.Atomics | binaryen.Features.BulkMemory);
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}
