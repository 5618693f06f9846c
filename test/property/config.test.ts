// No text makes the config reader do anything but return: a config, or diagnostics that lie in the file.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDiagnostic } from '../../src/config/diagnostic.js';
import { parseConfig } from '../../src/config/load.js';

const WORDS = [
  ...['[router]', '[tunnel.a]', '[tunnel."b c"]', '[[tunnel.a.peers]]', '[tunnel.a.key]', '[x]'],
  ...['mode', 'local', 'remote', 'key', 'csum', 'seq', 'ttl', 'tos', 'mtu', 'dev', 'address'],
  ...['routes', 'allow', 'keepalive', 'log', 'codec', 'lanes', '__proto__', 'constructor'],
  ...['"gre"', '"sit"', '"any"', '"192.0.2.1"', '"10.0.0.0/8"', '"fd00::1/64"', '""', '"inherit"'],
  ...['0', '1', '-1', '999', '1e400', 'nan', 'true', '2020-01-01', '0x10', '"""', "'''", '#', '\\'],
  ...[
    '=',
    '=',
    '=',
    '[',
    ']',
    '{',
    '}',
    ',',
    '.',
    ' ',
    '\n',
    '\n',
    '\n',
    '\r\n',
    '\t',
    '\0',
    '\ud800',
  ],
];

/** Text that is TOML now and then. */
const tomlLike = fc
  .array(fc.constantFrom(...WORDS), { maxLength: 60 })
  .map((words) => words.join(''));

/** Lines `key = value` that mostly parse, below a heading. */
const assignments = fc
  .array(
    fc.tuple(
      fc.constantFrom('mode', 'local', 'remote', 'key', 'csum', 'seq', 'ttl', 'tos', 'mtu', 'mss'),
      fc.oneof(
        fc.string().map((text) => JSON.stringify(text)),
        fc.integer().map(String),
        fc.double().map(String),
        fc.constantFrom('true', '[]', '{}', '["any"]', '{ in = 1, out = "x" }', '[{ remote = 1 }]'),
      ),
    ),
    { maxLength: 12 },
  )
  .map((lines) => `[tunnel.a]\n${lines.map(([key, value]) => `${key} = ${value}`).join('\n')}\n`);

function assertJudged(bytes: Uint8Array): void {
  const { config, diagnostics } = parseConfig(bytes, 'fuzz.toml');
  const lineCount = Buffer.from(bytes).toString('utf8').split('\n').length;
  for (const one of diagnostics) {
    assert(one.line >= 1 && one.line <= lineCount, `line ${one.line} of ${lineCount}`);
    assert(one.column >= 1);
    assert(formatDiagnostic(one).length < 2000);
  }
  assert.equal(
    config === undefined,
    diagnostics.some((one) => one.severity === 'error'),
  );
}

test('any text that looks like TOML is judged, never thrown at', () => {
  fc.assert(
    fc.property(fc.oneof(tomlLike, assignments), (text) => assertJudged(Buffer.from(text))),
    { numRuns: 2000 },
  );
});

test('any bytes are judged, never thrown at', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assertJudged(bytes)),
    { numRuns: 500 },
  );
});
