// Tunnels of a running router one by one, in the words of `ip tunnel`.
import { resolve } from 'node:path';
import type { HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import { editTable } from '../config/edit.js';
import { tunnelValues } from '../config/format.js';
import { rewriteFile } from '../config/save.js';
import type { Note } from '../import/draft.js';
import { editTunnels, type TunnelEdit, type TunnelRequest, VERBS } from '../import/edit.js';
import { tunnelWords } from '../import/words.js';
import type { ReloadControl, Router } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { readFields, reloadsOf } from './reload-routes.js';
import type { TunnelMessage, TunnelsMessage } from './tunnel-message.js';

type App = Hono<{ Bindings: HttpBindings }>;

export function addTunnelRoutes(app: App, ready: () => Router): void {
  app.get('/v1/tunnels', (context) => {
    const { tunnels } = reloadsOf(ready()).config;
    const message: TunnelsMessage = {
      schema: 'grebe.tunnels/1',
      tunnels: tunnels.map((config) => ({ name: config.name, words: tunnelWords(config) })),
    };
    return context.json(message);
  });
  app.post('/v1/tunnels', async (context) => {
    const reloads = reloadsOf(ready());
    const fields = await readFields(context.req.raw);
    const request = readRequest(fields);
    const isDry = fields.dryRun === true;
    return context.json(await edit(reloads, request, { isDry, isSaved: fields.save === true }));
  });
}

interface EditOptions {
  readonly isDry: boolean;
  readonly isSaved: boolean;
}

async function edit(
  reloads: ReloadControl,
  request: TunnelRequest,
  { isDry, isSaved }: EditOptions,
): Promise<TunnelMessage> {
  const file = resolve(reloads.config.file);
  let made: TunnelEdit | undefined;
  const make = (running: ReloadControl['config']): ReloadControl['config'] => {
    made = editTunnels(running, request);
    return made.config;
  };
  const diff = isDry ? reloads.diff(make(reloads.config)) : (await reloads.reload(make)).diff;
  if (isSaved && !isDry && made !== undefined) save(file, request.name, made);
  return {
    schema: 'grebe.tunnel/1',
    ...{ tunnels: diff.tunnels, router: [], restart: [] },
    notes: (made?.notes ?? []).map(({ words, why }: Note) => `${words}: ${why}`),
    saved: isSaved && !isDry ? file : null,
  };
}

/** Writes the change into the config file; its comments stay. */
function save(file: string, name: string, { config, patch }: TunnelEdit): void {
  const tunnel = config.tunnels.find((one) => one.name === name);
  const whole = tunnel === undefined ? new Map<string, string>() : tunnelValues(tunnel);
  const keys = patch.kind === 'change' ? patch.keys : patch.kind === 'add' ? patch.values : null;
  rewriteFile(file, (text) => editTable(text, file, { name, keys, whole }));
}

function readRequest({ verb, name, words }: { readonly [key: string]: unknown }): TunnelRequest {
  const known = VERBS.find((one) => one === verb);
  const isText = (one: unknown): one is string => typeof one === 'string';
  if (known !== undefined && isText(name) && Array.isArray(words) && words.every(isText)) {
    return { verb: known, name, words };
  }
  throw new Failure(
    EXIT.usage,
    'the request is not {"verb": "...", "name": "...", "words": ["..."]}',
    `verbs: ${VERBS.join(', ')}`,
  );
}
