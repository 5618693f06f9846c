// The events of event.ts as zod schemas, for the description of the API.

import { z } from 'zod';
import { REASON } from '../packet/reason.js';
import type { LiveEvents } from './event.js';
import {
  count,
  drops,
  kernelDrops,
  named,
  state,
  statusSchema,
  timeMs,
  traffic,
} from './schemas.js';

const field = z.union([z.string(), z.number()]).nullable();
const packet = z.object({
  timeMs,
  length: count.describe('Bytes of the whole packet.'),
  packets: count.describe('Packets on the wire that it stands for.'),
  direction: z.enum(['decap', 'encap']),
  verdict: z.enum(['ok', 'early', 'local', 'drop']),
  reason: z.enum(Object.keys(REASON)).nullable(),
  tunnel: z.string().nullable(),
  stages: z.array(z.object({ name: z.string(), passed: z.boolean(), detail: z.string() })),
  nearest: z
    .object({
      tunnel: z.string(),
      differs: z.array(z.object({ field: z.string(), packet: field, expected: field })),
    })
    .nullable(),
  next: z.string().nullable().describe('What to do about it.'),
});

const ofPeer = count.describe('Its place among the peers of the tunnel, from 0.');
/** Lists by the name of a tunnel. */
function byTunnel<T extends z.ZodType>(one: T) {
  return z.record(z.string(), z.array(one));
}

const EVENTS = {
  status: z.object({ timeMs, status: statusSchema }),
  traffic: z.object({
    timeMs,
    seconds: z.number().describe('Since the one before.'),
    tunnels: z.record(z.string(), z.object({ rx: traffic, tx: traffic })),
    peers: byTunnel(z.object({ peer: ofPeer, rx: traffic, tx: traffic })).exactOptional(),
  }),
  drops: z.object({
    timeMs,
    tunnels: z.record(z.string(), drops),
    peers: byTunnel(z.object({ peer: ofPeer, drops })).exactOptional(),
    none: drops,
    kernel: kernelDrops,
  }),
  state: z.object({
    timeMs,
    tunnel: z.string(),
    state,
    downReason: z.string().exactOptional(),
  }),
  peers: z.object({
    timeMs,
    tunnels: byTunnel(
      z.object({
        peer: ofPeer,
        remoteAddress: z.string().exactOptional(),
        downReason: z.string().exactOptional(),
      }),
    ),
  }),
  packet,
  packets: z.object({ isShown: z.boolean().describe('False while somebody else traces.') }),
};

/** What stands behind `data:`, by the kind behind `event:`. */
export const eventSchemas: { readonly [K in keyof LiveEvents]: z.ZodType } = EVENTS;

/** The same for a reader of the description. */
export const eventSchema = named(
  'Event',
  z.union(Object.entries(EVENTS).map(([kind, schema]) => named(`Event.${kind}`, schema))),
);
