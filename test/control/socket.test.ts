import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimSocket, shareSocket } from '../../src/control/socket.js';

const [GROUP = '', , ID = ''] =
  readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((line) => /^(daemon|nogroup):/.test(line))
    ?.split(':') ?? [];

test('the socket belongs to the group of the name, where there is one, and stays closed to others', {
  skip: process.getuid?.() === 0 ? false : 'needs root: giving a file to a group',
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-group-'));
  const path = join(folder, 'grebe.sock');
  const server = createServer();
  await claimSocket(server, path);
  try {
    const before = statSync(path);
    shareSocket(path, 'no-such-group');
    assert.equal(statSync(path).gid, before.gid);
    shareSocket(path, GROUP);
    const { gid, uid, mode } = statSync(path);
    assert.deepEqual([gid, uid, mode & 0o777], [Number(ID), before.uid, 0o660]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  }
});
