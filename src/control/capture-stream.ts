// What lanes keep of packets, on its way to a client: pcapng, as it lies in a file.
//
//   pcapRoute, recorderRoute   what a client asks for
//   streamCapture              packets as they pass, until the client ends it, or `count` of them have
//   streamRecorder             the recorder's last packets, a chunk a tunnel: the router goes on between two of them
//
// A client that takes nothing any more holds up nobody: lanes find their rings full and count what they lose, which the
// stream says as soon as it moves again.
import { setImmediate as breathe } from 'node:timers/promises';
import { z } from 'zod';
import { CaptureWriter } from '../inspect/pcapng-writer.js';
import { RecordedCapture } from '../inspect/recorded-capture.js';
import type { Capture, CaptureRequest, Recording } from '../router/contract.js';
import { encodeRecording } from '../router/recording-file.js';
import { EXIT, Failure } from '../sys/failure.js';
import { route } from './route.js';

const PCAPNG_TYPE = 'application/x-pcapng';

/** The largest packet that there is, with its outer header. */
const SNAP_MAX = 262_144;
const COUNT_MAX = 1e9;
const POLL_MS = 10;
/** Bytes taken from the lanes at once: the router has other things to do besides. */
const TAKE_BYTES = 1 << 20;
/** Bytes that wait for the client to take them. */
const BACKLOG = 1 << 20;

/** The text is judged here, so that a wrong one is answered with the words of the command line. */
const pcapQuery = z.object({
  tunnel: z.string().optional().describe('One tunnel only.'),
  snap: z.string().optional().describe(`Bytes of each packet, 1..${SNAP_MAX}; default: all.`),
  count: z.string().optional().describe('The capture ends after so many packets.'),
});
const recorderQuery = z.object({ tunnel: z.string().optional().describe('One tunnel only.') });

export const pcapRoute = route({
  method: 'GET',
  path: '/v1/pcap',
  summary: 'Packets as they pass, whole, as pcapng',
  description:
    'A stream until one end closes. One capture at a time; what was lost is counted in it.',
  access: 'token',
  takes: z.object({ query: pcapQuery }),
  answer: { description: 'A pcapng file without an end', types: [PCAPNG_TYPE], isEndless: true },
  handle({ router, input }) {
    const order = captureRequest(input.query);
    const stream = streamCapture(router().capture(order), order);
    return new Response(stream, { headers: { 'Content-Type': PCAPNG_TYPE } });
  },
});

export const recorderRoute = route({
  method: 'GET',
  path: '/v1/recorder',
  summary: 'The last packets of every tunnel, as pcapng',
  access: 'token',
  takes: z.object({ query: recorderQuery }),
  answer: { description: 'A pcapng file', types: [PCAPNG_TYPE], isEndless: true },
  handle({ router, input }) {
    const { tunnel } = input.query;
    const recording = router().recorded(tunnel === undefined ? 'all' : { tunnel });
    return new Response(streamRecorder(recording), { headers: { 'Content-Type': PCAPNG_TYPE } });
  },
});

interface CaptureOrder extends CaptureRequest {
  /** The capture ends after so many packets. */
  readonly count: number;
}

/** What the query of a request asks for. Throws a Failure for what makes no sense. */
function captureRequest({ tunnel, snap, count }: z.output<typeof pcapQuery>): CaptureOrder {
  return {
    tunnel: tunnel ?? null,
    snap: numberOf('snap', snap, SNAP_MAX, 'grebe pcap -s 128') ?? SNAP_MAX,
    count: numberOf('count', count, COUNT_MAX, 'grebe pcap -n 100') ?? Number.POSITIVE_INFINITY,
  };
}

function numberOf(
  name: string,
  word: string | undefined,
  max: number,
  hint: string,
): number | undefined {
  if (word === undefined) return undefined;
  const value = /^[1-9][0-9]{0,9}$/.test(word) ? Number(word) : 0;
  if (value >= 1 && value <= max) return value;
  throw new Failure(EXIT.usage, `${name} must be 1..${max}, not ${JSON.stringify(word)}`, hint);
}

/** Streams a capture, and closes it when the stream ends, whoever ends it. */
function streamCapture(
  capture: Capture,
  { tunnel, count }: CaptureOrder,
): ReadableStream<Uint8Array> {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    clearInterval(timer);
    capture.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const encoder = new CaptureEncoder(capture, tunnel, count);
        controller.enqueue(encoder.take());
        timer = setInterval(() => {
          if ((controller.desiredSize ?? 0) <= 0) return;
          const bytes = encoder.take();
          if (bytes.length > 0) controller.enqueue(bytes);
          if (!encoder.isEnough) return;
          end();
          controller.close();
        }, POLL_MS);
      },
      cancel: end,
    },
    { highWaterMark: BACKLOG, size: (chunk) => chunk.length },
  );
}

/** Takes packets from a capture, and makes blocks of them. */
class CaptureEncoder {
  readonly #capture: Capture;
  readonly #tunnel: string | null;
  readonly #recorded: RecordedCapture;
  #blocks: Uint8Array[] = [];
  #left: number;
  #lost = { encap: 0, decap: 0 };

  constructor(capture: Capture, tunnel: string | null, count: number) {
    this.#capture = capture;
    this.#tunnel = tunnel;
    this.#left = count;
    const writer = new CaptureWriter((block) => this.#blocks.push(block), 'grebe pcap');
    this.#recorded = new RecordedCapture(writer, capture.subjectOf);
  }

  /** Whether all that were asked for have been taken. */
  get isEnough(): boolean {
    return this.#left <= 0;
  }

  /** Blocks of what passed since the last call. */
  take(): Uint8Array {
    const { packets, lost } = this.#capture.read(TAKE_BYTES);
    for (const packet of packets) {
      if (this.isEnough) break;
      this.#recorded.add(packet);
      this.#left--;
    }
    if (lost.encap + lost.decap > 0) {
      const { encap, decap } = this.#lost;
      this.#lost = { encap: encap + lost.encap, decap: decap + lost.decap };
      this.#recorded.addLost(this.#tunnel, this.#capture.isEthernet, this.#lost);
    }
    const blocks = this.#blocks;
    this.#blocks = [];
    return Buffer.concat(blocks);
  }
}

/** Streams the recorder's last packets. */
function streamRecorder(recording: Recording): ReadableStream<Uint8Array> {
  const chunks = encodeRecording(recording);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await breathe();
        const { done, value } = chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
    },
    { highWaterMark: BACKLOG, size: (chunk) => chunk?.length ?? 0 },
  );
}
