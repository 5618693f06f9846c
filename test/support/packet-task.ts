// Sockets that send packets made by hand and see what passes. Runs as a program inside a namespace:
//
//   inject [dev DEVICE] HEX ...      sends IP packets as they are; the kernel finishes headers of IPv4
//   see DEVICE                       every frame that passes a device, a line of hex each
//   join GROUP PORT ADDRESS COUNT    a multicast receiver on the device with ADDRESS; a line a datagram
//   stream GROUP PORT ADDRESS COUNT  sends numbered datagrams to a group from the device with ADDRESS
//
// Tasks that listen print "listening" first.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Namespaces } from '../../src/demo/namespaces.js';
import { PacketSocket } from '../../src/demo/packet-socket.js';
import { close, errno, errnoName, NativeBlock, sendto } from '../../src/sys/libc.js';
import {
  AF_INET,
  AF_INET6,
  bindToDevice,
  openSocket,
  SOCK_RAW,
  socketAddress,
} from '../../src/sys/socket.js';
import { eventually } from './lab.js';

const PROGRAM = fileURLToPath(import.meta.url);

const IPPROTO_RAW = 255;
const SNAP_LENGTH = 2048;
/** Pause between datagrams of a stream: no queue on the way fills. */
const STREAM_PAUSE_MS = 1;
const START_LIMIT_MS = 10_000;
/** A watcher that nobody stopped ends by itself. */
const SEE_LIMIT_MS = 60_000;

/** Sends packets from inside `namespace`; with `device`, out of that device whatever the routes say. */
export function injectPackets(
  namespaces: Namespaces,
  namespace: string,
  packets: readonly Uint8Array[],
  device?: string,
): void {
  const words = device === undefined ? [] : ['dev', device];
  const hexes = packets.map((packet) => Buffer.from(packet).toString('hex'));
  namespaces.run(namespace, process.execPath, [PROGRAM, 'inject', ...words, ...hexes]);
}

/** Sees what passes `device` until the lab is closed; the lines of hex grow as frames pass. */
export function seeFrames(
  namespaces: Namespaces,
  namespace: string,
  device: string,
): Promise<readonly string[]> {
  return startTask(namespaces, namespace, ['see', device]);
}

/** Joins a multicast group on the device with `address`; a line for each datagram that arrives. */
export function joinGroup(
  namespaces: Namespaces,
  namespace: string,
  group: string,
  port: number,
  address: string,
  count: number,
): Promise<readonly string[]> {
  return startTask(namespaces, namespace, ['join', group, `${port}`, address, `${count}`]);
}

/** Sends `datagram 1`, `datagram 2` and so on to a multicast group. */
export function streamToGroup(
  namespaces: Namespaces,
  namespace: string,
  group: string,
  port: number,
  address: string,
  count: number,
): void {
  const words = ['stream', group, `${port}`, address, `${count}`];
  namespaces.run(namespace, process.execPath, [PROGRAM, ...words]);
}

async function startTask(
  namespaces: Namespaces,
  namespace: string,
  words: readonly string[],
): Promise<readonly string[]> {
  const child = namespaces.start(namespace, process.execPath, [PROGRAM, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.ok(child.stdout);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  assert.ok(await eventually(() => lines.length > 0, START_LIMIT_MS), `${words[0]} started`);
  lines.shift();
  return lines;
}

function inject(words: readonly string[]): void {
  const [first, device = '', ...rest] = words;
  for (const hex of first === 'dev' ? rest : words) {
    const packet = new NativeBlock(hex.length / 2);
    packet.bytes.set(Buffer.from(hex, 'hex'));
    const isIpv6 = (packet.bytes[0] ?? 0) >>> 4 === 6;
    const fd = openSocket(isIpv6 ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_RAW, 'raw socket');
    if (first === 'dev') bindToDevice(fd, device);
    const to = socketAddress(packet.bytes.slice(...(isIpv6 ? [24, 40] : [16, 20])), 0);
    const { address, bytes } = to;
    if (sendto(fd, packet.address, packet.bytes.length, 0, address, bytes.length) < 0) {
      throw new Error(`sendto: ${errnoName(errno())}`);
    }
    close(fd);
  }
}

function see(device: string): void {
  const socket = new PacketSocket(device, SNAP_LENGTH);
  const end = Date.now() + SEE_LIMIT_MS;
  print('listening');
  for (let left = end - Date.now(); left > 0; left = end - Date.now()) {
    const frame = socket.next(left);
    if (frame) print(Buffer.from(frame.bytes).toString('hex'));
  }
  socket.close();
}

function join(group: string, port: number, address: string, count: number): void {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  let received = 0;
  socket.on('message', (message) => {
    print(message.toString());
    if (++received === count) socket.close();
  });
  socket.bind(port, group, () => {
    socket.addMembership(group, address);
    print('listening');
  });
}

function stream(group: string, port: number, address: string, count: number): void {
  const socket = createSocket('udp4');
  socket.bind(0, address, () => {
    socket.setMulticastInterface(address);
    socket.setMulticastTTL(8);
    let sent = 0;
    const timer = setInterval(() => {
      const isLast = ++sent === count;
      if (isLast) clearInterval(timer);
      socket.send(`datagram ${sent}`, port, group, () => {
        if (isLast) socket.close();
      });
    }, STREAM_PAUSE_MS);
  });
}

/** Writes at once: a task that blocks never returns to the event loop. */
function print(line: string): void {
  writeSync(1, `${line}\n`);
}

if (process.argv[1] === PROGRAM) {
  const [task, ...words] = process.argv.slice(2);
  const [first = '', second = '', third = '', fourth = ''] = words;
  if (task === 'inject') inject(words);
  else if (task === 'see') see(first);
  else if (task === 'join') join(first, Number(second), third, Number(fourth));
  else if (task === 'stream') stream(first, Number(second), third, Number(fourth));
  else throw new Error(`no such task: ${task}`);
}
