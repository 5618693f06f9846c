// The control API as one function from requests to answers, whichever door they come in by.
//
//   1. strangers   are turned away: access.ts
//   2. token       where the route wants it
//   3. route       judges and answers
//   4. failure     a JSON error, with a status that goes with its exit code

import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Router } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { type Door, isTrusted, strangerFault } from './access.js';
import type { ErrorMessage } from './message.js';
import { type Page, pageHeaders } from './page.js';
import type { Route } from './route.js';

export type Bindings = HttpBindings & { readonly door: Door };
export type App = Hono<{ Bindings: Bindings }>;
type Asked = Context<{ Bindings: Bindings }>;

/** Longest request body where the route says no other. */
const BODY_MAX = 64 * 1024;
/** How long a client may take for its answer: the status of ten thousand tunnels over 2 Mbit/s. */
const TAKE_LIMIT_MS = 30_000;
/** No page but ours may read an answer, and nothing keeps one. */
const HEADERS = {
  'Cache-Control': 'no-store',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
} as const;

/** Answers `routes` for the router that `router` gives, and `page` to browsers. */
export function createApp(
  routes: readonly Route[],
  router: () => Router | undefined,
  page: Page,
  takeLimitMs = TAKE_LIMIT_MS,
): App {
  const ready = (): Router => {
    const started = router();
    if (started !== undefined) return started;
    throw new Failure(EXIT.unreachable, 'the router is still starting', 'try again in a moment');
  };
  const app: App = new Hono();
  app.use(async (context, next) => {
    const { incoming, door } = context.env;
    const fault = strangerFault(incoming.headers, door);
    if (fault !== undefined) {
      return context.json(errorMessage(EXIT.noPermission, fault), 403, { ...HEADERS });
    }
    await next();
    // On what was answered, which may be a Response that a route has made itself.
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!context.res.headers.has(name)) context.res.headers.set(name, value);
    }
    return undefined;
  });
  for (const one of routes)
    app.on(one.method, one.path, (context) => serve(one, context, ready, takeLimitMs));
  app.get('*', (context, next) => {
    const file = page.file(context.req.path);
    if (file === undefined) return next();
    return context.body(file.content, 200, { ...pageHeaders(file.type) });
  });
  app.notFound((context) => {
    const { method, path } = context.req;
    const known = routes.map((one) => `${one.method} ${one.path}`).join(', ');
    return context.json(errorMessage(EXIT.usage, `no such request: ${method} ${path}`, known), 404);
  });
  app.onError((error, context) => {
    if (error instanceof TooLong) {
      return context.json(errorMessage(EXIT.usage, 'the request is too long'), 413);
    }
    if (!(error instanceof Failure)) {
      return context.json(errorMessage(EXIT.bug, `internal error: ${error.message}`), 500);
    }
    const { exitCode, message, hint } = error;
    return context.json(errorMessage(exitCode, message, hint), httpStatus(exitCode));
  });
  return app;
}

async function serve(
  one: Route,
  context: Asked,
  router: () => Router,
  takeLimitMs: number,
): Promise<Response> {
  const { door, incoming, outgoing } = context.env;
  const trusted = isTrusted(incoming.headers, door);
  if (one.access === 'socket' && door.kind !== 'socket') return context.notFound();
  if (one.access === 'token' && !trusted) {
    context.header('WWW-Authenticate', 'Bearer');
    const hint = 'send Authorization: Bearer TOKEN; grebe web prints it';
    return context.json(
      errorMessage(EXIT.noPermission, 'this needs the token of the API', hint),
      401,
    );
  }
  const isEndless = one.answer.isEndless === true;
  if (isEndless && context.req.raw.method === 'HEAD') return context.body(null);
  const answer = await one.handle({
    router,
    isTrusted: trusted,
    query: context.req.query(),
    text: () => readBody(context.req.raw, one.bodyMax ?? BODY_MAX),
    accept: context.req.header('Accept'),
    cutOff: () => outgoing.destroy(),
  });
  if (!isEndless) {
    const limit = setTimeout(() => outgoing.destroy(), takeLimitMs);
    outgoing.once('close', () => clearTimeout(limit));
  }
  return answer instanceof Response ? answer : context.json(answer);
}

class TooLong extends Error {}

/**
 * The body of a request. Hono's own limit makes a new Request of one without a length, which takes the Request class of
 * node-server for the whole process.
 */
async function readBody({ body }: Request, max: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > max) throw new TooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function errorMessage(
  exitCode: ErrorMessage['exitCode'],
  error: string,
  hint?: string,
): ErrorMessage {
  return { error, hint: hint ?? null, exitCode };
}

function httpStatus(exitCode: ErrorMessage['exitCode']): 400 | 403 | 404 | 409 | 500 | 503 {
  switch (exitCode) {
    case EXIT.usage:
      return 400;
    case EXIT.noPermission:
      return 403;
    case EXIT.noInput:
      return 404;
    case EXIT.unreachable:
      return 503;
    case EXIT.bug:
      return 500;
    default:
      return 409;
  }
}
