// The generated pages of docs/ are what they are made from.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { pages } from './pages.js';

for (const { path, text } of pages()) {
  test(`docs/${basename(path)} is as npm run docs makes it`, () => {
    assert.equal(readFileSync(path, 'utf8'), text);
  });
}
