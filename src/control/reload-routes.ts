// The requests that change the config of a running router, or ask what that would do.
import type { HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import type { Config } from '../config/config.js';
import { configOrFail, parseConfig } from '../config/load.js';
import type { ReloadControl, Router } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { readBody } from './body.js';
import { isFields } from './message.js';
import { diffMessage, reloadMessage } from './reload-message.js';

/** Longest request: a whole config. */
const BODY_MAX = 20 << 20;
/** A trial that is longer is none. */
const CONFIRM_MAX_MS = 24 * 3_600_000;

type App = Hono<{ Bindings: HttpBindings }>;

export function addReloadRoutes(app: App, ready: () => Router): void {
  app.post('/v1/diff', async (context) => {
    const reloads = reloadsOf(ready());
    const wanted = givenConfig(await readFields(context.req.raw)) ?? reloads.load();
    return context.json(diffMessage(wanted.file, reloads.diff(wanted)));
  });
  app.post('/v1/reload', async (context) => {
    const reloads = reloadsOf(ready());
    const confirmMs = givenTime(await readFields(context.req.raw));
    const options = confirmMs === undefined ? {} : { confirmMs };
    return context.json(reloadMessage(await reloads.reload(undefined, options)));
  });
  app.post('/v1/confirm', (context) => {
    const reloads = reloadsOf(ready());
    reloads.confirm();
    return context.json(reloadMessage({ diff: { tunnels: [], router: [], restart: [] } }));
  });
  app.post('/v1/undo', async (context) => {
    return context.json(reloadMessage(await reloadsOf(ready()).undo()));
  });
}

export function reloadsOf({ reloads }: Router): ReloadControl {
  if (reloads !== undefined) return reloads;
  throw new Failure(EXIT.failed, 'this router has no config that could change');
}

/** The object of a request; an empty one without a body. */
export async function readFields(request: Request): Promise<{ readonly [key: string]: unknown }> {
  const body = await readBody(request, BODY_MAX);
  if (body === undefined) throw new Failure(EXIT.usage, 'the request is too long');
  if (body.trim() === '') return {};
  let fields: unknown;
  try {
    fields = JSON.parse(body);
  } catch {
    fields = undefined;
  }
  if (isFields(fields)) return fields;
  throw new Failure(EXIT.usage, 'the request is no JSON object');
}

/** The config whose text was sent; undefined: none was. Throws a Failure with all that is wrong with it. */
function givenConfig({ file, text }: { readonly [key: string]: unknown }): Config | undefined {
  if (text === undefined) return undefined;
  if (typeof text !== 'string' || typeof file !== 'string') {
    throw new Failure(EXIT.usage, 'the request is not {"file": "...", "text": "..."}');
  }
  return configOrFail(parseConfig(Buffer.from(text), file), file);
}

function givenTime({ confirmMs }: { readonly [key: string]: unknown }): number | undefined {
  if (confirmMs === undefined) return undefined;
  const isTime = typeof confirmMs === 'number' && confirmMs > 0 && confirmMs <= CONFIRM_MAX_MS;
  if (isTime) return confirmMs;
  throw new Failure(EXIT.usage, 'confirmMs must be a time of up to 24 hours', '--confirm 60s');
}
