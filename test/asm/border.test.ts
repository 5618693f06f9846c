// The border of the codec builds: what they import and export, and what they must not hold.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BUILDS = ['simd', 'scalar'] as const;
/** Sections of the binary format (WebAssembly core specification, 5.5.2): types, imports, functions, exports, code. */
const SECTIONS = [1, 2, 3, 7, 10];
/** Twice today's size: a runtime or a library that slipped in would pass it. */
const LARGEST = 32768;
/** Long enough to be worth a call, or needed by few packets: see build.mjs. */
const ALLOWED_CALLS = [
  'wire/checksum/sum',
  'coalesce/isWhole',
  'mss/lowerMss',
  'frame/findIp',
  'encap-limit/encapLimitOf',
  'decap/isMerged',
].map((name) => `(call $asm/${name}`);

function readBuild(name: string): Uint8Array {
  return readFileSync(join(ROOT, 'dist/asm', `${name}.wasm`));
}

function readText(name: string): string {
  return readFileSync(join(ROOT, 'dist/asm', `${name}.wat`), 'utf8');
}

/** Numbers of a module's sections, in order. */
function sectionsOf(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < bytes.length; ) {
    ids.push(bytes[at++] ?? 0);
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at++] ?? 0;
      size += (byte & 0x7f) * 2 ** shift;
      more = byte >= 0x80;
    }
    at += size;
  }
  return ids;
}

for (const name of BUILDS) {
  test(`${name} imports the memory and nothing else`, () => {
    assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(readBuild(name))), [
      { module: 'env', name: 'memory', kind: 'memory' },
    ]);
    assert.match(readText(name), /\(import "env" "memory" \(memory \S+ 1 65536 shared\)\)/);
  });

  test(`${name} exports exactly what src/codec/contract.ts lists`, () => {
    assert.deepEqual(WebAssembly.Module.exports(new WebAssembly.Module(readBuild(name))), [
      { name: 'abiVersion', kind: 'function' },
      { name: 'segment', kind: 'function' },
      { name: 'encap', kind: 'function' },
      { name: 'decap', kind: 'function' },
      { name: 'coalesce', kind: 'function' },
      { name: 'separate', kind: 'function' },
      { name: 'settle', kind: 'function' },
      { name: 'checksum', kind: 'function' },
    ]);
  });

  test(`${name} holds no data, no globals, no table, no start function and no names`, () => {
    assert.deepEqual(sectionsOf(readBuild(name)), SECTIONS);
  });

  test(`${name} is small`, () => {
    assert.ok(readBuild(name).length < LARGEST);
  });

  test(`${name} calls nothing on the way of a packet but to sum it, and what is rare`, () => {
    const called = readText(name).match(/\(call \S+/g) ?? [];
    assert.deepEqual(
      called.filter((call) => !ALLOWED_CALLS.includes(call)),
      [],
    );
  });

  test(`${name} grows no memory and copies none in bulk`, () => {
    assert.doesNotMatch(readText(name), /memory\.(grow|copy|fill)/);
  });
}

test('scalar uses no vectors, simd does', () => {
  assert.doesNotMatch(readText('scalar'), /v128/);
  assert.match(readText('simd'), /i32x4\.extadd_pairwise_i16x8_u/);
});

test('the files that both compilers read hold integers and nothing else', () => {
  for (const file of ['layout', 'reason']) {
    const code = readFileSync(join(ROOT, 'asm', `${file}.ts`), 'utf8')
      .replace(/\/\*\*[\s\S]*?\*\//g, '')
      .replace(/\/\/.*$/gm, '');
    for (const line of code.split('\n').filter((text) => text.trim() !== '')) {
      assert.match(line, /^export const [A-Z][A-Z0-9_]* = (0x[0-9a-f]+|[0-9]+);\s*$/, file);
    }
  }
});
