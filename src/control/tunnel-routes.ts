// Tunnels of a running router one by one, in the words of `ip tunnel`.
import { resolve } from 'node:path';
import { z } from 'zod';
import { editTunnel, type TextEdit } from '../config/edit.js';
import { type TableValues, tunnelValues } from '../config/format.js';
import { rewriteFile } from '../config/save.js';
import type { Note } from '../import/draft.js';
import {
  editTunnels,
  type TunnelEdit,
  type TunnelPatch,
  type TunnelRequest,
  VERBS,
} from '../import/edit.js';
import { tunnelWords } from '../import/words.js';
import type { ReloadControl } from '../router/contract.js';
import { reloadsOf } from './reload-routes.js';
import { tunnelSchema, tunnelsSchema } from './reload-schemas.js';
import { NOTHING, type Route, route } from './route.js';
import type { TunnelMessage, TunnelsMessage } from './tunnel-message.js';

const editBody = z.object({
  verb: z.enum(VERBS),
  name: z.string(),
  words: z.array(z.string()).describe('In the words of `ip tunnel`.'),
  dryRun: z.boolean().optional().describe('Only say what would be done.'),
  save: z.boolean().optional().describe('Into the config file, too.'),
});

export const tunnelRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/tunnels',
    summary: 'The tunnels, each in the words of `ip tunnel`',
    access: 'open',
    takes: NOTHING,
    answer: { description: 'The tunnels', schema: tunnelsSchema },
    handle({ router }): TunnelsMessage {
      const { tunnels } = reloadsOf(router()).config;
      return {
        schema: 'grebe.tunnels/1',
        tunnels: tunnels.map((config) => ({ name: config.name, words: tunnelWords(config) })),
      };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tunnels',
    summary: 'Add, change, replace or remove one tunnel',
    access: 'token',
    takes: z.object({ body: editBody }),
    answer: { description: 'What was done', schema: tunnelSchema },
    handle({ router, input: { body } }) {
      const { verb, name, words, dryRun = false, save = false } = body;
      const request: TunnelRequest = { verb, name, words };
      return edit(reloadsOf(router()), request, { isDry: dryRun, isSaved: save });
    },
  }),
];

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
  const values = tunnel === undefined ? new Map<string, string>() : tunnelValues(tunnel);
  rewriteFile(file, (text) => editTunnel(text, file, textEdit(name, values, patch)));
}

function textEdit(name: string, values: TableValues, patch: TunnelPatch): TextEdit {
  switch (patch.kind) {
    case 'add':
      return { kind: 'set', name, values };
    case 'change':
      return { kind: 'change', name, keys: patch.keys, values };
    case 'remove':
      return { kind: 'remove', name };
  }
}
