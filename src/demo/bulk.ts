// A bulk transfer over TCP that checks every byte: sender and receiver know the same endless pattern.
//
//   sender      pattern from its beginning, for as long as it likes, then end of stream
//   receiver    compares, and answers with one line of JSON: how many bytes, all of them right?
import { createServer, connect as openConnection, type Server } from 'node:net';
import { performance } from 'node:perf_hooks';

const CHUNK_SIZE = 1 << 18;
/** Length of the pattern: a prime above the largest window, so that a moved or repeated piece does not fit. */
const PATTERN_SIZE = 8_388_593;

export interface BulkResult {
  /** Bytes that arrived. */
  readonly bytes: number;
  readonly seconds: number;
  /** Every byte arrived, and every byte was right. */
  readonly intact: boolean;
}

interface Verdict {
  readonly bytes: number;
  readonly intact: boolean;
}

/** Pseudo-random numbers (xorshift32), so that no two places of the pattern look alike. */
function makePattern(): Buffer {
  const words = new Int32Array(Math.ceil((PATTERN_SIZE + CHUNK_SIZE) / 4));
  let state = 0x67726562;
  for (let n = 0; n < words.length; n++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[n] = state;
  }
  const pattern = Buffer.from(words.buffer);
  // The beginning once more behind the end: any chunk is one piece.
  pattern.copy(pattern, PATTERN_SIZE, 0, CHUNK_SIZE);
  return pattern;
}

/** Listens and checks what comes. `onListening` is called once it can be connected to. */
export function receiveBulk(address: string, port: number, onListening: () => void): Server {
  const pattern = makePattern();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = 0;
    let intact = true;
    socket.on('data', (data) => {
      for (let done = 0; done < data.length; ) {
        const at = bytes % PATTERN_SIZE;
        const length = Math.min(data.length - done, CHUNK_SIZE);
        if (pattern.compare(data, done, done + length, at, at + length) !== 0) intact = false;
        bytes += length;
        done += length;
      }
    });
    socket.on('end', () => socket.end(`${JSON.stringify({ bytes, intact } satisfies Verdict)}\n`));
    socket.on('error', () => socket.destroy());
  });
  server.listen(port, address, onListening);
  return server;
}

/** Sends to a `receiveBulk` for `seconds`, or until `maxBytes` are sent. Rejects when the connection breaks. */
export function sendBulk(
  address: string,
  port: number,
  seconds: number,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<BulkResult> {
  const pattern = makePattern();
  return new Promise((resolve, reject) => {
    let sent = 0;
    let reply = '';
    let start = 0;
    const socket = openConnection({ host: address, port, allowHalfOpen: true });
    const pump = (): void => {
      while (sent < maxBytes && performance.now() - start < seconds * 1000) {
        const at = sent % PATTERN_SIZE;
        const length = Math.min(CHUNK_SIZE, maxBytes - sent);
        sent += length;
        if (!socket.write(pattern.subarray(at, at + length))) return;
      }
      socket.off('drain', pump);
      socket.end();
    };
    socket.on('connect', () => {
      start = performance.now();
      pump();
    });
    socket.on('drain', pump);
    socket.on('data', (data) => {
      reply += data.toString();
    });
    socket.on('end', () => {
      const { bytes, intact } = parseVerdict(reply);
      const elapsed = (performance.now() - start) / 1000;
      resolve({ bytes, seconds: elapsed, intact: intact && bytes === sent });
    });
    socket.on('error', reject);
  });
}

function parseVerdict(line: string): Verdict {
  const value: unknown = line === '' ? {} : JSON.parse(line);
  if (typeof value !== 'object' || value === null) return { bytes: 0, intact: false };
  const bytes = 'bytes' in value ? Number(value.bytes) : 0;
  return { bytes, intact: 'intact' in value && value.intact === true };
}
