// A trace on its way to a client: lines of JSON, as long as the client takes them.
//
//   1. traceRoute     what a client asks for
//   2. streamTrace    what passed since the last look, every POLL_MS; the trace ends with the stream
//
// A client that goes away cancels the stream. One that takes nothing any more, while packets pass, is cut off after
// STALL_LIMIT_MS: until then what it does not take is lost to it and counted, and the lanes never wait.

import { z } from 'zod';
import type { Trace, TraceRequest } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { type TraceLine, tracePacket, traceStart } from './message.js';
import { route } from './route.js';
import { traceLineSchema } from './trace-schemas.js';

/** Packets a second when a client asks for no other number, and the most. */
const DEFAULT_RATE = 1000;
const RATE_MAX = 10_000;

/** At RATE_MAX, half of what the ring of a lane holds. */
const POLL_MS = 50;
const STALL_LIMIT_MS = 3000;
/** Bytes that wait for the client to take them. */
const BACKLOG = 64 * 1024;

/** The text is judged here, so that a wrong one is answered with the words of the command line. */
const query = z.object({
  tunnel: z.string().optional().describe('One tunnel only.'),
  drops: z.string().optional().describe('1: dropped packets only.'),
  rate: z
    .string()
    .optional()
    .describe(`Packets a second, 1..${RATE_MAX}; default ${DEFAULT_RATE}.`),
});

export const traceRoute = route({
  method: 'GET',
  path: '/v1/trace',
  summary: 'Packets as they pass, with the first bytes of each',
  description:
    'Lines of JSON until one end closes: a start, then packets. One trace at a time. What comes too fast is counted.',
  access: 'token',
  takes: z.object({ query }),
  answer: {
    description: 'Lines of JSON',
    schema: traceLineSchema,
    types: ['application/x-ndjson'],
    isEndless: true,
  },
  handle({ router, input, cutOff }) {
    const stream = streamTrace(router().trace(traceRequest(input.query)), cutOff);
    return new Response(stream, { headers: { 'Content-Type': 'application/x-ndjson' } });
  },
});

/** What the query of a request asks for. Throws a Failure for what makes no sense. */
function traceRequest(asked: z.output<typeof query>): TraceRequest {
  const { tunnel, drops, rate = String(DEFAULT_RATE) } = asked;
  const limit = /^[1-9][0-9]{0,5}$/.test(rate) ? Number(rate) : 0;
  if (limit < 1 || limit > RATE_MAX) {
    const fault = `rate must be 1..${RATE_MAX} packets a second, not ${JSON.stringify(rate)}`;
    throw new Failure(EXIT.usage, fault, 'grebe trace --rate 1000');
  }
  return { tunnel: tunnel ?? null, dropsOnly: drops === '1', limit };
}

/** Streams a trace, and closes it when the stream ends, whoever ends it. `cutOff` ends the client's connection. */
function streamTrace(trace: Trace, cutOff: () => void): ReadableStream<Uint8Array> {
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
