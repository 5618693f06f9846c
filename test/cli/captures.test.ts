// grebe pcap and grebe recorder, against a router in memory behind a real socket.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openControl } from '../../src/control/server.js';
import { ByteSource } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import { createMemoryRouter, type MemoryRouter } from '../../src/router/memory.js';
import { memoryReader } from '../inspect/capture-files.js';
import { eventually } from '../support/lab.js';
import { ipv4 } from '../support/packets.js';
import { PLAIN_GRE } from '../support/tunnels.js';
import { grebe, said, startGrebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-captures-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

const INNER = ipv4({ source: '10.1.0.1', destination: '10.2.0.1', payload: new Uint8Array(400) });
/** Of each packet sent there are two forms. */
const FORMS = 2;

async function withRouter(
  use: (socket: string, send: (count: number) => void, router: MemoryRouter) => Promise<void>,
): Promise<void> {
  const router = createMemoryRouter([PLAIN_GRE]);
  const socket = join(folder, `${++count}.sock`);
  const control = await openControl(socket, () => []);
  control.serve(router);
  const send = (packets: number): void => {
    for (let sent = 0; sent < packets; sent++) router.devices.get('gre1')?.send(INNER);
  };
  try {
    await use(socket, send, router);
  } finally {
    await control.close();
    await router.stop();
  }
}

function readFile(file: string) {
  return [...readCapture(new ByteSource(memoryReader(readFileSync(file)).read))];
}

test('recorder dump writes a new file in the folder it is called in, and says which', async () => {
  await withRouter(async (socket, send) => {
    const cwd = mkdtempSync(join(folder, 'cwd-'));
    send(3);
    const { code, stdout, stderr } = await grebe(['recorder', 'dump', 'gre1', '--socket', socket], {
      cwd,
    });
    assert.equal(code, 0, stderr);
    assert.deepEqual(readdirSync(cwd), [stdout.trim()]);
    assert.match(stdout, /^grebe-recorder-gre1-[0-9]{8}T[0-9]{9}Z\.pcapng\n$/);
    assert.match(stderr, /^3 packets: wireshark grebe-recorder-gre1/);
    const packets = readFile(join(cwd, stdout.trim()));
    assert.equal(packets.length, 3 * FORMS);
    assert.deepEqual(packets[0]?.bytes, INNER.slice(0, 128 - 24));
    assert.equal(packets[0]?.originalLength, INNER.length);
  });
});

test('a dump that fails leaves the old file as it was, and no half of a new one', async () => {
  await withRouter(async (socket, send) => {
    const cwd = mkdtempSync(join(folder, 'cwd-'));
    const file = join(cwd, 'old.pcapng');
    writeFileSync(file, 'old');
    send(1);
    const failed = await grebe(['recorder', 'dump', 'nobody', '--socket', socket, '-w', file]);
    assert.equal(failed.code, 66, failed.stderr);
    assert.match(failed.stderr, /no tunnel "nobody"/);
    assert.equal(readFileSync(file, 'utf8'), 'old');
    const done = await grebe(['recorder', 'dump', '-j', '--socket', socket, '-w', file]);
    assert.deepEqual(JSON.parse(done.stdout), { schema: 'grebe.recorder/1', file, packets: 1 });
    assert.equal(readFile(file).length, FORMS);
    assert.deepEqual(readdirSync(cwd), ['old.pcapng']);
    const nowhere = join(cwd, 'absent', 'x.pcapng');
    const { code, stderr } = await grebe(['recorder', 'dump', '--socket', socket, '-w', nowhere]);
    assert.equal(code, 1);
    assert.match(stderr, /x\.pcapng: cannot be written: ENOENT/);
  });
});

test('pcap ends after as many packets as were asked for, and has them whole', async () => {
  await withRouter(async (socket, send) => {
    const file = join(folder, 'five.pcapng');
    const words = ['pcap', 'gre1', '-j', '-n', '5', '-w', file, '--socket', socket];
    const running = startGrebe(words);
    await said(running, /capturing/);
    send(9);
    assert.equal(await running.ended, 0, running.stderr());
    const packets = readFile(file);
    assert.equal(packets.length, 5 * FORMS);
    assert.deepEqual(packets[0]?.bytes, INNER);
    const expected = { schema: 'grebe.pcap/1', file, packets: 5, lost: 0 };
    assert.deepEqual(JSON.parse(running.stdout()), expected);
  });
});

test('pcap that is interrupted leaves a file that can be read to its end', async () => {
  await withRouter(async (socket, send, router) => {
    const file = join(folder, 'interrupted.pcapng');
    const running = startGrebe(['pcap', '-s', '60', '-w', file, '--socket', socket]);
    await said(running, /capturing/);
    const timer = setInterval(() => send(20), 5);
    assert.ok(await eventually(() => readFileSync(file).length > 20_000));
    running.child.kill('SIGINT');
    assert.equal(await running.ended, 0, running.stderr());
    clearInterval(timer);
    const packets = readFile(file);
    assert.ok(packets.length > 100);
    assert.ok(packets.every(({ bytes }) => bytes.length <= 60));
    // Nobody captures any more.
    router.capture({ tunnel: null, snap: 1 }).close();
  });
});

test('a full disk ends a capture with its name', async () => {
  await withRouter(async (socket, send, router) => {
    const running = startGrebe(['pcap', '-w', '/dev/full', '--socket', socket]);
    const code = await running.ended;
    assert.equal(code, 1);
    assert.match(running.stderr(), /\/dev\/full: cannot be written: the disk is full \(ENOSPC\)/);
    send(1);
    assert.ok(await eventually(() => isFree(router)));
  });
});

function isFree(router: MemoryRouter): boolean {
  try {
    router.capture({ tunnel: null, snap: 1 }).close();
    return true;
  } catch {
    return false;
  }
}

test('a reader that goes away ends a capture quietly', async () => {
  await withRouter(async (socket, send, router) => {
    const through = ['sh', '-c', '"$@" | head -c 100 >/dev/null', 'sh'];
    const running = startGrebe(['pcap', '-q', '--socket', socket], { through });
    assert.ok(await eventually(() => !isFree(router), 10_000));
    const timer = setInterval(() => send(5), 10);
    assert.equal(await running.ended, 0);
    clearInterval(timer);
    assert.equal(running.stderr(), '');
    assert.ok(await eventually(() => isFree(router)));
  });
});

test('what makes no sense is said before anything is written', async () => {
  await withRouter(async (socket) => {
    const fails = async (words: string[], code: number, message: RegExp): Promise<void> => {
      const ended = await grebe([...words, '--socket', socket]);
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, message);
      assert.equal(ended.stdout, '');
    };
    await fails(['pcap', 'gre9'], 66, /no tunnel "gre9".*\n.*gre1/);
    await fails(['pcap', '-n', '0'], 64, /count must be 1\.\./);
    await fails(['pcap', '-s', 'x'], 64, /snap must be 1\.\./);
    await fails(['pcap', '-j'], 64, /with -w - the capture itself is there/);
    await fails(['recorder'], 64, /grebe recorder dump/);
    await fails(['recorder', 'erase'], 64, /does not erase/);
    await fails(['recorder', 'dump', '-j', '-w', '-'], 64, /the dump itself is there/);
  });
});

test('any client gets the recorder as a file of pcapng', async () => {
  await withRouter(async (socket, send) => {
    send(2);
    const { type, bytes } = await download(socket, '/v1/recorder?tunnel=gre1');
    assert.equal(type, 'application/x-pcapng');
    const packets = [...readCapture(new ByteSource(memoryReader(bytes).read))];
    assert.equal(packets.length, 2 * FORMS);
  });
});

function download(socketPath: string, path: string): Promise<{ type?: string; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      const type = response.headers['content-type'];
      response.on('end', () => {
        resolve({ ...(type === undefined ? {} : { type }), bytes: Buffer.concat(chunks) });
      });
    }).on('error', reject);
  });
}
