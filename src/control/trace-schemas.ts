// The lines of a trace as zod schemas, for the description of the API.

import { z } from 'zod';
import { REASON } from '../packet/reason.js';
import { count, mode, named, timeMs } from './schemas.js';

/** The rest of a tunnel is what the packet path knows of it, and for grebe trace alone. */
const tracedTunnel = z.looseObject({ name: z.string(), mode });

export const traceLineSchema = named(
  'TraceLine',
  z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('start'),
      tunnels: z
        .array(tracedTunnel.nullable())
        .describe('By record: the first is 1; null: no tunnel has it.'),
      links: z.array(z.tuple([count, z.string()])),
    }),
    z.object({
      kind: z.literal('packet'),
      lane: count,
      direction: z.enum(['decap', 'encap']),
      record: count,
      reason: z.enum(Object.keys(REASON)).nullable(),
      link: count,
      length: count,
      packets: count,
      timeMs,
      bytes: z.string().describe('Hex digits of its first bytes.'),
    }),
    z.object({ kind: z.literal('missed'), count }),
  ]),
);
