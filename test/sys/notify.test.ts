import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { Failure } from '../../src/sys/failure.js';
import { notify } from '../../src/sys/notify.js';
import { NotifySocket } from '../support/notify-socket.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-notify-'));
afterEach(() => {
  delete process.env.NOTIFY_SOCKET;
});

test('without NOTIFY_SOCKET nothing is sent', async () => {
  assert.equal(await notify('READY=1'), false);
});

test('a state arrives as one datagram, at a path and at an abstract address', async () => {
  const path = join(folder, 'notify.sock');
  const abstract = `grebe-notify-${process.pid}`;
  const managers = [new NotifySocket(path), new NotifySocket(`\0${abstract}`)];
  try {
    for (const [index, name] of [path, `@${abstract}`].entries()) {
      process.env.NOTIFY_SOCKET = name;
      assert.equal(await notify('READY=1\nSTATUS=up'), true);
      assert.deepEqual(managers[index]?.take(), ['READY=1\nSTATUS=up']);
    }
  } finally {
    for (const manager of managers) manager.close();
    rmSync(folder, { recursive: true });
  }
});

test('an address that nobody listens on, or that is none, is a Failure', async () => {
  for (const name of ['/nonexistent/notify', 'relative', `/${'x'.repeat(200)}`]) {
    process.env.NOTIFY_SOCKET = name;
    await assert.rejects(notify('READY=1'), Failure);
  }
});
