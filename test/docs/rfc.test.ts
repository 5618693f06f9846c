// What docs/rfc.md says is tested, is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { KNOWN_ANSWERS } from '../../src/codec/verify.js';
import { RECEIVE_ROWS, SEND_ROWS } from '../reference/strictness-rows.js';
import { readHostileCases } from '../support/cases.js';
import { RFCS } from './rfc/index.js';
import type { Evidence } from './rfc/requirement.js';

const ROWS = new Set([...RECEIVE_ROWS, ...SEND_ROWS].map(({ packet }) => packet));
const ANSWERS = new Set(KNOWN_ANSWERS.map(({ name }) => name));
const PACKETS = new Set(readHostileCases().map(({ id }) => id));
const TEST = /\btest\(\s*(['`])(.*?)\1/gs;

/** Names of a file's tests, as they stand in its source. */
const names = new Map<string, readonly string[]>();

function namesOf(file: string): readonly string[] {
  const known = names.get(file);
  if (known !== undefined) return known;
  const source = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
  const found = [...source.matchAll(TEST)].map(([, , name = '']) => name);
  names.set(file, found);
  return found;
}

function isThere(evidence: Evidence): boolean {
  if ('row' in evidence) return ROWS.has(evidence.row);
  if ('answer' in evidence) return ANSWERS.has(evidence.answer);
  if ('packet' in evidence) return PACKETS.has(evidence.packet);
  return namesOf(evidence.file).some((name) => name.includes(evidence.name));
}

for (const { number, requirements } of RFCS) {
  test(`RFC ${number}: every test that docs/rfc.md names is there`, () => {
    for (const { text, state } of requirements) {
      if (!('done' in state)) continue;
      assert.ok(state.done.length > 0, `${text}: no test`);
      for (const evidence of state.done) {
        assert.ok(isThere(evidence), `${text}: ${JSON.stringify(evidence)} is not there`);
      }
    }
  });

  test(`RFC ${number}: no requirement stands there twice`, () => {
    const lines = requirements.map(({ section, text }) => `${section} ${text}`);
    assert.equal(new Set(lines).size, lines.length);
  });
}
