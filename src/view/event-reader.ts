// Server-sent events out of text that comes in pieces, as https://html.spec.whatwg.org/#event-stream-interpretation has
// them, as far as /v1/events uses it: `event:` and one `data:` of JSON.

import type { LiveEvent } from '../control/event.js';

const KINDS: readonly string[] = [
  'status',
  'traffic',
  'drops',
  'state',
  'peers',
  'packet',
  'packets',
] satisfies LiveEvent['kind'][];

/** Collects pieces of a stream, and gives the events that are whole. */
export class EventReader {
  #pieces: string[] = [];

  /** Takes the next piece. Throws a SyntaxError for data that is no JSON. Kinds that it does not know are left out. */
  read(text: string): LiveEvent[] {
    this.#pieces.push(text);
    if (!text.includes('\n')) return [];
    const parts = this.#pieces.join('').split('\n\n');
    this.#pieces = [parts.pop() ?? ''];
    return parts.map(parseEvent).filter((event) => event !== undefined);
  }
}

function parseEvent(block: string): LiveEvent | undefined {
  const fields = new Map(
    block.split('\n').map((line) => {
      const end = line.indexOf(':');
      return [line.slice(0, end), line.slice(end + 1).trimStart()];
    }),
  );
  const event: unknown = {
    kind: fields.get('event'),
    data: JSON.parse(fields.get('data') ?? 'null'),
  };
  return isLiveEvent(event) ? event : undefined;
}

/** The router of this version sends what event.ts says; another may send kinds that are not known here. */
function isLiveEvent(value: unknown): value is LiveEvent {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    typeof value.kind === 'string' &&
    KINDS.includes(value.kind) &&
    'data' in value &&
    typeof value.data === 'object' &&
    value.data !== null
  );
}
