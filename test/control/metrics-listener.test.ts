// The TCP listener of /metrics, asked over real connections by clients of every kind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import type { ListenAddress } from '../../src/config/listen-address.js';
import { isOwnHost } from '../../src/control/access.js';
import { CONTENT_TYPES } from '../../src/control/metrics-format.js';
import { type MetricsListener, openMetrics } from '../../src/control/metrics-listener.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { OPENMETRICS, scrape } from '../support/metrics.js';
import { freePort } from '../support/ports.js';
import { createRouter } from './router.js';

/** Runs `use` with a listener that serves a router, on a port of its own. */
async function withListener(
  use: (address: ListenAddress, listener: MetricsListener) => Promise<void>,
  limitMs?: number,
): Promise<void> {
  const address = { host: '127.0.0.1', port: await freePort() };
  const listener = await openMetrics(address, limitMs);
  listener.serve(createRouter());
  try {
    await use(address, listener);
  } finally {
    await listener.close();
  }
}

/** Sends bytes, and returns all that comes back until the connection ends. */
async function exchange({ host, port }: ListenAddress, bytes: string): Promise<string> {
  const socket = createConnection({ host, port });
  socket.write(bytes);
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  await closed(socket);
  return answer;
}

/** Resolves when the connection is over, whichever way it ended. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {});
    socket.once('close', () => resolve());
  });
}

test('a scraper gets the format it asks for, and the connection ends', async () => {
  await withListener(async (address) => {
    const text = await scrape(address);
    assert.equal(text.status, 200);
    assert.equal(text.headers['content-type'], CONTENT_TYPES.prometheus);
    assert.equal(text.headers.vary, 'Accept');
    assert.equal(text.headers.connection, 'close');
    assert.match(text.body, /^grebe_tunnel_up\{tunnel="gre1"\} 1$/m);
    const open = await scrape(address, { path: '/metrics?x=1', headers: OPENMETRICS });
    assert.equal(open.headers['content-type'], CONTENT_TYPES.openmetrics);
    assert.match(open.body, /# EOF\n$/);
  });
});

test('HEAD gets the headers alone, other methods and paths nothing', async () => {
  await withListener(async (address) => {
    const head = await scrape(address, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.body, '');
    assert.ok(Number(head.headers['content-length']) > 1000);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const { status, headers } = await scrape(address, { method });
      assert.equal(status, 405, method);
      assert.equal(headers.allow, 'GET, HEAD');
    }
    for (const path of ['/', '/v1/status', '/metrics/', '//metrics', '/metricsx', '/Metrics']) {
      assert.equal((await scrape(address, { path })).status, 404, path);
    }
    assert.match(
      await exchange(address, 'GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'),
      /^HTTP\/1\.1 404 /,
    );
  });
});

test('a name that somebody else’s DNS may point here is refused', async () => {
  await withListener(async (address) => {
    for (const host of ['attacker.example', 'attacker.example:9476', '127.0.0.1.nip.io', 'a b']) {
      const { status, body } = await scrape(address, { headers: { Host: host } });
      assert.equal(status, 403, host);
      assert.doesNotMatch(body, /grebe_/);
    }
    for (const host of ['localhost', '127.0.0.1:1', '[::1]:9476', '192.0.2.1', 'LOCALHOST:80']) {
      assert.equal((await scrape(address, { headers: { Host: host } })).status, 200, host);
    }
    // No browser speaks HTTP/1.0, where the header may be missing; in 1.1 it must not.
    assert.match(await exchange(address, 'GET /metrics HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
    assert.match(await exchange(address, 'GET /metrics HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 /);
  });
});

test('the name in the config is a name of the listener, and nothing like it is', () => {
  assert.ok(isOwnHost('router.example:9476', 'router.example'));
  assert.ok(isOwnHost('Router.Example', 'router.example'));
  for (const header of [
    ...['', ':9476', 'router.example.attacker.example', 'xrouter.example', 'localhost.evil'],
    ...['[router.example]', '127.1', '0x7f.1', '2130706433', 'router.example:9476:1', '::1'],
  ]) {
    assert.ok(!isOwnHost(header, 'router.example'), header);
  }
});

test('before the router is there it is unavailable', async () => {
  const address = { host: '127.0.0.1', port: await freePort() };
  const listener = await openMetrics(address);
  try {
    assert.equal((await scrape(address)).status, 503);
  } finally {
    await listener.close();
  }
});

test('a client that says nothing, or takes forever, is cut off', async () => {
  await withListener(async (address) => {
    const silent = createConnection(address);
    const slow = createConnection(address);
    slow.write('GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ');
    const drip = setInterval(() => slow.write('x'), 20);
    await Promise.all([closed(silent), closed(slow)]);
    clearInterval(drip);
    assert.equal((await scrape(address)).status, 200);
  }, 200);
});

test('more than sixteen connections at a time are closed at once, and the others served', async () => {
  await withListener(async (address) => {
    const sockets: Socket[] = [];
    for (let n = 0; n < 16; n++) {
      const socket = createConnection(address);
      await once(socket, 'connect');
      sockets.push(socket);
    }
    const further = createConnection(address);
    await closed(further);
    const ends = sockets.map((socket) => closed(socket.resume()));
    for (const socket of sockets) socket.write('GET /metrics HTTP/1.0\r\n\r\n');
    await Promise.all(ends);
    assert.equal((await scrape(address)).status, 200);
  });
});

test('a request with more headers than any scraper has is refused', async () => {
  await withListener(async (address) => {
    const header = `X: ${'x'.repeat(10_000)}`;
    const request = `GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n${header}\r\n\r\n`;
    assert.match(await exchange(address, request), /^HTTP\/1\.1 431 /);
    assert.match(await exchange(address, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.equal((await scrape(address)).status, 200);
  });
});

test('a port in use is a failure that names address and cause, and keeps nothing', async () => {
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const place = other.address();
  assert.ok(typeof place === 'object' && place !== null);
  try {
    await assert.rejects(openMetrics({ host: '127.0.0.1', port: place.port }), (error) => {
      assert.ok(error instanceof Failure);
      assert.equal(error.exitCode, EXIT.kernelRefused);
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${place.port} .*EADDRINUSE`));
      assert.match(error.hint ?? '', /ss -ltnp/);
      return true;
    });
  } finally {
    other.close();
  }
});

test('an address that is not of this machine is a failure, too', async () => {
  await assert.rejects(openMetrics({ host: '192.0.2.77', port: 9476 }), (error) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.exitCode, EXIT.kernelRefused);
    assert.match(error.message, /192\.0\.2\.77:9476 for metrics: EADDRNOTAVAIL/);
    return true;
  });
});

test('closing ends open connections and frees the port, and twice is fine', async () => {
  const address = { host: '127.0.0.1', port: await freePort() };
  const listener = await openMetrics(address);
  const socket = createConnection(address);
  await once(socket, 'connect');
  const end = closed(socket);
  await listener.close();
  await listener.close();
  await end;
  const next = await openMetrics(address);
  await next.close();
});
