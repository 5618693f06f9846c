// The description of the API is what the API does: every route is in it, and every answer is as it says.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import pino from 'pino';
import { z } from 'zod';
import { listBuilds } from '../../src/codec/builds.js';
import { configOrFail, parseConfig } from '../../src/config/load.js';
import { eventsBetween } from '../../src/control/change.js';
import { followText } from '../../src/control/client.js';
import { LiveFeed } from '../../src/control/live-feed.js';
import { componentSchemas } from '../../src/control/openapi.js';
import type { Route } from '../../src/control/route.js';
import { createRoutes } from '../../src/control/routes.js';
import { COMPONENTS } from '../../src/control/schemas.js';
import { openControl } from '../../src/control/server.js';
import type { PeerStatus, TunnelStatus } from '../../src/router/contract.js';
import { diffConfigs } from '../../src/router/diff.js';
import { Reloads } from '../../src/router/reload.js';
import { EventReader } from '../../src/view/event-reader.js';
import { requestFrom } from './request.js';
import { STATUS, tracedRouter } from './router.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-openapi-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

const routes = createRoutes({ builds: listBuilds, feed: new LiveFeed(), pageUrl: () => null });
/** Bodies of the requests that need one: a route without its line here fails below. */
const BODIES: { readonly [route: string]: object } = {
  'PUT /v1/codec': { name: 'scalar' },
  'POST /v1/diff': { file: 'other.toml', text: configText(3) },
  'POST /v1/reload': { confirmMs: 60_000 },
  'POST /v1/confirm': { dryRun: true },
  'POST /v1/undo': { dryRun: true },
  'POST /v1/tunnels': { verb: 'change', name: 'gre1', words: ['ttl', '4'] },
};

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false });
// Closed to fields without a description: an answer that has one fails.
for (const [id, schema] of Object.entries(componentSchemas('output'))) {
  ajv.addSchema(JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', '')), id);
}

function validatorOf(id: string): ValidateFunction {
  const found = ajv.getSchema(id);
  assert.ok(found, `no schema ${id}`);
  return found;
}

function assertValid(id: string, value: unknown): void {
  const validate = validatorOf(id);
  assert.ok(validate(value), `${id}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
}

function configText(ttl: number): string {
  return `[tunnel.gre1]\nmode = "gre"\nremote = "192.0.2.2"\nttl = ${ttl}\nallow = ["any"]\n`;
}

/** Those of a router whose file has another TTL than it runs with. */
function openReloads(): Reloads {
  const file = join(folder, 'grebe.toml');
  writeFileSync(file, configText(2));
  return new Reloads({
    config: configOrFail(parseConfig(Buffer.from(configText(1)), file), file),
    log: pino({ enabled: false }),
    diff: (before, wanted) => diffConfigs(before, wanted, { laneCount: 1, lost: new Set() }),
    apply: async () => {},
  });
}

async function withControl(use: (path: string) => Promise<void>): Promise<void> {
  const path = join(folder, `${++count}.sock`);
  const control = await openControl(path, listBuilds);
  const reloads = openReloads();
  control.serve({ ...tracedRouter().router, reloads });
  try {
    await use(path);
  } finally {
    await reloads.close();
    await control.close();
  }
}

const idOf = ({ answer }: Route): string | undefined =>
  answer.schema === undefined ? undefined : COMPONENTS.get(answer.schema)?.id;
const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

const document = z.object({
  openapi: z.string(),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        summary: z.string().min(1),
        responses: z.record(z.string(), z.object({ description: z.string().min(1) })),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), z.looseObject({})) }),
});

test('the description has every route and no other, and each name in it stands for a schema', async () => {
  await withControl(async (socket) => {
    const { body } = await requestFrom(socket, 'GET', '/v1/openapi.json');
    const { openapi, paths, components } = document.parse(JSON.parse(body));
    assert.equal(openapi, '3.1.0');
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(described.sort(), routes.map(nameOf).sort());
    const names = [...body.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, id]) => id);
    assert.ok(names.length > 20);
    for (const id of names) assert.ok(components.schemas[id ?? ''], `${id} is described`);
  });
});

test('every answer of one value is as it is described', async () => {
  await withControl(async (socket) => {
    const asked = routes.filter(({ answer }) => answer.types === undefined);
    assert.ok(asked.length >= 5);
    for (const one of asked) {
      const body = BODIES[nameOf(one)];
      const needsBody = one.takes.shape.body !== undefined;
      assert.equal(needsBody, body !== undefined, `${nameOf(one)} has its body in BODIES`);
      const answer = await requestFrom(socket, one.method, one.path, JSON.stringify(body));
      assert.equal(answer.status, 200, nameOf(one));
      assert.match(answer.type, /^application\/json/);
      assertValid(idOf(one) ?? '', JSON.parse(answer.body));
    }
  });
});

test('every refusal is the error that is described', async () => {
  await withControl(async (socket) => {
    for (const [method, path, body, status] of [
      ['GET', '/v1/nothing', undefined, 404],
      ['PUT', '/v1/codec', '{}', 400],
      ['PUT', '/v1/codec', '{"name":"broken"}', 409],
      ['POST', '/v1/diff', '{"file":"a.toml","text":"[tunnel"}', 409],
      ['POST', '/v1/diff', '{"text":""}', 400],
      ['POST', '/v1/reload', '{"confirmMs":0}', 400],
      ['POST', '/v1/confirm', undefined, 409],
      ['POST', '/v1/undo', undefined, 409],
      ['POST', '/v1/tunnels', '{"verb":"burn","name":"gre1","words":[]}', 400],
      ['POST', '/v1/tunnels', '{"verb":"del","name":"gre9","words":[]}', 404],
      ['PUT', '/v1/codec', `{"name":"${'x'.repeat(70_000)}"}`, 413],
      ['GET', '/v1/trace?rate=0', undefined, 400],
      ['GET', '/v1/events?packets=maybe', undefined, 400],
    ] as const) {
      const answer = await requestFrom(socket, method, path, body);
      assert.equal(answer.status, status, path);
      assertValid('Error', JSON.parse(answer.body));
    }
  });
});

test('every line of a trace and every event is as it is described', async () => {
  await withControl(async (socket) => {
    const kinds = new Set<string>();
    const ending = new AbortController();
    const reader = new EventReader();
    await followText(socket, '/v1/events?packets=1', ending.signal, (piece) => {
      for (const { kind, data } of reader.read(piece)) {
        assertValid(`Event.${kind}`, data);
        assertValid('Event', data);
        kinds.add(kind);
      }
      if (['status', 'traffic', 'packet', 'packets'].every((one) => kinds.has(one))) ending.abort();
    });
    const tracing = new AbortController();
    let lines = 0;
    await followText(socket, '/v1/trace', tracing.signal, (piece) => {
      for (const line of piece.split('\n').filter((one) => one !== '')) {
        assertValid('TraceLine', JSON.parse(line));
        lines++;
      }
      if (lines > 5) tracing.abort();
    });
  });
});

test('what differs of peers is as it is described', () => {
  const [UP = assert.fail()] = STATUS.tunnels;
  const none = { packets: 0, bytes: 0 };
  const idle: PeerStatus = {
    ...{ remote: 'far.example', rx: none, tx: none, drops: {}, lastReceivedMs: null },
  };
  const drops = { 'inner-ttl': 11 };
  const busy = { ...idle, rx: { packets: 2, bytes: 168 }, drops, remoteAddress: '192.0.2.9' };
  const sampleOf = (tunnel: TunnelStatus) => {
    return { timeMs: 1, steadyMs: 1, status: { ...STATUS, tunnels: [tunnel] } };
  };
  const events = eventsBetween(
    sampleOf({ ...UP, peers: [{ ...idle, downReason: 'it has no address' }, idle] }),
    sampleOf({ ...UP, drops: { ...UP.drops, ...drops }, peers: [busy, idle] }),
  );
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['traffic', 'drops', 'peers'],
  );
  for (const { kind, data } of events) assertValid(`Event.${kind}`, data);
  assert.ok(!validatorOf('Event.peers')({ timeMs: 1, tunnels: { gre1: [{ peer: -1 }] } }));
});

test('a validator of the description takes nothing that is described otherwise', () => {
  for (const [id, value] of [
    ['Error', { error: 'x', hint: null, exitCode: 5 }],
    ['Codec', { schema: 'grebe.codec/2', codec: 'simd' }],
    ['Traffic', { packets: 1, bytes: 2, more: 3 }],
    ['Drops', { 'no-such-reason': 1 }],
    ['Event.state', { timeMs: 1, tunnel: 'gre1', state: 'odd' }],
  ] as const) {
    assert.ok(!validatorOf(id)(value), id);
  }
});

test('a diff without a config is about the file of the router', async () => {
  await withControl(async (socket) => {
    for (const body of [undefined, '{}']) {
      const { status, body: text } = await requestFrom(socket, 'POST', '/v1/diff', body);
      assert.equal(status, 200, text);
      const { file, tunnels } = JSON.parse(text);
      assert.equal(file, join(folder, 'grebe.toml'));
      const keys = [{ key: 'ttl', before: '1', after: '2' }];
      assert.deepEqual(tunnels, [{ kind: 'change', name: 'gre1', keys }]);
    }
  });
});
