// A server for one of the doors that requests come in by, with bounds on what a client can hold of it.

import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { Door } from './access.js';
import type { App } from './app.js';

/** How long a connection may take to send its request. */
const REQUEST_TIMEOUT_MS = 5000;
/** How often that is looked at. */
const CHECK_INTERVAL_MS = 1000;
/** Request line and headers. */
const HEADERS_MAX = 8192;

/** A server that answers by `app`, for so many connections at a time; the caller lets it listen. */
export function createDoor(app: App, door: Door, connections: number): Server {
  const listener = getRequestListener(
    (request, { incoming, outgoing }) => app.fetch(request, { incoming, outgoing, door }),
    { overrideGlobalObjects: false },
  );
  const server = createServer(
    { maxHeaderSize: HEADERS_MAX, connectionsCheckingInterval: CHECK_INTERVAL_MS },
    (request, response) => void listener(request, response),
  );
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = connections;
  return server;
}
