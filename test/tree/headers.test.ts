// The flow that a file opens with names functions that are there.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** A line of a flow: a number or none, names, and what they do. */
const STEP = /^\/\/ {3,}(?:\d+\. +)?([A-Za-z]\w*(?:, [A-Za-z]\w*)*)(?:\/\d)?(?: {2,}(.*))?$/;
const HEADER = /^(?:\/\/.*\n)+/;
/** The file where the function is, if that is another. */
const ELSEWHERE = /^([\w/-]+\.ts):/;

const files = ['asm', 'src', 'bench'].flatMap((room) =>
  readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(room, name)),
);
const sources = new Map(files.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));

/** Functions that the header of `file` names, each with the file that must have it. */
function stepsOf(file: string): { name: string; place: string }[] {
  const header = HEADER.exec(sources.get(file) ?? '')?.[0] ?? '';
  return header.split('\n').flatMap((line) => {
    const [, names = '', what = ''] = STEP.exec(line) ?? [];
    const place = ELSEWHERE.exec(what)?.[1] ?? file;
    // A word without a capital inside may be a word.
    const functions = names.split(', ').filter((name) => /[a-z][A-Z]/.test(name));
    return functions.map((name) => ({ name, place }));
  });
}

test('every function that a flow names is in its file, or in the one that is named beside it', () => {
  const steps = files.flatMap((file) => stepsOf(file).map((step) => ({ file, ...step })));
  assert.ok(steps.length > 80);
  const wrong = steps.filter(({ file, name, place }) => {
    const places = [file, ...files.filter((one) => basename(one) === basename(place))];
    return !places.some((one) => {
      const code = (sources.get(one) ?? '').replace(HEADER, '');
      return new RegExp(`\\b${name}\\b`).test(code);
    });
  });
  assert.deepEqual(wrong, []);
});
