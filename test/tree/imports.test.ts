import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const IMPORT = /\b(?:from |import |import\()'([^']+)'/g;

/** Rooms by line of ARCHITECTURE.md's list: a larger number is further down. */
function readOrder(): Map<string, number> {
  const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const list = /## Imports point down\n[\s\S]*?```\n([^`]*)```/.exec(text)?.[1] ?? '';
  const lines = list.trim().split('\n');
  return new Map(lines.flatMap((line, depth) => line.split(/ +/).map((room) => [room, depth])));
}

/** The files of `folder` with what they import, as paths from the root or as package names. */
function readImports(folder: string): { file: string; imported: string }[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const file = join(folder, name);
      const text = readFileSync(join(ROOT, file), 'utf8').replace(/^ *\*.*$/gm, '');
      return [...text.matchAll(IMPORT)].map(([, target = '']) => ({
        file,
        imported: target.startsWith('.') ? normalize(join(dirname(file), target)) : target,
      }));
    });
}

/** `src/ring/plan.ts` lies in `ring`, `asm/wire/gre.ts` in `asm`; undefined outside of rooms. */
function roomOf(path: string): string | undefined {
  const [top, room, ...rest] = path.split('/');
  if (top === 'asm') return 'asm';
  return top === 'src' && rest.length > 0 ? room : undefined;
}

test('every room imports from rooms below it only', () => {
  const order = readOrder();
  const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true });
  assert.deepEqual(
    [...order.keys()].sort(),
    ['asm', ...rooms.filter((room) => room.isDirectory()).map((room) => room.name)].sort(),
    'ARCHITECTURE.md lists every room once',
  );
  const imports = [...readImports('src'), ...readImports('asm')];
  assert.ok(imports.length > 300);
  const wrong = imports.filter(({ file, imported }) => {
    const from = roomOf(file);
    const to = roomOf(imported);
    if (from === undefined || to === undefined || from === to) return false;
    return (order.get(from) ?? 0) >= (order.get(to) ?? 0);
  });
  assert.deepEqual(wrong, []);
});

test('the packet library imports nothing of Node and no package', () => {
  const outside = readImports('src/packet').filter(({ imported }) => {
    return !/^src\/packet\/|^asm\/(reason|layout)\.js$/.test(imported);
  });
  assert.deepEqual(outside, []);
});

test('layout and reasons, which two compilers read, import nothing', () => {
  const shared = readImports('asm').filter(({ file }) => /^asm\/(layout|reason)\.ts$/.test(file));
  assert.deepEqual(shared, []);
});

test('what browsers load imports what the router serves them, and nothing else', () => {
  const folder = fileURLToPath(new URL('../../', import.meta.url));
  for (const room of ['web', 'view']) {
    const files = readdirSync(join(folder, 'src', room)).filter((name) => name.endsWith('.js'));
    assert.ok(files.length > 3);
    for (const name of files.filter((one) => one !== 'uplot.js')) {
      const text = readFileSync(join(folder, 'src', room, name), 'utf8');
      for (const [, target = ''] of text.matchAll(IMPORT)) {
        assert.match(normalize(join(room, target)), /^(web|view)\/[a-z-]+\.js$/, name);
      }
    }
  }
});
