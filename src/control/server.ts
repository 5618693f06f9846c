// The control socket of a running router: HTTP over a unix socket.
//
//   1. openControl   claims the path; from here on a second router on it is refused
//   2. serve         shows the router that was started meanwhile
//   3. close         ends connections, removes the socket

import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import type { BuildListing } from '../codec/builds.js';
import type { Router } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { readBody } from './body.js';
import {
  type CodecMessage,
  type CodecsMessage,
  type ErrorMessage,
  isFields,
  statusMessage,
} from './message.js';
import { CONTENT_TYPES, chooseFormat } from './metrics-format.js';
import { MetricsPage } from './metrics-page.js';
import { addReloadRoutes } from './reload-routes.js';
import { streamTrace, traceRequest } from './trace-stream.js';
import { addTunnelRoutes } from './tunnel-routes.js';

export interface ControlServer {
  /** Answers for `router` from here on; before, every request gets 503. */
  serve(router: Router): void;
  /** Stops listening and removes the socket. Idempotent. */
  close(): Promise<void>;
}

/** Tells which codec builds there are; `live` is the one that runs. */
export type BuildLister = (live: string) => readonly BuildListing[];

/** Owner and group may talk to the router, nobody else. */
const SOCKET_UMASK = 0o117;
/** Longest request: the path of a codec build. */
const BODY_MAX = 64 * 1024;
/** How long a connection may take to send its request. */
const REQUEST_TIMEOUT_MS = 5000;
/**
 * How long a socket that takes connections may answer none. A killed router listens until the kernel has
 * removed its devices, 20 to 30 ms each.
 */
const SILENCE_LIMIT_MS = 10_000;
const PROBE_PAUSE_MS = 20;

/**
 * Listens on the unix socket `path`. The socket that a dead router left is replaced; a live one is a
 * Failure.
 */
export async function openControl(path: string, builds: BuildLister): Promise<ControlServer> {
  let router: Router | undefined;
  const app = createApp(() => router, builds);
  makeFolder(path);
  const server = await listen(path, app);
  return {
    serve(started) {
      router = started;
    },
    async close() {
      await closeServer(server);
    },
  };
}

type App = Hono<{ Bindings: HttpBindings }>;

function createApp(router: () => Router | undefined, builds: BuildLister): App {
  const ready = (): Router => {
    const started = router();
    if (started !== undefined) return started;
    throw new Failure(EXIT.unreachable, 'the router is still starting', 'try again in a moment');
  };
  const app: App = new Hono();
  const metrics = new MetricsPage();
  app.get('/metrics', async (context) => {
    const format = chooseFormat(context.req.header('Accept'));
    const text = await metrics.text(ready(), format);
    return context.body(text, 200, { 'Content-Type': CONTENT_TYPES[format], Vary: 'Accept' });
  });
  app.get('/v1/status', async (context) => context.json(statusMessage(await ready().status())));
  app.get('/v1/codecs', async (context) => {
    const { codec: live } = await ready().status();
    const message: CodecsMessage = { schema: 'grebe.codecs/1', live, builds: builds(live) };
    return context.json(message);
  });
  app.put('/v1/codec', async (context) => {
    const body = await readBody(context.req.raw, BODY_MAX);
    if (body === undefined) {
      return context.json(errorMessage(EXIT.usage, 'the request is too long'), 413);
    }
    const name = codecName(body);
    const codec = await ready().useCodec(name);
    const message: CodecMessage = { schema: 'grebe.codec/1', codec };
    return context.json(message);
  });
  addReloadRoutes(app, ready);
  addTunnelRoutes(app, ready);
  app.get('/v1/trace', (context) => {
    const trace = ready().trace(traceRequest(context.req.query()));
    const stream = streamTrace(trace, () => context.env.outgoing.destroy());
    return new Response(stream, { headers: { 'Content-Type': 'application/x-ndjson' } });
  });
  app.notFound((context) => {
    const { method, path } = context.req;
    const known = [
      'GET /v1/status, GET /v1/codecs, PUT /v1/codec, GET /v1/trace, GET /metrics',
      'POST /v1/diff, POST /v1/reload, POST /v1/confirm, POST /v1/undo',
      'GET /v1/tunnels, POST /v1/tunnels',
    ].join(', ');
    return context.json(errorMessage(EXIT.usage, `no such request: ${method} ${path}`, known), 404);
  });
  app.onError((error, context) => {
    if (!(error instanceof Failure)) {
      return context.json(errorMessage(EXIT.bug, `internal error: ${error.message}`), 500);
    }
    const { exitCode, message, hint } = error;
    return context.json(errorMessage(exitCode, message, hint), httpStatus(exitCode));
  });
  return app;
}

function codecName(body: string): string {
  let request: unknown;
  try {
    request = JSON.parse(body);
  } catch {
    request = undefined;
  }
  const name = isFields(request) ? request.name : undefined;
  if (typeof name === 'string' && name !== '') return name;
  throw new Failure(EXIT.usage, 'the request is not {"name": "..."}', 'grebe codec use NAME');
}

function errorMessage(
  exitCode: ErrorMessage['exitCode'],
  error: string,
  hint?: string,
): ErrorMessage {
  return { error, hint: hint ?? null, exitCode };
}

function httpStatus(exitCode: ErrorMessage['exitCode']): 400 | 404 | 409 | 500 | 503 {
  switch (exitCode) {
    case EXIT.usage:
      return 400;
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

function makeFolder(path: string): void {
  const folder = dirname(path);
  try {
    makeFolders(folder);
  } catch (error) {
    throw new Failure(
      EXIT.failed,
      `cannot make ${folder}, the folder of the control socket: ${codeOf(error)}`,
      'choose another place: grebe run --socket PATH',
    );
  }
}

/** Like `mkdir -p`. Node's own never returns where a file system refuses every name, as /proc does. */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return;
  makeFolders(dirname(folder));
  mkdirSync(folder, { mode: 0o755 });
}

/** Listens on `path`, once more after a dead router's socket was removed. */
async function listen(path: string, app: App): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bind(path, app);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EADDRINUSE' && attempt === 1) {
        await removeStale(path);
        continue;
      }
      throw new Failure(
        EXIT.failed,
        `cannot listen on the control socket ${path}: ${code}`,
        'choose another place: grebe run --socket PATH',
      );
    }
  }
}

function bind(path: string, app: App): Promise<Server> {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer((request, response) => void listener(request, response));
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket gets its mode when it is made, inside listen(): there is no moment when others may connect.
    const before = process.umask(SOCKET_UMASK);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve(server);
      });
    } finally {
      process.umask(before);
    }
  });
}

/** Removes the socket at `path` when nobody listens on it; otherwise throws a Failure. */
async function removeStale(path: string): Promise<void> {
  if (!lstatSync(path).isSocket()) {
    throw new Failure(
      EXIT.failed,
      `${path} exists and is no socket`,
      'choose another place: grebe run --socket PATH',
    );
  }
  const end = Date.now() + SILENCE_LIMIT_MS;
  let found = await probe(path, SILENCE_LIMIT_MS);
  while (found === 'gone' && Date.now() < end) {
    await sleep(PROBE_PAUSE_MS);
    found = await probe(path, end - Date.now());
  }
  if (found === 'ECONNREFUSED') rmSync(path, { force: true });
  else if (found !== 'ENOENT') throw takenFailure(path, found);
}

function takenFailure(path: string, found: string): Failure {
  const other = 'run this one with another --socket';
  if (found === 'answer') {
    const message = `another router already answers on ${path}`;
    return new Failure(EXIT.failed, message, `see it: grebe status --socket ${path}; or ${other}`);
  }
  const isDeaf = found === 'silence' || found === 'gone';
  const message = isDeaf
    ? `another process listens on ${path} and does not answer`
    : `cannot ask who listens on ${path}: ${found}`;
  return new Failure(EXIT.failed, message, `see it: sudo ss -xlp src ${path}; or ${other}`);
}

/**
 * Sends a request to `path`. Resolves with `answer`, `silence`, `gone` (ended without an answer), or with
 * the code of the error.
 */
function probe(path: string, limitMs: number): Promise<string> {
  return new Promise((resolve) => {
    const connection = createConnection(path, () => connection.write('HEAD / HTTP/1.0\r\n\r\n'));
    const timer = setTimeout(() => settle('silence'), limitMs);
    const settle = (found: string): void => {
      clearTimeout(timer);
      connection.destroy();
      resolve(found);
    };
    connection.once('data', () => settle('answer'));
    connection.once('close', () => settle('gone'));
    connection.once('error', (error) => {
      const code = codeOf(error);
      settle(code === 'ECONNRESET' || code === 'EPIPE' ? 'gone' : code);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // libuv removes the path of a unix socket that it closes.
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? String(error.code) : error.message;
}
