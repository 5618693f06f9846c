// A trace on its way to a client: lines of JSON, as long as the client takes them.
//
//   1. traceRequest   what a client asks for
//   2. streamTrace    what passed since the last look, every POLL_MS; the trace ends with the stream
//
// A client that goes away cancels the stream. One that takes nothing any more, while packets pass, is cut off after
// STALL_LIMIT_MS: until then what it does not take is lost to it and counted, and the lanes never wait.
import type { Trace, TraceRequest } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { type TraceLine, tracePacket, traceStart } from './message.js';

/** Packets a second when a client asks for no other number, and the most. */
const DEFAULT_RATE = 1000;
export const RATE_MAX = 10_000;

/** At RATE_MAX, half of what the ring of a lane holds. */
const POLL_MS = 50;
const STALL_LIMIT_MS = 3000;
/** Bytes that wait for the client to take them. */
const BACKLOG = 64 * 1024;

/** What the query of a request asks for. Throws a Failure for what makes no sense. */
export function traceRequest(query: Readonly<Record<string, string>>): TraceRequest {
  const { tunnel = null, drops, rate = String(DEFAULT_RATE) } = query;
  const limit = /^[1-9][0-9]{0,5}$/.test(rate) ? Number(rate) : 0;
  if (limit < 1 || limit > RATE_MAX) {
    const fault = `rate must be 1..${RATE_MAX} packets a second, not ${JSON.stringify(rate)}`;
    throw new Failure(EXIT.usage, fault, 'grebe trace --rate 1000');
  }
  return { tunnel, dropsOnly: drops === '1', limit };
}

/** Streams a trace, and closes it when the stream ends, whoever ends it. `cutOff` ends the client's connection. */
export function streamTrace(trace: Trace, cutOff: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    clearInterval(timer);
    trace.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (lines: readonly TraceLine[]): void => {
          if (lines.length === 0) return;
          const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
          controller.enqueue(encoder.encode(text));
        };
        let missed = 0;
        let takenMs = Date.now();
        send([traceStart(trace)]);
        timer = setInterval(() => {
          const found = trace.read();
          missed += found.missed;
          if ((controller.desiredSize ?? 0) > 0) {
            takenMs = Date.now();
            const behind = missed > 0 ? [{ kind: 'missed', count: missed } as const] : [];
            missed = 0;
            send([...found.packets.map(tracePacket), ...behind]);
            return;
          }
          missed += found.packets.reduce((sum, { packets }) => sum + packets, 0);
          if (Date.now() - takenMs < STALL_LIMIT_MS) return;
          end();
          cutOff();
        }, POLL_MS);
      },
      cancel: end,
    },
    { highWaterMark: BACKLOG, size: (chunk) => chunk.length },
  );
}
