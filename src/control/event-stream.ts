// /v1/events on its way to a client. What a client does not take waits, up to PATIENCE; then it is cut off:
// counts are exact, so none can be left out for it. A client that comes again begins with a whole status.

import { z } from 'zod';
import { EXIT, Failure } from '../sys/failure.js';
import { eventSchema } from './event-schemas.js';
import { type LiveFeed, WATCHERS_MAX, type Watcher } from './live-feed.js';
import { type Route, route } from './route.js';

/** What a client may leave waiting. */
interface Patience {
  readonly bytes: number;
  readonly ms: number;
}

/** The status of ten thousand tunnels, and some seconds more. Events are shared by all clients that wait for them. */
const PATIENCE: Patience = { bytes: 16 * 1024 * 1024, ms: 10_000 };

/** `/v1/events`, from `feed`. */
export function eventsRoute(feed: LiveFeed, patience = PATIENCE): Route {
  return route({
    method: 'GET',
    path: '/v1/events',
    summary: 'What changes, as it changes: traffic, drops, tunnels that go down or come up',
    description: [
      'Server-sent events, each second. The first is a `status`; its rx, tx, drops and states and those of all that',
      'follow add up to those of the last moment. With `packets=1` also dropped packets, explained, ten a second at most: over TCP that needs the token.',
      `At most ${WATCHERS_MAX} clients at a time; one that stops reading is cut off.`,
    ].join(' '),
    access: 'open',
    takes: z.object({ query: z.object({ packets: z.enum(['0', '1']).optional() }) }),
    answer: {
      description: 'Events: their kind in `event:`, the rest in `data:`',
      schema: eventSchema,
      types: ['text/event-stream'],
      isEndless: true,
    },
    handle({ router, input, isTrusted, cutOff }) {
      const wantsPackets = input.query.packets === '1';
      if (wantsPackets && !isTrusted) {
        throw new Failure(
          EXIT.noPermission,
          'contents of packets need the token of the API',
          'open the address that grebe web prints',
        );
      }
      const stream = streamEvents(wantsPackets, patience, cutOff, (watcher) =>
        feed.watch(router(), watcher),
      );
      return new Response(stream, { headers: { 'Content-Type': 'text/event-stream' } });
    },
  });
}

/** The events that `watch` brings. `cutOff` ends the client's connection. */
function streamEvents(
  wantsPackets: boolean,
  { bytes, ms }: Patience,
  cutOff: () => void,
  watch: (watcher: Watcher) => () => void,
): ReadableStream<Uint8Array> {
  let unwatch = (): void => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let takenMs = Date.now();
        const take = (event: Uint8Array): void => {
          const waiting = bytes - (controller.desiredSize ?? bytes);
          if (waiting === 0) takenMs = Date.now();
          if (waiting > bytes || Date.now() - takenMs > ms) {
            unwatch();
            cutOff();
            return;
          }
          controller.enqueue(event);
        };
        unwatch = watch({ wantsPackets, take });
      },
      cancel: () => unwatch(),
    },
    { highWaterMark: bytes, size: (event) => event.length },
  );
}
