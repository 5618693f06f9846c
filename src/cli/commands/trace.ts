// grebe trace: packets of the running router as they pass, each explained
//
//   1. followTrace    the router copies headers, and sends them here
//   2. explainTraced  the checks of each, by the code of grebe explain
//   3. print          lines for people, or JSON
//
// It ends by ^C, after -n packets, or with the router; tracing ends with it.
import { followTrace } from '../../control/client.js';
import type { TraceLine, TracePacket } from '../../control/message.js';
import { formatExplanation } from '../../inspect/format-explanation.js';
import { explainTraced } from '../../inspect/traced.js';
import type { Explanation } from '../../packet/explain.js';
import { createTable, type Table } from '../../packet/table.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';
import { askRouter } from '../socket-path.js';

export async function runTrace(call: Call): Promise<ExitCode> {
  const { options, words } = call;
  const ending = new AbortController();
  const view = new TraceView(call, countOf(options.count), () => ending.abort());
  const onSignal = (): void => ending.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const query = {
    tunnel: words[0],
    dropsOnly: options.drops === true,
    rate: typeof options.rate === 'string' ? options.rate : undefined,
  };
  try {
    await askRouter(call, (socket) =>
      followTrace(socket, query, ending.signal, (line) => view.take(line)),
    );
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    view.summarize();
  }
  return EXIT.ok;
}

/** Packets to show: all, where the option is not there. */
function countOf(word: string | boolean | undefined): number {
  if (typeof word !== 'string') return Number.POSITIVE_INFINITY;
  if (/^[1-9][0-9]{0,8}$/.test(word)) return Number(word);
  throw new Failure(
    EXIT.usage,
    `trace: -n must be a number from 1 on, not ${word}`,
    'grebe trace -n 10',
  );
}

/** Shows packets, and counts what it showed. */
class TraceView {
  readonly #call: Call;
  readonly #count: number;
  readonly #onEnough: () => void;
  #table: Table = createTable([]);
  #links: ReadonlyMap<number, string> = new Map();
  #isStarted = false;
  #shown = 0;
  #dropped = 0;
  #missed = 0;

  constructor(call: Call, count: number, onEnough: () => void) {
    this.#call = call;
    this.#count = count;
    this.#onEnough = onEnough;
  }

  take(line: TraceLine): void {
    switch (line.kind) {
      case 'start':
        this.#isStarted = true;
        this.#table = createTable(line.tunnels.map((tunnel) => tunnel ?? undefined));
        this.#links = new Map(line.links);
        this.#call.output.say('tracing: ^C ends it');
        break;
      case 'missed':
        this.#missed += line.count;
        if (!this.#call.json) this.#call.output.say(missedText(line.count));
        else this.#call.output.print(JSON.stringify({ schema: SCHEMA, missed: line.count }));
        break;
      case 'packet':
        this.#show(line);
        break;
    }
  }

  /** Says what was shown, once the trace has begun. */
  summarize(): void {
    if (!this.#isStarted) return;
    const missed = this.#missed === 0 ? '' : `; ${missedText(this.#missed)}`;
    this.#call.output.say(`${this.#shown} packets, ${this.#dropped} dropped${missed}`);
  }

  #show(packet: TracePacket): void {
    const { json, output } = this.#call;
    const bytes = Uint8Array.from(Buffer.from(packet.bytes, 'hex'));
    const explained = explainTraced({ ...packet, bytes }, this.#table, this.#links);
    this.#shown++;
    if (explained.reason !== null) this.#dropped++;
    if (json) output.print(JSON.stringify(messageOf(packet, explained)));
    else output.print(`${headline(packet)}\n${formatExplanation(explained, output.paint)}\n`);
    if (this.#shown >= this.#count) this.#onEnough();
  }
}

const SCHEMA = 'grebe.trace/1';

function messageOf(packet: TracePacket, explained: Explanation): object {
  const { timeMs, lane, length, packets, bytes } = packet;
  return { schema: SCHEMA, timeMs, ...explained, lane, length, packets, bytes };
}

/** `14:02:11.123  received, 112 bytes`. */
function headline({ timeMs, direction, length, packets }: TracePacket): string {
  const time = new Date(timeMs).toISOString().slice(11, 23);
  const way = direction === 'decap' ? 'received' : 'to be sent';
  const several = packets === 1 ? '' : ` that stand for ${packets} packets`;
  return `${time}  ${way}, ${length} bytes${several}`;
}

function missedText(count: number): string {
  return `${count} more passed too fast to be shown`;
}
