// Codec builds that are wrong in one thing, made from the real ones: from asm/ with one line changed, or
// from a compiled build with one part of its border changed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main } from 'assemblyscript/asc';
import binaryen from 'assemblyscript/binaryen';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** One line of asm/ and what stands there instead. */
export interface Change {
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/** Compiles asm/ with one change, unoptimized. */
export async function compileChanged(change: Change): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  let applied = false;
  const { error, stderr } = await main(
    [
      ...['asm/index.ts', '--outFile', 'codec.wasm', '--runtime', 'stub', '--noAssert'],
      ...['--importMemory', '--noExportMemory', '--sharedMemory'],
      ...['--initialMemory', '1', '--maximumMemory', '65536', '--enable', 'threads'],
    ],
    {
      readFile: (name) => {
        const text = readSource(name);
        if (name !== `asm/${change.file}` || text === null) return text;
        assert.ok(text.includes(change.before), `${name} has no ${change.before}`);
        applied = true;
        return text.replace(change.before, change.after);
      },
      writeFile: (_name, contents) => {
        if (typeof contents !== 'string') binary = contents;
      },
      listFiles: () => [],
    },
  );
  assert.equal(error, null, stderr.toString());
  assert.ok(applied && binary !== undefined, `asm/${change.file} is part of the build`);
  return binary;
}

/** The `scalar` build with `before` in its text replaced by `after`. */
export function alterScalar(before: string, after: string): Uint8Array {
  const text = readFileSync(join(ROOT, 'dist/asm/scalar.wat'), 'utf8');
  assert.ok(text.includes(before), `scalar.wat has no ${before}`);
  return assemble(text.replace(before, after));
}

/** The bytes of a module given as text. */
export function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  assert.ok(module.validate());
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

/** Runs `use` with the path of a file that holds `bytes`. */
export async function withFile(
  bytes: Uint8Array,
  use: (path: string) => void | Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-codec-'));
  try {
    const path = join(folder, 'own.wasm');
    writeFileSync(path, bytes);
    await use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readSource(name: string): string | null {
  try {
    return readFileSync(join(ROOT, name), 'utf8');
  } catch {
    return null;
  }
}
