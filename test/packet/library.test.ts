// grebe/packet runs in browsers: nothing in it may import what only Node has.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const LIBRARY = fileURLToPath(new URL('../../src/packet/', import.meta.url));

test('src/packet imports its own files and the drop reasons, nothing else', () => {
  const files = readdirSync(LIBRARY).filter((name) => name.endsWith('.js'));
  assert.ok(files.length > 10);
  for (const file of files) {
    const source = readFileSync(join(LIBRARY, file), 'utf8');
    for (const [, from = ''] of source.matchAll(/^[^ ].* from '([^']*)'/gm)) {
      assert.match(from, /^(\.\/[a-z0-9-]+\.js|\.\.\/\.\.\/asm\/reason\.js)$/, `${file}: ${from}`);
    }
    assert.doesNotMatch(source, /\b(Buffer|process|require)\b/, file);
  }
});
