// One TCP flow or a stream of UDP datagrams between two processes, for machines without iperf3:
//
//   node stream.js serve tcp|udp PORT                         counts what comes from one sender
//   node stream.js send tcp|udp HOST PORT SECONDS LENGTH      sends as fast as it can
//
// The server says `ready`, and at the end one line of JSON: bytes and the seconds they took. A UDP sender
// ends with empty datagrams.
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

/** What the server prints. */
export interface StreamReport {
  readonly bytes: number;
  readonly seconds: number;
}

const TCP_CHUNK = 1 << 18;
/** Datagrams handed to the kernel before their callbacks are awaited. */
const UDP_BURST = 64;
const UDP_BUFFER = 4 << 20;
const END_INTERVAL_MS = 20;
const END_LIMIT_MS = 1000;

const [role, kind, ...rest] = process.argv.slice(2);
if (role === 'serve' && kind === 'tcp') serveTcp(Number(rest[0]));
if (role === 'serve' && kind === 'udp') serveUdp(Number(rest[0]));
const [host = '', port, seconds, length] = rest;
if (role === 'send' && kind === 'tcp') sendTcp(host, Number(port), Number(seconds));
if (role === 'send' && kind === 'udp') {
  await sendUdp(host, Number(port), Number(seconds), Number(length));
}

function report(bytes: number, startedAt: number, endedAt: number): void {
  const line: StreamReport = { bytes, seconds: (endedAt - startedAt) / 1000 };
  console.log(JSON.stringify(line));
}

function serveTcp(port: number): void {
  const server = createServer((socket) => {
    const startedAt = performance.now();
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.on('close', () => {
      report(bytes, startedAt, performance.now());
      server.close();
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(port, () => console.error('ready'));
}

function sendTcp(host: string, port: number, seconds: number): void {
  const chunk = Buffer.alloc(TCP_CHUNK);
  const socket = connect(port, host);
  const until = performance.now() + seconds * 1000;
  const fill = () => {
    while (performance.now() < until) if (!socket.write(chunk)) return;
    socket.end();
  };
  socket.on('connect', fill);
  socket.on('drain', fill);
}

function serveUdp(port: number): void {
  const socket = createSocket({ type: 'udp4', recvBufferSize: UDP_BUFFER });
  let bytes = 0;
  let startedAt = 0;
  let endedAt = 0;
  socket.on('message', (message) => {
    endedAt = performance.now();
    if (bytes === 0) startedAt = endedAt;
    bytes += message.length;
    if (message.length > 0) return;
    report(bytes, startedAt, endedAt);
    socket.close();
  });
  socket.bind(port, () => console.error('ready'));
}

async function sendUdp(host: string, port: number, seconds: number, length: number): Promise<void> {
  const socket = createSocket({ type: 'udp4', sendBufferSize: UDP_BUFFER });
  // The server has heard the end and is gone: its kernel says so to what we send after it.
  socket.on('error', () => socket.close());
  await new Promise<void>((resolve) => socket.connect(port, host, resolve));
  const datagram = Buffer.alloc(length, 0xa5);
  const send = (bytes: Buffer) =>
    new Promise<void>((resolve) => socket.send(bytes, () => resolve()));
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await Promise.all(Array.from({ length: UDP_BURST }, () => send(datagram)));
  }
  // The queues before the server may be full, and it waits for one of these.
  const end = setInterval(() => socket.send(Buffer.alloc(0)), END_INTERVAL_MS);
  setTimeout(() => socket.close(), END_LIMIT_MS).unref();
  socket.on('close', () => clearInterval(end));
}
