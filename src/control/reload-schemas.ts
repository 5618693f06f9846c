// The messages of reload-message.ts and tunnel-message.ts as zod schemas, for the description of the API.

import { z } from 'zod';
import type { KeyChange } from '../router/diff.js';
import type { DiffMessage, ReloadMessage } from './reload-message.js';
import { named, timeMs } from './schemas.js';
import type { TunnelMessage, TunnelsMessage } from './tunnel-message.js';

const keyChange = named(
  'KeyChange',
  z.object({
    key: z.string(),
    before: z.string().nullable().describe('In TOML; null: the default.'),
    after: z.string().nullable().describe('In TOML; null: the default.'),
  }),
) satisfies z.ZodType<KeyChange>;

const tunnelChange = named(
  'TunnelChange',
  z.union([
    z.object({ kind: z.enum(['add', 'remove']), name: z.string() }),
    z.object({ kind: z.literal('rename'), name: z.string(), to: z.string() }),
    z.object({
      kind: z
        .enum(['change', 'move', 'rebuild'])
        .describe(
          'change: in place, no packet is lost; move: another far end; rebuild: with a new device.',
        ),
      name: z.string(),
      keys: z.array(keyChange),
      why: z.string().exactOptional(),
    }),
  ]),
);

const diffFields = {
  tunnels: z.array(tunnelChange),
  router: z.array(keyChange).describe('Keys of [router] that take effect at once.'),
  restart: z.array(keyChange).describe('Keys of [router] that wait for a restart.'),
};

export const diffSchema = named(
  'Diff',
  z.object({ schema: z.literal('grebe.diff/1'), file: z.string(), ...diffFields }),
) satisfies z.ZodType<DiffMessage>;

export const reloadSchema = named(
  'Reload',
  z.object({
    schema: z.literal('grebe.reload/1'),
    ...diffFields,
    confirmUntilMs: timeMs
      .nullable()
      .describe('When the config before comes back, unless it is confirmed; null: never.'),
  }),
) satisfies z.ZodType<ReloadMessage>;

export const tunnelsSchema = named(
  'TunnelWords',
  z.object({
    schema: z.literal('grebe.tunnels/1'),
    tunnels: z
      .array(z.object({ name: z.string(), words: z.array(z.string()) }))
      .describe('Each as `grebe tunnel add` takes it.'),
  }),
) satisfies z.ZodType<TunnelsMessage>;

export const tunnelSchema = named(
  'TunnelEdit',
  z.object({
    schema: z.literal('grebe.tunnel/1'),
    ...diffFields,
    notes: z.array(z.string()).describe('Words that are not carried over, and why.'),
    saved: z.string().nullable().describe('The file that has the change, too; null: none.'),
  }),
) satisfies z.ZodType<TunnelMessage>;
