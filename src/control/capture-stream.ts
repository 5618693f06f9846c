// What lanes keep of packets, on its way to a client: pcapng, as it lies in a file.
//
//   captureRequest   what a client asks for
//   streamCapture    packets as they pass, until the client ends it, or `count` of them have
//   streamRecorder   the recorder's last packets, a chunk a tunnel: the router goes on between two of them
//
// A client that takes nothing any more holds up nobody: lanes find their rings full and count what they lose, which the
// stream says as soon as it moves again.
import { setImmediate as breathe } from 'node:timers/promises';
import { CaptureWriter } from '../inspect/pcapng-writer.js';
import { RecordedCapture } from '../inspect/recorded-capture.js';
import type { Capture, CaptureRequest, RecordChoice, Recording } from '../router/contract.js';
import { encodeRecording } from '../router/recording-file.js';
import { EXIT, Failure } from '../sys/failure.js';

export const PCAPNG_TYPE = 'application/x-pcapng';

/** The largest packet that there is, with its outer header. */
export const SNAP_MAX = 262_144;
const COUNT_MAX = 1e9;
const POLL_MS = 10;
/** Bytes taken from the lanes at once: the router has other things to do besides. */
const TAKE_BYTES = 1 << 20;
/** Bytes that wait for the client to take them. */
const BACKLOG = 1 << 20;

type Query = { readonly [name in string]?: string };

export interface CaptureOrder extends CaptureRequest {
  /** The capture ends after so many packets. */
  readonly count: number;
}

/** What the query of a request asks for. Throws a Failure for what makes no sense. */
export function captureRequest({ tunnel, snap, count }: Query): CaptureOrder {
  return {
    tunnel: tunnel ?? null,
    snap: numberOf('snap', snap, SNAP_MAX, 'grebe pcap -s 128') ?? SNAP_MAX,
    count: numberOf('count', count, COUNT_MAX, 'grebe pcap -n 100') ?? Number.POSITIVE_INFINITY,
  };
}

export function recorderChoice({ tunnel }: Query): RecordChoice {
  return tunnel === undefined ? 'all' : { tunnel };
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
export function streamCapture(
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
export function streamRecorder(recording: Recording): ReadableStream<Uint8Array> {
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
