// What runs inside the namespace of a host or router of the demo, one process a task. Results go to stdout
// as lines of JSON.
//
//   echo ADDRESS COUNT SIZE [MS]    ping, then {sent, received, minMs, avgMs, maxMs}
//   receive ADDRESS PORT            a bulk receiver; {"listening":true} once it can be connected to
//   send ADDRESS PORT SECONDS [MAX] a bulk sender, then {bytes, seconds, intact}
//   capture DEVICE PROTOCOL COUNT   the first COUNT frames of an outer protocol: {"listening":true}, then
//                                   {timeMs, length, hex} each
import { writeSync } from 'node:fs';
import { u8, u16 } from '../packet/bytes.js';
import { EXIT, Failure } from '../sys/failure.js';
import { receiveBulk, sendBulk } from './bulk.js';
import { echo } from './echo.js';
import { PacketSocket } from './packet-socket.js';

/** Enough for Ethernet, outer IPv4, GRE, inner IPv6 and TCP with options, and some of the data. */
const SNAP_LENGTH = 192;
const ETHERTYPE_IPV4 = 0x0800;
const WAIT_MS = 1000;
/** How long an echo request waits for its answer unless told otherwise. */
const ECHO_LIMIT_MS = 1000;

const [task = '', ...words] = process.argv.slice(2);
try {
  await run(task, words);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof Failure ? error.exitCode : EXIT.failed;
}

async function run(task: string, [target = '', first = '', second = '', third]: string[]) {
  switch (task) {
    case 'echo':
      return print(echo(target, Number(first), Number(second), Number(third ?? ECHO_LIMIT_MS)));
    case 'receive':
      receiveBulk(target, Number(first), () => print({ listening: true }));
      return;
    case 'send': {
      const max = third === undefined ? Number.POSITIVE_INFINITY : Number(third);
      return print(await sendBulk(target, Number(first), Number(second), max));
    }
    case 'capture':
      return capture(target, Number(first), Number(second));
    default:
      throw new Failure(EXIT.usage, `no such task: ${task}`);
  }
}

/** Runs until it has `count` frames or is killed. */
function capture(device: string, protocol: number, count: number): void {
  const socket = new PacketSocket(device, SNAP_LENGTH);
  print({ listening: true });
  for (let captured = 0; captured < count; ) {
    const frame = socket.next(WAIT_MS);
    if (frame === undefined || u16(frame.bytes, 12) !== ETHERTYPE_IPV4) continue;
    if (u8(frame.bytes, 14 + 9) !== protocol) continue;
    captured++;
    const hex = Buffer.from(frame.bytes).toString('hex');
    print({ timeMs: Date.now(), length: frame.length, hex });
  }
  socket.close();
}

/** Writes at once, because a blocking task never returns to the event loop. */
function print(value: object): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}
