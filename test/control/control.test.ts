// The real server and the real client over a real unix socket; the router behind them is the contract's.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listBuilds } from '../../src/codec/builds.js';
import { fetchCodecs, fetchStatus, useCodec } from '../../src/control/client.js';
import { isStatusMessage, statusMessage } from '../../src/control/message.js';
import { type ControlServer, openControl } from '../../src/control/server.js';
import { EXIT, type ExitCode, Failure } from '../../src/sys/failure.js';
import { requestFrom } from './request.js';
import { createRouter, STATUS } from './router.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-control-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
const NOBODY = 65534;

/** A path for a socket that is not there yet. */
function freePath(): string {
  return join(folder, `${++count}.sock`);
}

/** Runs `use` with a served router's socket. */
async function withControl(
  use: (path: string, control: ControlServer) => Promise<void>,
): Promise<void> {
  const path = freePath();
  const control = await openControl(path, listBuilds);
  control.serve(createRouter());
  try {
    await use(path, control);
  } finally {
    await control.close();
  }
}

function isFailure(exitCode: ExitCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof Failure, String(error));
    assert.equal(error.exitCode, exitCode);
    assert.match(error.message, message);
    assert(error.hint);
    return true;
  };
}

test('the status arrives as the router has it, with its schema', async () => {
  await withControl(async (path) => {
    assert.deepEqual(await fetchStatus(path), statusMessage(STATUS));
    assert.equal((await fetchStatus(path)).schema, 'grebe.status/1');
  });
});

test('a status may lack what only later routers tell, and what it has must be numbers', () => {
  const { kernelDrops, ...older } = statusMessage(STATUS);
  assert.ok(isStatusMessage(older));
  assert.ok(isStatusMessage({ ...older, kernelDrops }));
  assert.ok(!isStatusMessage({ ...older, kernelDrops: { rawSocket: null } }));
  const [tunnel] = older.tunnels;
  assert.ok(!isStatusMessage({ ...older, tunnels: [{ ...tunnel, queueDrops: '7' }] }));
});

test('the codec list marks the live build, and a swap changes it', async () => {
  await withControl(async (path) => {
    const before = await fetchCodecs(path);
    assert.equal(before.live, 'simd');
    assert.deepEqual(
      before.builds.map(({ name }) => name),
      ['simd', 'scalar', 'js'],
    );
    assert.equal((await useCodec(path, 'scalar')).codec, 'scalar');
    assert.equal((await fetchCodecs(path)).live, 'scalar');
    assert.equal((await fetchStatus(path)).codec, 'scalar');
  });
});

test('a refused build reaches the client with the message, hint and exit code of the router', async () => {
  await withControl(async (path) => {
    await assert.rejects(useCodec(path, '/x.wasm'), isFailure(EXIT.failed, /refused: ABI 9/));
    assert.equal((await fetchStatus(path)).codec, 'simd');
  });
});

test('requests that make no sense get a JSON error and the right status', async () => {
  await withControl(async (path) => {
    for (const [method, target, body, status] of [
      ['GET', '/v1', undefined, 404],
      ['POST', '/v1/status', undefined, 404],
      ['PUT', '/v1/codec', '', 400],
      ['PUT', '/v1/codec', '{"name":5}', 400],
      ['PUT', '/v1/codec', '[]', 400],
      ['PUT', '/v1/codec', 'nonsense', 400],
      ['PUT', '/v1/codec', `{"name":"${'x'.repeat(70_000)}"}`, 413],
    ] as const) {
      const answer = await requestFrom(path, method, target, body);
      assert.equal(answer.status, status, `${method} ${target}`);
      assert.match(answer.type, /^application\/json/);
      const message = JSON.parse(answer.body);
      assert.equal(typeof message.error, 'string');
      assert.equal(message.exitCode, EXIT.usage);
    }
  });
});

test('a request whose length is not told in advance is taken, and bounded', async () => {
  const chunked = { 'Transfer-Encoding': 'chunked' };
  await withControl(async (path) => {
    const put = (body: string): ReturnType<typeof requestFrom> =>
      requestFrom(path, 'PUT', '/v1/codec', body, chunked);
    assert.equal((await put('{"name":"scalar"}')).status, 200);
    assert.equal((await put(`{"name":"${'x'.repeat(70_000)}"}`)).status, 413);
    assert.equal((await requestFrom(path, 'DELETE', '/v1/codec', '', chunked)).status, 404);
  });
});

test('only owner and group may talk to the socket', async () => {
  await withControl(async (path) => {
    assert.equal(statSync(path).mode & 0o777, 0o660);
  });
});

test('the socket is gone after close, and closing twice is fine', async () => {
  const path = freePath();
  const control = await openControl(path, listBuilds);
  assert(existsSync(path));
  await control.close();
  await control.close();
  assert.equal(existsSync(path), false);
});

test('before the router is served the client hears that it is starting', async () => {
  const path = freePath();
  const control = await openControl(path, listBuilds);
  await assert.rejects(fetchStatus(path), isFailure(EXIT.unreachable, /still starting/));
  await control.close();
});

test('a missing folder is made', async () => {
  const path = join(folder, 'a', 'b', 'grebe.sock');
  const control = await openControl(path, listBuilds);
  assert(existsSync(path));
  await control.close();
});

test('the socket of a dead router is replaced', async () => {
  const path = freePath();
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path]);
  assert(existsSync(path), 'a killed process leaves its socket');
  const control = await openControl(path, listBuilds);
  control.serve(createRouter());
  assert.equal((await fetchStatus(path)).codec, 'simd');
  await control.close();
});

test('the socket of a killed router is replaced, though it takes connections until the kernel is done', async () => {
  const path = freePath();
  // A stopped process is as deaf as one that the kernel is still taking apart.
  const script = `require('http').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGSTOP'))`;
  const deaf = spawn(process.execPath, ['-e', script, path], { stdio: 'ignore' });
  while (!existsSync(path)) await sleep(10);
  const opening = openControl(path, listBuilds);
  await sleep(200);
  deaf.kill('SIGKILL');
  const control = await opening;
  control.serve(createRouter());
  assert.equal((await fetchStatus(path)).codec, 'simd');
  await control.close();
});

test('the socket of a living router is left alone, and the second one is told', async () => {
  await withControl(async (path) => {
    await assert.rejects(openControl(path, listBuilds), isFailure(EXIT.failed, /already answers/));
    assert.equal((await fetchStatus(path)).codec, 'simd');
  });
});

test('a file that is no socket is left alone', async () => {
  const path = freePath();
  writeFileSync(path, 'precious');
  await assert.rejects(openControl(path, listBuilds), isFailure(EXIT.failed, /is no socket/));
  assert(existsSync(path));
});

test('a folder that cannot be made is named', async () => {
  const file = freePath();
  writeFileSync(file, '');
  await assert.rejects(
    openControl(join(file, 'x', 'grebe.sock'), listBuilds),
    isFailure(EXIT.failed, /cannot make .*ENOTDIR/),
  );
});

test('a folder that no file system would take is named, too, and soon', async () => {
  await assert.rejects(
    openControl('/proc/nowhere/deep/grebe.sock', listBuilds),
    isFailure(EXIT.failed, /cannot make \/proc\/nowhere\/deep.*ENOENT/),
  );
});

test('a client without a router is told how to start one', async () => {
  await assert.rejects(
    fetchStatus(freePath()),
    isFailure(EXIT.unreachable, /no router is running: there is no /),
  );
});

test('a client does not wait for a router that never answers', async () => {
  const path = freePath();
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(path, resolve));
  try {
    const start = performance.now();
    await assert.rejects(fetchStatus(path), isFailure(EXIT.unreachable, /does not answer in time/));
    assert(performance.now() - start < 5000);
  } finally {
    silent.close();
  }
});

test('what answers but is no router is not taken for one', async () => {
  const path = freePath();
  const stranger = createServer((connection) => {
    connection.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
  });
  await new Promise<void>((resolve) => stranger.listen(path, resolve));
  try {
    await assert.rejects(fetchStatus(path), isFailure(EXIT.unreachable, /no grebe router/));
  } finally {
    stranger.close();
  }
});

test('a socket that is not ours to open is named as such', async () => {
  await withControl(async (path) => {
    chmodSync(path, 0);
    // Root may open every socket, so for a moment it is somebody else.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(NOBODY);
    try {
      await assert.rejects(fetchStatus(path), isFailure(EXIT.unreachable, /not permitted/));
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});
