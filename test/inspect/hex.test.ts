import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHex } from '../../src/inspect/hex.js';

test('hex digits are read with blanks, colons, newlines, commas and 0x between them', () => {
  const expected = Uint8Array.of(0x45, 0x00, 0xab, 0xcd);
  for (const text of [
    '4500abcd',
    '4500 ABCD',
    ' 45 00\nab cd\r\n',
    '45:00:ab:cd',
    '0x4500abcd',
    '0x45 0x00 0xAB 0xcd',
    '0x45, 0x00, 0xab, 0xcd',
    '\t0x0000:  4500 abcd\n',
    '\t0x0000:  4500\n\t0x0010:  abcd\n',
  ]) {
    assert.deepEqual(parseHex(text), expected, JSON.stringify(text));
  }
});

test('any bytes come back from their hex', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 2000 }), (bytes) => {
      assert.deepEqual(parseHex(Buffer.from(bytes).toString('hex')), bytes);
    }),
  );
});

test('anything else is a usage failure that shows what is wrong', () => {
  for (const [text, message] of [
    ['', /no bytes given/],
    ['  \n', /no bytes given/],
    ['450', /3 digits are no whole bytes/],
    ['45 0g', /"g" is no hex digit/],
    ['45-00', /"-" is no hex digit/],
    ['00'.repeat(65_536), /65536 bytes are more than a packet holds/],
  ] as const) {
    assert.throws(() => parseHex(text), { name: 'Failure', exitCode: 64, message });
  }
});
