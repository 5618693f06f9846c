// A TCP transfer with the guest, run inside the router's namespace as a process of its own:
//
//   node transfer.js get HOST PORT          reads to the end of the stream
//   node transfer.js put HOST PORT BYTES    sends random bytes, half closes, reads the answer
//
// One line of JSON on stdout says what the bytes were, so that both ends can be compared.
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

export interface TransferReport {
  readonly bytes: number;
  readonly milliseconds: number;
  /** Of the bytes that went or came. */
  readonly sha256: string;
  /** put: what the other side answered. */
  readonly answer: string;
}

const [direction, host, port, bytes] = process.argv.slice(2);

const payload = direction === 'put' ? randomBytes(Number(bytes)) : Buffer.alloc(0);
const received: Buffer[] = [];
const startedAt = performance.now();
const socket = connect({ host: host ?? '', port: Number(port), allowHalfOpen: true });
socket.on('data', (chunk: Buffer) => received.push(chunk));
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
socket.on('end', () => {
  const all = Buffer.concat(received);
  const subject = direction === 'put' ? payload : all;
  const report: TransferReport = {
    bytes: subject.length,
    milliseconds: Math.round(performance.now() - startedAt),
    sha256: createHash('sha256').update(subject).digest('hex'),
    answer: direction === 'put' ? all.toString().trim() : '',
  };
  console.log(JSON.stringify(report));
  socket.end();
});
// What is read begins with what the other side sends: its end comes first, then ours.
if (direction === 'put') socket.end(payload);
