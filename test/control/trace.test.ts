// A trace over a real unix socket, with a router in memory behind it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { followTrace } from '../../src/control/client.js';
import type { TraceLine } from '../../src/control/message.js';
import { openControl } from '../../src/control/server.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { eventually } from '../support/lab.js';
import { tracedRouter } from './router.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-trace-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

async function withTrace(
  traced: ReturnType<typeof tracedRouter>,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const path = join(folder, `${++count}.sock`);
  const control = await openControl(path, () => []);
  control.serve(traced.router);
  try {
    await use(path);
  } finally {
    await control.close();
  }
}

test('a client gets the start, packets and what was missed, until it ends the trace', async () => {
  const traced = tracedRouter();
  await withTrace(traced, async (path) => {
    const ending = new AbortController();
    const lines: TraceLine[] = [];
    await followTrace(
      path,
      { tunnel: 'gre1', dropsOnly: true, rate: '50' },
      ending.signal,
      (line) => {
        lines.push(line);
        if (lines.length === 5) ending.abort();
      },
    );
    assert.deepEqual(traced.asked, [{ tunnel: 'gre1', dropsOnly: true, limit: 50 }]);
    const [start, packet, missed] = lines;
    assert.deepEqual(start, { kind: 'start', tunnels: [], links: [[3, 'eth0']] });
    assert.ok(packet?.kind === 'packet');
    assert.equal(packet.bytes, '07'.repeat(128));
    assert.deepEqual(missed, { kind: 'missed', count: 2 });
    assert.equal(lines.length, 5);
    assert.ok(await eventually(() => !traced.isOpen()));
  });
});

test('a rate that makes no sense is refused, and the router not asked', async () => {
  const traced = tracedRouter();
  await withTrace(traced, async (path) => {
    const query = { dropsOnly: false, rate: '0' };
    await assert.rejects(
      followTrace(path, query, new AbortController().signal, () => {}),
      (error) => error instanceof Failure && error.exitCode === EXIT.usage,
    );
    assert.deepEqual(traced.asked, []);
  });
});

test('a client that takes nothing any more is cut off, and the trace ends', async () => {
  const traced = tracedRouter(200);
  await withTrace(traced, async (path) => {
    const call = request({ socketPath: path, path: '/v1/trace' }, (response) => response.pause());
    call.on('error', () => {});
    call.end();
    assert.ok(await eventually(traced.isOpen));
    assert.ok(await eventually(() => !traced.isOpen(), 10_000), 'the trace ended');
    call.destroy();
  });
});

test('a router that stops ends the trace with 69', async () => {
  const traced = tracedRouter();
  const signal = new AbortController().signal;
  let failed: Promise<void> | undefined;
  await withTrace(traced, async (path) => {
    let lines = 0;
    failed = followTrace(path, { dropsOnly: false }, signal, () => {
      lines++;
    });
    failed.catch(() => {});
    assert.ok(await eventually(() => lines > 0));
  });
  assert.ok(failed);
  await assert.rejects(
    failed,
    (error) => error instanceof Failure && error.exitCode === EXIT.unreachable,
  );
  assert.ok(await eventually(() => !traced.isOpen()));
});
