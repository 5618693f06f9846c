// The requests that change the config of a running router, or ask what that would do.

import { z } from 'zod';
import { configOrFail, parseConfig } from '../config/load.js';
import type { ReloadControl, Router } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { diffMessage, reloadMessage } from './reload-message.js';
import { diffSchema, reloadSchema } from './reload-schemas.js';
import { type Route, route } from './route.js';

/** Longest request: a whole config. */
const BODY_MAX = 20 << 20;
/** A trial that is longer is none. */
const CONFIRM_MAX_MS = 24 * 3_600_000;

const diffBody = z.object({
  file: z.string().describe('What the config is called in messages.'),
  text: z.string().describe('A whole config in TOML.'),
});
const reloadBody = z.object({
  confirmMs: z
    .number()
    .positive()
    .max(CONFIRM_MAX_MS)
    .optional()
    .describe('The config before comes back after this time, unless POST /v1/confirm comes.'),
});

const dryBody = z.object({
  dryRun: z.boolean().optional().describe('Only say what would be done.'),
});

export const reloadRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/diff',
    summary:
      'What a reload would do: with the config that is sent, or without one with its own file',
    access: 'token',
    takes: z.object({ body: z.union([diffBody, z.strictObject({})]).optional() }),
    bodyMax: BODY_MAX,
    answer: { description: 'What differs', schema: diffSchema },
    async handle({ router, input: { body } }) {
      const reloads = reloadsOf(router());
      const given = body !== undefined && 'text' in body ? body : undefined;
      const wanted =
        given === undefined
          ? await reloads.load()
          : configOrFail(parseConfig(Buffer.from(given.text), given.file), given.file);
      return diffMessage(wanted.file, await reloads.wholeDiff(wanted));
    },
  }),
  route({
    method: 'POST',
    path: '/v1/reload',
    summary: 'Take the config file as it is by now, whole or not at all',
    description: 'Only what differs is touched. Answered once it is done.',
    access: 'token',
    takes: z.object({ body: reloadBody.optional() }),
    answer: { description: 'What was done', schema: reloadSchema },
    async handle({ router, input: { body } }) {
      const confirmMs = body?.confirmMs;
      const options = confirmMs === undefined ? {} : { confirmMs };
      return reloadMessage(await reloadsOf(router()).reload(undefined, options));
    },
  }),
  route({
    method: 'POST',
    path: '/v1/confirm',
    summary: 'Keep what was reloaded on trial',
    access: 'token',
    takes: z.object({ body: dryBody.optional() }),
    answer: { description: 'Nothing was changed', schema: reloadSchema },
    handle({ router, input: { body } }) {
      const reloads = reloadsOf(router());
      const diff = { tunnels: [], router: [], restart: [] };
      if (body?.dryRun) return reloadMessage({ diff, confirmUntilMs: reloads.trialUntilMs });
      reloads.confirm();
      return reloadMessage({ diff });
    },
  }),
  route({
    method: 'POST',
    path: '/v1/undo',
    summary: 'Bring back the config before the last reload',
    access: 'token',
    takes: z.object({ body: dryBody.optional() }),
    answer: { description: 'What was done', schema: reloadSchema },
    async handle({ router, input: { body } }) {
      const reloads = reloadsOf(router());
      return reloadMessage(body?.dryRun ? { diff: reloads.wouldUndo() } : await reloads.undo());
    },
  }),
];

export function reloadsOf({ reloads }: Router): ReloadControl {
  if (reloads !== undefined) return reloads;
  throw new Failure(EXIT.failed, 'this router has no config that could change');
}
