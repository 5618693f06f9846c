// The recording that the README shows is one of the session in recording/session.ts, and light.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { COMMANDS as GREBE_COMMANDS } from '../../src/cli/commands.js';
import { pictureOf } from './recording/picture.js';
import { linesOf } from './recording/screen.js';
import { COMMANDS } from './recording/session.js';

const MAX_BYTES = 60_000;
const PICTURE = readFileSync(new URL('../../../docs/session.svg', import.meta.url), 'utf8');
const TERMINAL = { columns: 40, rows: 2, title: 'of a test' };

/** What stands in the picture. */
function textsOf(picture: string): string[] {
  return [...picture.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text = '']) =>
    text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&amp;', '&'),
  );
}

test('the picture shows every command of the session, and what grebe answered', () => {
  const texts = textsOf(PICTURE);
  for (const command of Object.values(COMMANDS)) assert.ok(texts.includes(command), command);
  for (const answer of [/ready: 1 tunnel up/, /^gre1 +gre +192\.0\.2\.1 -> 192\.0\.2\.2 +up/]) {
    assert.ok(
      texts.some((text) => answer.test(text)),
      `${answer}`,
    );
  }
  assert.ok(texts.includes('dropped: no-tunnel'));
});

test('its commands are commands of grebe', () => {
  const names = GREBE_COMMANDS.map(({ name }) => name);
  for (const command of Object.values(COMMANDS)) {
    const [, name] = /npx grebe (\w+)/.exec(command) ?? [];
    if (name !== undefined) assert.ok(names.includes(name), command);
  }
});

test('it is light, asks nothing of anybody, and holds still for who wants no motion', () => {
  assert.ok(PICTURE.length < MAX_BYTES, `${PICTURE.length} bytes`);
  assert.doesNotMatch(PICTURE.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|@import/);
  assert.match(PICTURE, /@media \(prefers-reduced-motion:reduce\)/);
});

test('colors, long pauses and partial writes of a terminal become lines in time', () => {
  const output = [
    { ms: 10, text: '\u001b[32mgreen' },
    { ms: 20, text: '\u001b[0m plain & <more>\r\n' },
    { ms: 20_000, text: 'late\n' },
  ];
  const { lines, endMs } = linesOf([{ command: 'grebe', output }]);
  assert.deepEqual(
    lines.map(({ runs }) => runs),
    [
      [
        { text: '$ ', style: ['green'] },
        { text: 'grebe', style: ['bold'] },
      ],
      [
        { text: 'green', style: ['green'] },
        { text: ' plain & <more>', style: [] },
      ],
      [{ text: 'late', style: [] }],
    ],
  );
  assert.ok(endMs < 5000);
  const picture = pictureOf(lines, endMs, TERMINAL);
  assert.deepEqual(textsOf(picture), ['$', 'grebe', 'green', 'plain & <more>', 'late']);
  assert.match(
    picture,
    /@keyframes s\{0%\{transform:translateY\(0px\)\}[\d.]+%\{transform:translateY\(-18px\)\}\}/,
  );
});
