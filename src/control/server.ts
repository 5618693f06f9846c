// The control API of a running router, on a unix socket and, where the config wants it, on a TCP port.
//
//   1. openControl   claims both; from here on a second router on them is refused
//   2. serve         shows the router that was started meanwhile
//   3. close         ends connections, removes socket and token

import type { Server } from 'node:http';
import { formatListenAddress, type ListenAddress } from '../config/listen-address.js';
import type { Router } from '../router/contract.js';
import { createApp } from './app.js';
import { createDoor } from './door.js';
import { LiveFeed } from './live-feed.js';
import { Page } from './page.js';
import type { BuildLister } from './router-routes.js';
import { createRoutes } from './routes.js';
import { claimSocket, shareSocket } from './socket.js';
import { claimAddress } from './tcp.js';
import { makeToken, removeToken, tokenPath } from './token.js';

export interface ControlServer {
  /** Answers for `router` from here on; before, every request gets 503. */
  serve(router: Router): void;
  /** Stops listening and removes the socket. Idempotent. */
  close(): Promise<void>;
}

/** Members of this group may use the control socket. */
const GROUP = 'grebe';
/** Connections at a time. Whoever may open the unix socket is trusted not to fill it. */
const SOCKET_CONNECTIONS = 256;
const TCP_CONNECTIONS = 64;

/**
 * Listens on the unix socket `path`, and on `address` where there is one. The socket that a dead router left is
 * replaced; a live one, or an address that is taken, is a Failure.
 */
export async function openControl(
  path: string,
  builds: BuildLister,
  address?: ListenAddress,
): Promise<ControlServer> {
  let router: Router | undefined;
  let pageUrl: string | null = null;
  const feed = new LiveFeed();
  const app = createApp(
    createRoutes({ builds, feed, pageUrl: () => pageUrl }),
    () => router,
    new Page(),
  );
  const socket = createDoor(app, { kind: 'socket' }, SOCKET_CONNECTIONS);
  await claimSocket(socket, path);
  shareSocket(path, GROUP);
  const servers = [socket];
  const close = async (): Promise<void> => {
    feed.close();
    if (servers.length > 1) removeToken(tokenPath(path));
    await Promise.all(servers.splice(0).map(closeServer));
  };
  if (address !== undefined) {
    try {
      const token = makeToken(tokenPath(path));
      const tcp = createDoor(app, { kind: 'tcp', host: address.host, token }, TCP_CONNECTIONS);
      servers.push(tcp);
      await claimAddress(tcp, address, 'api');
      pageUrl = `http://${formatListenAddress(reachable(address))}/#token=${token}`;
    } catch (error) {
      await close();
      throw error;
    }
  }
  return {
    serve(started) {
      router = started;
    },
    close,
  };
}

/** An address that a browser here can open, for one that stands for all of this machine. */
function reachable({ host, port }: ListenAddress): ListenAddress {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return host === '::' ? { host: '::1', port } : { host, port };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // libuv removes the path of a unix socket that it closes.
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
