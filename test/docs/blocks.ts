// The fenced blocks of a page, which tests run. The first line of one says what it is:
//
//   ```sh                 commands typed on the machine `here`
//   ```sh there           on the machine `there`, which is a plain Linux machine on some pages
//   ```toml here/F.toml   a config, written to the file F.toml of that machine before what follows
//   ```frr here/F.conf    the same, of FRR
//   ```console            what a session looks like: not run
//   ```text, ```ios ...   what cannot run here: the other side's words
import { readFileSync } from 'node:fs';

export interface Block {
  readonly language: string;
  /** What follows the language. */
  readonly words: string;
  readonly text: string;
  /** Line of the page that it begins in. */
  readonly line: number;
}

const DOCS = new URL('../../../docs/', import.meta.url);
const FENCE = /^```([^\n`]*)\n([\s\S]*?)^```$/gm;

/** The text of a page, by its path from docs/. */
export function readPage(path: string): string {
  return readFileSync(new URL(path, DOCS), 'utf8');
}

/** All blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  return [...page.matchAll(FENCE)].map((match) => {
    const [, opening = '', text = ''] = match;
    const [language = '', ...words] = opening.trim().split(/\s+/);
    const line = page.slice(0, match.index).split('\n').length;
    return { language, words: words.join(' '), text, line };
  });
}

/** The text of the block that a page has for a file. */
export function fileOf(page: string, name: string): string {
  const found = blocksOf(page).find(({ words }) => words === name);
  if (found === undefined) throw new Error(`no block of the page is ${name}`);
  return found.text;
}
