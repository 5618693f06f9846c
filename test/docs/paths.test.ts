// Files and folders that pages and comments name are there.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ROOMS = ['asm', 'bench', 'docs', 'src', 'test'];

/** A path from the root, of a file or a folder: `src/lane/`, docs/rfc.md; asm/encap may stand for asm/encap.ts. */
const FULL = new RegExp(
  `(?<![\\w./$-])(?:${ROOMS.join('|')})/[\\w./-]*\\w/?(?![\\w./*-]*\\*)`,
  'g',
);
/** A file of the tree by the end of its path: `raw/ipv6.ts`, sender.ts. */
const PART = /(?<![\w./$*-])(?:[\w-]+\/)*[\w-]+(?:\.long)?(?:\.test)?\.ts\b/g;
const IMPORT = /^(?:import|export)[^;]*?from '[^']*';$|\bimport\('[^']*'\)/gm;

const files = ROOMS.flatMap((room) =>
  readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' }).map((name) =>
    join(room, name),
  ),
);
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Paths that `text` names and that are not there. */
function missing(text: string): string[] {
  const full = [...text.matchAll(FULL)].map(([path]) => path);
  const parts = [...text.matchAll(PART)].map(([path]) => path);
  const gone = [
    ...full.filter((path) => ![path, `${path}.ts`].some((name) => existsSync(join(ROOT, name)))),
    ...parts.filter((part) => {
      return !existsSync(join(ROOT, part)) && !files.some((file) => file.endsWith(`/${part}`));
    }),
  ];
  return [...new Set(gone)];
}

/** The comments of a source, each line of them by itself. */
function commentsOf(source: string): string {
  const lines = source.replace(IMPORT, '').match(/(?:\/\/ .*|^ *\/?\*+ .*)$/gm) ?? [];
  return lines.join('\n');
}

const pages = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'bench/README.md'],
  ...files.filter((name) => name.startsWith('docs/') && name.endsWith('.md')),
];

for (const page of pages) {
  test(`files and folders that ${page} names are there`, () => {
    assert.deepEqual(missing(read(page)), []);
  });
}

for (const room of ['asm', 'bench', 'src', 'test']) {
  test(`files and folders that comments of ${room}/ name are there`, () => {
    const sources = files.filter((name) => name.startsWith(`${room}/`) && name.endsWith('.ts'));
    const wrong = sources.flatMap((name) =>
      missing(commentsOf(read(name))).map((path) => `${name}: ${path}`),
    );
    assert.deepEqual(wrong, []);
  });
}

test("in ARCHITECTURE.md's way of a packet a file without a folder lies where the one before it does", () => {
  const rows = /\| turn \|[\s\S]*?\n\n/.exec(read('ARCHITECTURE.md'))?.[0].trim().split('\n') ?? [];
  const steps = rows.flatMap((row) => row.split('|').slice(2, 4));
  assert.ok(steps.length >= 12);
  for (const step of steps) {
    let folder = '';
    for (const [, name = ''] of step.matchAll(/`([\w/-]+\.ts)`/g)) {
      if (name.includes('/')) folder = dirname(name);
      assert.ok(files.includes(join(folder, basename(name))), `${name} in ${folder}`);
    }
  }
});

test('a file that is gone, and one that never was, would be found', () => {
  const text =
    '`src/lane/`, `lane/loop.ts`, loop.ts: `src/lane/gone.ts`, `raw/gone.ts`, gone.ts, docs/gone/';
  assert.deepEqual(missing(text), ['src/lane/gone.ts', 'docs/gone/', 'raw/gone.ts', 'gone.ts']);
});
