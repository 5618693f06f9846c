// Who is turned away: pages of strangers on every way they could come, and whoever has no token.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { listBuilds } from '../../src/codec/builds.js';
import type { ListenAddress } from '../../src/config/listen-address.js';
import { isTrusted, strangerFault } from '../../src/control/access.js';
import { fetchWeb } from '../../src/control/client.js';
import { openControl } from '../../src/control/server.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { eventually } from '../support/lab.js';
import { freePort } from '../support/ports.js';
import { requestFrom } from './request.js';
import { createRouter } from './router.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-access-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

interface Doors {
  readonly socket: string;
  readonly tcp: ListenAddress;
  readonly token: string;
}

async function withDoors(use: (doors: Doors) => Promise<void>): Promise<void> {
  const socket = join(folder, `${++count}.sock`);
  const tcp = { host: '127.0.0.1', port: await freePort() };
  const control = await openControl(socket, listBuilds, tcp);
  control.serve(createRouter());
  try {
    const token = readFileSync(socket.replace('.sock', '.token'), 'utf8').trim();
    await use({ socket, tcp, token });
  } finally {
    await control.close();
  }
}

const SWAP = '{"name":"scalar"}';
const bearer = (token: string): { Authorization: string } => ({ Authorization: `Bearer ${token}` });

test('a name that DNS may point here, another origin and another site are refused on both doors', async () => {
  await withDoors(async ({ socket, tcp, token }) => {
    const own = `127.0.0.1:${tcp.port}`;
    for (const headers of [
      { Host: 'attacker.example' },
      { Host: `attacker.example:${tcp.port}` },
      { Host: '127.0.0.1.nip.io' },
      { Host: own, Origin: 'http://attacker.example' },
      { Host: own, Origin: 'null' },
      { Host: own, Origin: `https://${own}` },
      { Host: own, Origin: 'http://127.0.0.1:1' },
      { Host: own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' },
      { Host: own, 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors' },
      {
        ...{ Host: own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' },
        'Sec-Fetch-Dest': 'iframe',
      },
    ]) {
      for (const where of [tcp, socket]) {
        for (const path of ['/', '/v1/status', '/v1/events', '/metrics']) {
          const {
            status,
            body,
            headers: answered,
          } = await requestFrom(where, 'GET', path, undefined, {
            ...headers,
            ...bearer(token),
          });
          assert.equal(status, 403, `${path} ${JSON.stringify(headers)}`);
          assert.doesNotMatch(body, /gre1/);
          assert.equal(answered['cross-origin-resource-policy'], 'same-origin');
        }
        const change = { ...headers, ...bearer(token), 'Content-Type': 'text/plain' };
        assert.equal((await requestFrom(where, 'PUT', '/v1/codec', SWAP, change)).status, 403);
      }
    }
    const { body } = await requestFrom(socket, 'GET', '/v1/status');
    assert.equal(JSON.parse(body).codec, 'simd', 'nothing was changed');
  });
});

test('the page itself, a link to it and programs are answered', async () => {
  await withDoors(async ({ socket, tcp }) => {
    const own = `127.0.0.1:${tcp.port}`;
    for (const headers of [
      { Host: own },
      { Host: 'localhost' },
      { Host: `[::1]:${tcp.port}` },
      { Host: own, Origin: `http://${own}`, 'Sec-Fetch-Site': 'same-origin' },
      { Host: own, 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' },
      {
        ...{ Host: own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' },
        'Sec-Fetch-Dest': 'document',
      },
    ]) {
      const answer = await requestFrom(tcp, 'GET', '/v1/status', undefined, headers);
      assert.equal(answer.status, 200, JSON.stringify(headers));
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
      assert.equal(answer.headers['cross-origin-resource-policy'], 'same-origin');
    }
    // curl --unix-socket PATH http://grebe/v1/status
    const named = await requestFrom(socket, 'GET', '/v1/status', undefined, { Host: 'grebe' });
    assert.equal(named.status, 200);
    const onTcp = await requestFrom(tcp, 'GET', '/v1/status', undefined, { Host: 'grebe' });
    assert.equal(onTcp.status, 403);
  });
});

test('over TCP what changes something or shows packets needs the token, the rest does not', async () => {
  await withDoors(async ({ socket, tcp, token }) => {
    for (const path of ['/v1/status', '/v1/codecs', '/metrics', '/v1/openapi.json', '/']) {
      const { status, headers } = await requestFrom(tcp, 'GET', path);
      assert.equal(status, 200, path);
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin', path);
      assert.equal(headers['cache-control'], path === '/' ? 'no-cache' : 'no-store', path);
    }
    const wrong = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    for (const headers of [
      {},
      { Authorization: token },
      { Authorization: `Basic ${token}` },
      { Authorization: 'Bearer' },
      bearer(wrong),
      bearer(token.slice(1)),
      bearer(`${token}x`),
      bearer('x'.repeat(4000)),
    ]) {
      const swap = await requestFrom(tcp, 'PUT', '/v1/codec', SWAP, headers);
      assert.equal(swap.status, 401, JSON.stringify(headers));
      assert.equal(swap.headers['www-authenticate'], 'Bearer');
      assert.match(JSON.parse(swap.body).hint, /grebe web/);
      const trace = await requestFrom(tcp, 'GET', '/v1/trace', undefined, headers);
      assert.equal(trace.status, 401);
      const packets = await requestFrom(tcp, 'GET', '/v1/events?packets=1', undefined, headers);
      assert.equal(packets.status, 403);
    }
    assert.equal((await requestFrom(tcp, 'PUT', '/v1/codec', SWAP, bearer(token))).status, 200);
    const { body } = await requestFrom(socket, 'GET', '/v1/status');
    assert.equal(JSON.parse(body).codec, 'scalar');
    assert.equal((await requestFrom(socket, 'PUT', '/v1/codec', '{"name":"simd"}')).status, 200);
  });
});

test('the token is for its owner alone, another with each start, and gone with the router', async () => {
  let file = '';
  let first = '';
  await withDoors(async ({ socket, tcp, token }) => {
    file = socket.replace('.sock', '.token');
    first = token;
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(token, /^[\w-]{43}$/);
    assert.equal((await fetchWeb(socket)).url, `http://127.0.0.1:${tcp.port}/#token=${token}`);
    assert.equal((await requestFrom(tcp, 'GET', '/v1/web', undefined, bearer(token))).status, 404);
  });
  assert.equal(existsSync(file), false);
  await withDoors(async ({ token }) => assert.notEqual(token, first));
});

test('a token that a killed router left, open to all, is replaced by one that is not', async () => {
  const socket = join(folder, `${++count}.sock`);
  const file = socket.replace('.sock', '.token');
  writeFileSync(file, 'old', { mode: 0o644 });
  const control = await openControl(socket, listBuilds, {
    host: '127.0.0.1',
    port: await freePort(),
  });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.notEqual(readFileSync(file, 'utf8'), 'old');
  await control.close();
});

test('a port that is taken ends the start, with socket and token gone', async () => {
  await withDoors(async ({ tcp }) => {
    const socket = join(folder, `${++count}.sock`);
    await assert.rejects(openControl(socket, listBuilds, tcp), (error) => {
      assert.ok(error instanceof Failure);
      assert.equal(error.exitCode, EXIT.kernelRefused);
      assert.match(error.message, /cannot listen on 127\.0\.0\.1:\d+ for api: EADDRINUSE/);
      assert.match(error.hint ?? '', /ss -ltnp/);
      return true;
    });
    assert.equal(existsSync(socket), false);
    assert.equal(existsSync(socket.replace('.sock', '.token')), false);
  });
});

test('the page comes with a policy that lets it load nothing from elsewhere, and is small', async () => {
  await withDoors(async ({ tcp }) => {
    const page = await requestFrom(tcp, 'GET', '/');
    assert.match(page.type, /^text\/html/);
    const policy = String(page.headers['content-security-policy']);
    for (const rule of ["default-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]) {
      assert.ok(policy.includes(rule), rule);
    }
    assert.doesNotMatch(policy, /unsafe|\*|http/);
    for (const path of ['/web/', '/web/../control/app.js', '/web/main.js.map', '/control/app.js']) {
      assert.equal((await requestFrom(tcp, 'GET', path)).status, 404, path);
    }
  });
});

test('a socket that ssh has forwarded to a port serves its user, and no page of a stranger', async () => {
  await withDoors(async ({ socket }) => {
    const forward = createServer((near) => {
      const far = createConnection(socket);
      near.pipe(far).pipe(near);
      for (const one of [near, far]) one.on('error', () => {});
    });
    const port = await freePort();
    forward.listen(port, '127.0.0.1');
    await once(forward, 'listening');
    const there = { host: '127.0.0.1', port };
    const own = `localhost:${port}`;
    try {
      const page = { Host: own, Origin: `http://${own}`, 'Sec-Fetch-Site': 'same-origin' };
      assert.equal((await requestFrom(there, 'GET', '/', undefined, page)).status, 200);
      assert.equal((await requestFrom(there, 'PUT', '/v1/codec', SWAP, page)).status, 200);
      const stranger = { Host: own, Origin: 'http://attacker.example' };
      assert.equal((await requestFrom(there, 'PUT', '/v1/codec', SWAP, stranger)).status, 403);
    } finally {
      forward.close();
    }
  });
});

test('connections that say nothing fill the port until their time is up, and never the socket', async () => {
  await withDoors(async ({ socket, tcp }) => {
    const idle = Array.from({ length: 64 }, () => {
      const connection = createConnection(tcp);
      connection.on('error', () => {});
      connection.write('GET /v1/status HTTP/1.1\r\nHost: loc');
      return connection;
    });
    try {
      await Promise.all(idle.map((one) => once(one, 'connect')));
      const asks = (): Promise<boolean> =>
        requestFrom(tcp, 'GET', '/v1/status').then(
          ({ status }) => status === 200,
          () => false,
        );
      assert.equal(await asks(), false);
      assert.equal((await requestFrom(socket, 'GET', '/v1/status')).status, 200);
      assert.ok(await eventually(asks, 10_000), 'they are gone');
    } finally {
      for (const connection of idle) connection.destroy();
    }
  });
});

test('without TCP there is no token, and the page has no address', async () => {
  const socket = join(folder, `${++count}.sock`);
  const control = await openControl(socket, listBuilds);
  assert.equal((await fetchWeb(socket)).url, null);
  assert.equal(existsSync(socket.replace('.sock', '.token')), false);
  await control.close();
});

test('hosts and tokens are compared as a whole', () => {
  const door = { kind: 'tcp', host: 'router.example', token: 'secret' } as const;
  assert.equal(strangerFault({ host: 'router.example:9477' }, door), undefined);
  assert.equal(strangerFault({}, door), undefined);
  for (const host of ['', ' ', 'xrouter.example', 'router.example.evil', 'router.example@evil']) {
    assert.match(strangerFault({ host }, door) ?? '', /not called/, host);
  }
  assert.ok(isTrusted({ authorization: 'bearer secret' }, door));
  for (const authorization of ['', 'Bearer ', 'Bearer secre', 'Bearer secret secret', 'secret']) {
    assert.ok(!isTrusted({ authorization }, door), authorization);
  }
  assert.ok(isTrusted({}, { kind: 'socket' }));
});
