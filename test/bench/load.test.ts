import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasProgram } from '../../bench/path/lab.js';
import { compiled } from '../../bench/peers/compiled.js';
import type { FlowReport, ReceiveReport, SendReport } from '../../bench/traffic/load.js';

const NODE_LOAD = fileURLToPath(new URL('../../bench/traffic/node-load.js', import.meta.url));
const LIMIT_MS = 20_000;
/** Of this process's own, so that runs side by side do not meet. */
const PORT = `${20_000 + (process.pid % 10_000)}`;

const programs = [
  {
    name: 'load.c',
    skip: hasProgram('gcc') ? false : 'needs gcc (apt-get install gcc)',
    words: () => [compiled('bench/traffic/load.c')],
  },
  { name: 'node-load.ts', skip: false, words: () => [process.execPath, NODE_LOAD] },
] as const;

for (const { name, skip, words } of programs) {
  test(`${name} keeps to its rate and receives what it sent, over one address and over many`, {
    skip,
  }, async () => {
    for (const spread of [[], ['3', '1']]) {
      const server = await serve([...words(), 'udp-serve', PORT]);
      const client = ['udp-send', '127.0.0.1', PORT, '0.5', '64', '1000', ...spread];
      const sent: SendReport = JSON.parse(await outputOf(start([...words(), ...client])));
      const { seconds, ...received }: ReceiveReport = JSON.parse(await server.output);
      // A machine under load may hold the sender up, never hurry it.
      assert.ok(sent.sent > 100 && sent.sent <= 520, `${sent.sent}`);
      assert.deepEqual(received, { received: sent.sent, bytes: sent.sent * 64, reordered: 0 });
      assert.ok(seconds > 0.2 && sent.seconds >= 0.5);
    }
  });

  test(`${name} counts a datagram that comes after a later one of its destination`, {
    skip,
  }, async () => {
    const server = await serve([...words(), 'udp-serve', PORT]);
    const socket = createSocket('udp4');
    for (const [destination, sequence] of [
      [0, 0],
      [0, 2],
      [0, 1],
      [1, 0],
      [0, 3],
    ]) {
      const numbers = Uint32Array.of(destination ?? 0, sequence ?? 0);
      await send(socket, new Uint8Array(numbers.buffer));
    }
    await send(socket, new Uint8Array());
    const { received, reordered }: ReceiveReport = JSON.parse(await server.output);
    assert.deepEqual({ received, reordered }, { received: 5, reordered: 1 });
    socket.close();
  });

  test(`${name} fills many TCP flows at once`, { skip }, async () => {
    const server = await serve([...words(), 'tcp-serve', PORT, '0.5']);
    const client = outputOf(start([...words(), 'tcp-send', '127.0.0.1', PORT, '5', '40']));
    const report: FlowReport = JSON.parse(await server.output);
    assert.equal(report.flows, 40);
    assert.ok(report.bytes > 0, 'something arrived');
    assert.ok(report.seconds > 0.4, 'nearly all of the half second that was asked for');
    await client;
  });
}

function start([program = '', ...words]: readonly string[]): ChildProcess {
  return spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
}

async function serve(words: readonly string[]): Promise<{ output: Promise<string> }> {
  const child = start(words);
  const output = outputOf(child);
  if (child.stderr) await once(child.stderr, 'data'); // `ready`
  return { output };
}

async function outputOf(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  const [code, signal] = await once(child, 'close');
  assert.equal(code, 0, `${child.spawnargs.join(' ')} ended by ${signal}`);
  return text;
}

function send(socket: ReturnType<typeof createSocket>, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.send(bytes, Number(PORT), '127.0.0.1', (error) => (error ? reject(error) : resolve())),
  );
}
