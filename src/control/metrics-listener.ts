// The TCP listener of /metrics, and of nothing else. Whoever reaches it may be anybody.
//
//   1. host      a browser that was led here by a name of somebody else's (DNS rebinding) gets nothing
//   2. method    GET and HEAD change nothing, nor does anything here
//   3. path      /metrics
//   4. answer    the page, and the end of the connection
//
// A connection carries one request and has a limit for all of it: neither a slow client nor many can hold more.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ListenAddress } from '../config/listen-address.js';
import type { Router } from '../router/contract.js';
import { isOwnHost } from './access.js';
import { CONTENT_TYPES, chooseFormat } from './metrics-format.js';
import { MetricsPage } from './metrics-page.js';
import { claimAddress } from './tcp.js';

export interface MetricsListener {
  /** Answers for `router` from here on; before, every request gets 503. */
  serve(router: Router): void;
  /** Stops listening and ends connections. Idempotent. */
  close(): Promise<void>;
}

/** Connections at a time; further ones are closed at once. Two Prometheus servers and a few people fit. */
const CONNECTIONS_MAX = 16;
/** From the connection to the last byte of the answer: what Prometheus itself waits, unless told otherwise. */
const CONNECTION_LIMIT_MS = 10_000;
/** Request line and headers: those of scrapers take a tenth of it. */
const HEADERS_MAX = 8192;

/** Listens on `address`. Rejects with a Failure that names the cause when it cannot. */
export async function openMetrics(
  address: ListenAddress,
  limitMs = CONNECTION_LIMIT_MS,
): Promise<MetricsListener> {
  let router: Router | undefined;
  const page = new MetricsPage();
  const server = createServer({ maxHeaderSize: HEADERS_MAX }, (request, response) => {
    answer(request, response, address.host, page, router).catch((error) => {
      refuse(response, 500, `internal error: ${String(error)}`);
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    const timer = setTimeout(() => socket.destroy(), limitMs);
    socket.once('close', () => {
      clearTimeout(timer);
      sockets.delete(socket);
    });
  });
  await claimAddress(server, address, 'metrics');
  return {
    serve(started) {
      router = started;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function answer(
  { headers, method, url = '' }: IncomingMessage,
  response: ServerResponse,
  configured: string,
  page: MetricsPage,
  router: Router | undefined,
): Promise<void> {
  response.shouldKeepAlive = false;
  // HTTP/1.0 has no Host, and no browser speaks it.
  if (headers.host !== undefined && !isOwnHost(headers.host, configured)) {
    return refuse(response, 403, 'this name is not one of the metrics listener');
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 405, 'GET or HEAD');
  }
  if (url !== '/metrics' && !url.startsWith('/metrics?')) {
    return refuse(response, 404, 'here is /metrics alone');
  }
  if (router === undefined) return refuse(response, 503, 'the router is still starting');
  const format = chooseFormat(headers.accept);
  const body = Buffer.from(await page.text(router, format));
  response.writeHead(200, {
    'Content-Type': CONTENT_TYPES[format],
    'Content-Length': body.length,
    Vary: 'Accept',
  });
  response.end(method === 'HEAD' ? undefined : body);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = `${why}\n`;
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}
