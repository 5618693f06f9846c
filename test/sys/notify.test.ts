import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { Failure } from '../../src/sys/failure.js';
import { bind, close, NativeBlock, recvfrom, socket } from '../../src/sys/libc.js';
import { notify } from '../../src/sys/notify.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

const folder = mkdtempSync(join(tmpdir(), 'grebe-notify-'));
afterEach(() => {
  delete process.env.NOTIFY_SOCKET;
});

/** A datagram socket at `name`, which begins with a zero byte for an abstract address. */
function listenAt(name: string): number {
  const bytes = new TextEncoder().encode(name);
  const address = new NativeBlock(2 + 108);
  address.view.setUint16(0, AF_UNIX, true);
  address.bytes.set(bytes, 2);
  const fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  assert.equal(bind(fd, address.address, 2 + bytes.length), 0);
  return fd;
}

function receive(fd: number): string {
  const block = new NativeBlock(256);
  const length = recvfrom(fd, block.address, 256, MSG_DONTWAIT, 0, 0);
  return Buffer.from(block.bytes.subarray(0, Math.max(0, length))).toString('utf8');
}

test('without NOTIFY_SOCKET nothing is sent', async () => {
  assert.equal(await notify('READY=1'), false);
});

test('a state arrives as one datagram, at a path and at an abstract address', async () => {
  const path = join(folder, 'notify.sock');
  const abstract = `grebe-notify-${process.pid}`;
  const fds = [listenAt(path), listenAt(`\0${abstract}`)];
  try {
    for (const [index, name] of [path, `@${abstract}`].entries()) {
      process.env.NOTIFY_SOCKET = name;
      assert.equal(await notify('READY=1\nSTATUS=up'), true);
      assert.equal(receive(fds[index] ?? -1), 'READY=1\nSTATUS=up');
    }
  } finally {
    fds.forEach(close);
    rmSync(folder, { recursive: true });
  }
});

test('an address that nobody listens on, or that is none, is a Failure', async () => {
  for (const name of ['/nonexistent/notify', 'relative', `/${'x'.repeat(200)}`]) {
    process.env.NOTIFY_SOCKET = name;
    await assert.rejects(notify('READY=1'), Failure);
  }
});
