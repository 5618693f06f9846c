import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BIOME = 'node_modules/@biomejs/biome/bin/biome';

test('the formatter and the linter find nothing to change', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIOME, 'check', '.'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  assert.equal(status, 0, `npm run format mends most of it\n${stdout}${stderr}`);
});
