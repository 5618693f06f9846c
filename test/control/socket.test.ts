import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimSocket, shareSocket } from '../../src/control/socket.js';
import { Failure } from '../../src/sys/failure.js';
import { bind, close, NativeBlock, socket } from '../../src/sys/libc.js';

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

/** Leaves a socket at `path` that nobody listens on, as a killed router does. */
function leaveStale(path: string): void {
  const bytes = new TextEncoder().encode(path);
  const address = new NativeBlock(2 + 108);
  address.view.setUint16(0, 1, true); // AF_UNIX
  address.bytes.set(bytes, 2);
  const fd = socket(1, 1, 0);
  assert.equal(bind(fd, address.address, 2 + bytes.length), 0);
  close(fd);
}

test('of routers that start at once on the socket of a dead one, one gets it and the others are told', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-claim-'));
  const path = join(folder, 'grebe.sock');
  try {
    for (let round = 0; round < 5; round++) {
      leaveStale(path);
      const servers = Array.from({ length: 6 }, () => createServer((_, answer) => answer.end()));
      const claims = await Promise.allSettled(servers.map((server) => claimSocket(server, path)));
      const refused = claims.filter((claim) => claim.status === 'rejected');
      assert.equal(refused.length, servers.length - 1);
      for (const { reason } of refused) {
        assert.ok(
          reason instanceof Failure && /another router already answers/.test(reason.message),
        );
      }
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a socket that its router removes before it is looked at is made anew', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-gone-'));
  const path = join(folder, 'grebe.sock');
  const server = createServer();
  const listen = server.listen.bind(server);
  let attempts = 0;
  Object.assign(server, {
    listen: (where: string, done: () => void) => {
      if (++attempts > 1) return listen(where, done);
      const taken = Object.assign(new Error('taken'), { code: 'EADDRINUSE' });
      return setImmediate(() => server.emit('error', taken));
    },
  });
  try {
    await claimSocket(server, path);
    assert.deepEqual([attempts, statSync(path).isSocket()], [2, true]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  }
});
