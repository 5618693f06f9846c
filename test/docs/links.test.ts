// Links between the pages lead somewhere, and what the pages say of commands and reasons is so.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../src/cli/commands.js';
import { reasonsInOrder } from './troubleshooting-page.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const LINK = /\]\(([^)\s]+)\)/g;
const COMMAND = /`(?:sudo )?(?:npx )?grebe ([a-z]+)/g;

const pages = [
  ...['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'bench/README.md'],
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

/** Anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

for (const { path, text } of pages) {
  test(`links of ${path} lead to files that are there`, () => {
    for (const [, target = ''] of text.matchAll(LINK)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const full = file === '' ? join(ROOT, path) : join(ROOT, dirname(path), file);
      assert.ok(existsSync(full), target);
      if (anchor === undefined) continue;
      assert.ok(anchorsOf(readFileSync(full, 'utf8')).includes(anchor), target);
    }
  });
}

test('commands that the pages name are commands of grebe', () => {
  const names = new Set(COMMANDS.map(({ name }) => name));
  for (const { path, text } of pages) {
    if (path.includes('decisions')) continue;
    for (const [found, name = ''] of text.matchAll(COMMAND)) {
      assert.ok(names.has(name), `${path}: ${found}`);
    }
  }
});

test('pages that say how many drop reasons there are count right', () => {
  const count = reasonsInOrder().length;
  for (const { path, text } of pages) {
    if (path.includes('decisions')) continue;
    for (const [found, said] of text.matchAll(/(\d+) (?:named )?reasons/g)) {
      assert.equal(Number(said), count, `${path}: ${found}`);
    }
  }
});
