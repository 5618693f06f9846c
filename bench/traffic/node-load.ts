// load.c for machines without a compiler: the same words, the same reports.
//
//   node node-load.js udp-serve PORT
//   node node-load.js udp-send HOST PORT SECONDS LENGTH RATE [COUNT STRIDE]
//   node node-load.js tcp-serve PORT SECONDS
//   node node-load.js tcp-send HOST PORT SECONDS FLOWS
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import type { FlowReport, ReceiveReport, SendReport } from './load.js';

const TCP_CHUNK = 1 << 17;
/** Datagrams handed to the kernel before their callbacks are awaited. */
const UDP_BURST = 64;
const UDP_BUFFER = 4 << 20;
/** Destination and sequence number, at the front of every datagram. */
const NUMBERS_LENGTH = 8;
const END_INTERVAL_MS = 20;
const END_LIMIT_MS = 3000;
const SILENCE_MS = 100;
/** No connection for so long: all are there. */
const ACCEPT_MS = 50;

const [role, ...words] = process.argv.slice(2);
const numbers = words.map(Number);
if (role === 'udp-serve') serveUdp(numbers[0] ?? 0);
if (role === 'tcp-serve') serveTcp(numbers[0] ?? 0, numbers[1] ?? 0);
if (role === 'tcp-send') {
  const [, port = 0, seconds = 0, flows = 0] = numbers;
  sendTcp(words[0] ?? '', port, seconds, flows);
}
if (role === 'udp-send') {
  const [, port = 0, seconds = 0, length = 0, rate = 0, count = 1, stride = 0] = numbers;
  await sendUdp(addresses(words[0] ?? '', count, stride), port, seconds, length, rate);
}

function report(line: ReceiveReport | SendReport | FlowReport): void {
  console.log(JSON.stringify(line));
}

function serveUdp(port: number): void {
  const socket = createSocket({ type: 'udp4', recvBufferSize: UDP_BUFFER });
  const next = new Map<number, number>();
  let [received, bytes, reordered, first, last] = [0, 0, 0, 0, 0];
  let ended = false;
  socket.on('message', (message) => {
    if (message.length < NUMBERS_LENGTH) {
      if (!ended) last ||= performance.now();
      ended = true;
      return;
    }
    last = performance.now();
    if (received++ === 0) first = last;
    bytes += message.length;
    const [destination, sequence] = [message.readUInt32LE(0), message.readUInt32LE(4)];
    if (sequence < (next.get(destination) ?? 0)) reordered++;
    else next.set(destination, sequence + 1);
  });
  const interval = setInterval(() => {
    if (!ended || performance.now() - last < SILENCE_MS) return;
    clearInterval(interval);
    report({ received, bytes, seconds: (last - first) / 1000, reordered });
    socket.close();
  }, SILENCE_MS / 4);
  socket.bind(port, () => console.error('ready'));
}

async function sendUdp(
  hosts: readonly string[],
  port: number,
  seconds: number,
  length: number,
  rate: number,
): Promise<void> {
  const socket = createSocket({ type: 'udp4', sendBufferSize: UDP_BUFFER });
  // The server has heard the end and is gone, says its kernel.
  socket.on('error', () => socket.close());
  const next = new Array<number>(hosts.length).fill(0);
  const send = (bytes: Buffer, host: string) =>
    new Promise<void>((resolve) => socket.send(bytes, port, host, () => resolve()));
  const startedAt = performance.now();
  let [sent, destination, elapsed] = [0, 0, 0];
  while (elapsed < seconds) {
    const due = rate > 0 ? Math.floor(elapsed * rate) - sent : UDP_BURST;
    const count = Math.min(due, UDP_BURST);
    const host = hosts[destination] ?? '';
    await Promise.all(
      Array.from({ length: count }, (_, index) => {
        const datagram = Buffer.alloc(length, 0xa5);
        datagram.writeUInt32LE(destination, 0);
        datagram.writeUInt32LE((next[destination] ?? 0) + index, 4);
        return send(datagram, host);
      }),
    );
    if (count === 0) await new Promise((resolve) => setImmediate(resolve));
    next[destination] = (next[destination] ?? 0) + count;
    sent += count;
    destination = (destination + 1) % hosts.length;
    elapsed = (performance.now() - startedAt) / 1000;
  }
  report({ sent, seconds: elapsed });
  // The queues before the server may be full, and it waits for one of these.
  // Only a connected socket hears that the server has gone.
  await new Promise<void>((resolve) => socket.connect(port, hosts[0], resolve));
  const end = setInterval(() => socket.send(Buffer.alloc(0)), END_INTERVAL_MS);
  setTimeout(() => socket.close(), END_LIMIT_MS).unref();
  socket.on('close', () => clearInterval(end));
}

function addresses(first: string, count: number, stride: number): string[] {
  const base = first.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return Array.from({ length: count }, (_, index) =>
    [24, 16, 8, 0].map((shift) => ((base + index * stride) >>> shift) & 255).join('.'),
  );
}

/** Counts for `seconds` from the first byte on; leaving closes every flow. */
function serveTcp(port: number, seconds: number): void {
  const carried = new Set<unknown>();
  let [bytes, startedAt] = [0, 0];
  const end = () => {
    const took = (performance.now() - startedAt) / 1000;
    report({ bytes, seconds: took, flows: carried.size });
    process.exit();
  };
  // Node takes one connection a turn of its loop: reading from the first ones would keep the others waiting.
  const sockets: Socket[] = [];
  const readAll = setTimeout(() => {
    for (const socket of sockets) socket.resume();
  }, ACCEPT_MS);
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.push(socket);
    readAll.refresh();
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      if (bytes === 0) {
        startedAt = performance.now();
        setTimeout(end, seconds * 1000);
      }
      bytes += chunk.length;
      carried.add(socket);
    });
  });
  server.listen({ port, backlog: 4096 }, () => console.error('ready'));
}

/** Sends nothing before all flows are open. */
function sendTcp(host: string, port: number, seconds: number, flows: number): void {
  const chunk = Buffer.alloc(TCP_CHUNK);
  const until = performance.now() + seconds * 1000;
  let open = 0;
  const sockets = Array.from({ length: flows }, () => {
    const socket = connect(port, host);
    const fill = () => {
      while (performance.now() < until) if (!socket.write(chunk)) return;
      socket.destroy();
    };
    socket.on('connect', () => {
      open++;
      if (open === flows) for (const each of sockets) each.emit('drain');
    });
    socket.on('drain', fill);
    socket.on('error', () => socket.destroy());
    return socket;
  });
}
