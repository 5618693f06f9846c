// Streams of numbered UDP datagrams, several flows at once. Runs as a program inside a namespace:
//
//   receive ADDRESS PORT            counts until it is told to end; then {received, reordered, repeated} as JSON
//   send ADDRESS PORT FLOWS COUNT   COUNT datagrams of each flow, in turn
//
// A datagram is {flow u32, number u32}, then filling. The receiver prints "listening" first.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Namespaces } from '../../src/demo/namespaces.js';
import { eventually } from './lab.js';

const PROGRAM = fileURLToPath(import.meta.url);
const START_LIMIT_MS = 10_000;
const BUFFER_SIZE = 8 << 20;
/** Datagrams of a burst and the pause behind it: no queue on the way fills. */
const BURST = 40;
const PAUSE_MS = 1;
/** Lengths in turn: small ones overtake large ones wherever the two go different ways. */
const LENGTHS = [64, 1400, 200, 900];

export interface StreamCount {
  readonly received: number;
  /** Came after a later one of its flow. */
  readonly reordered: number;
  readonly repeated: number;
}

export interface Stream {
  readonly flows: number;
  /** Of each flow. */
  readonly count: number;
}

/** Sends streams from a namespace to an address of another. */
export async function streamBetween(
  namespaces: Namespaces,
  [from, to]: readonly [string, string],
  address: string,
  { flows, count }: Stream,
): Promise<StreamCount> {
  const port = 5002;
  const receiver = namespaces.start(
    to,
    process.execPath,
    [PROGRAM, 'receive', address, `${port}`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  receiver.stdout?.on('data', (data) => {
    text += String(data);
  });
  assert.ok(await eventually(() => text.includes('listening'), START_LIMIT_MS));
  const words = ['send', address, `${port}`, `${flows}`, `${count}`];
  const sender = namespaces.start(from, process.execPath, [PROGRAM, ...words], {
    stdio: 'inherit',
  });
  const [code] = await once(sender, 'exit');
  assert.equal(code, 0);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await namespaces.stop(receiver);
  const result: StreamCount = JSON.parse(text.split('\n')[1] ?? '');
  return result;
}

function receive(address: string, port: number): void {
  const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER_SIZE });
  const latest = new Map<number, number>();
  let [received, reordered, repeated] = [0, 0, 0];
  socket.on('message', (message) => {
    const [flow, number] = [message.readUInt32BE(0), message.readUInt32BE(4)];
    const last = latest.get(flow) ?? -1;
    received++;
    if (number < last) reordered++;
    else if (number === last) repeated++;
    else latest.set(flow, number);
  });
  socket.bind(port, address, () => print('listening'));
  process.once('SIGTERM', () => {
    print(JSON.stringify({ received, reordered, repeated }));
    process.exit(0);
  });
}

async function send(address: string, port: number, flows: number, count: number): Promise<void> {
  const sockets = Array.from({ length: flows }, () => createSocket({ type: 'udp4' }));
  for (const socket of sockets) {
    socket.connect(port, address);
    await once(socket, 'connect');
  }
  let burst = 0;
  for (let number = 0; number < count; number++) {
    for (const [flow, socket] of sockets.entries()) {
      const datagram = Buffer.alloc(LENGTHS[number % LENGTHS.length] ?? 64);
      datagram.writeUInt32BE(flow, 0);
      datagram.writeUInt32BE(number, 4);
      socket.send(datagram);
      if (++burst % BURST === 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (const socket of sockets) socket.close();
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}

if (process.argv[1] === PROGRAM) {
  const [task, address = '', port, flows, count] = process.argv.slice(2);
  if (task === 'receive') receive(address, Number(port));
  else if (task === 'send') await send(address, Number(port), Number(flows), Number(count));
  else throw new Error(`no such task: ${task}`);
}
