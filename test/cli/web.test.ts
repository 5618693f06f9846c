import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openControl } from '../../src/control/server.js';
import { createRouter } from '../control/router.js';
import { freePort } from '../support/ports.js';
import { grebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-web-'));
after(() => rmSync(folder, { recursive: true }));

test('grebe web prints an address that opens the page, with the token behind #', async () => {
  const socket = join(folder, 'a.sock');
  const port = await freePort();
  const control = await openControl(socket, () => [], { host: '::1', port });
  control.serve(createRouter());
  try {
    const { code, stdout, stderr } = await grebe(['web', '--socket', socket]);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^http://\\[::1\\]:${port}/#token=[\\w-]{43}\n$`));
    assert.match(stderr, /whoever has this address/);
    const page = await fetch(stdout.trim());
    assert.match(await page.text(), /<title>grebe<\/title>/);
    const json = await grebe(['web', '-j', '--socket', socket]);
    assert.deepEqual(JSON.parse(json.stdout), { schema: 'grebe.web/1', url: stdout.trim() });
  } finally {
    await control.close();
  }
});

test('without an address in the config grebe web says which line gives one', async () => {
  const socket = join(folder, 'b.sock');
  const control = await openControl(socket, () => []);
  control.serve(createRouter());
  try {
    const { code, stdout, stderr } = await grebe(['web', '--socket', socket]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /api = "127\.0\.0\.1:9477"/);
  } finally {
    await control.close();
  }
});
