// The messages of message.ts as zod schemas, for the description of the API. The compiler holds them to the types that
// they stand for, and tests hold every answer to them.

import { z } from 'zod';
import { REASON } from '../packet/reason.js';
import { MODE_NAMES } from '../packet/tunnel.js';
import type { GoneStatus, PeerLiveness, PeerStatus, TunnelStatus } from '../router/contract.js';
import { EXIT } from '../sys/failure.js';
import type { CodecMessage, CodecsMessage, ErrorMessage, StatusMessage } from './message.js';

/** Schemas that have a name in the description. */
export const COMPONENTS = z.registry<{ readonly id: string }>();

/** Gives a schema its name there. Every answer of a route has one. */
export function named<T extends z.ZodType>(id: string, schema: T): T {
  COMPONENTS.add(schema, { id });
  return schema;
}

export const count = z.int().min(0);
export const timeMs = z.number().describe('Milliseconds since 1970.');
export const traffic = named('Traffic', z.object({ packets: count, bytes: count }));
export const drops = named(
  'Drops',
  z
    .record(z.string(), count)
    .describe(
      'Packets by the reason that they were dropped for; without those that never occurred.',
    )
    .meta({ propertyNames: { enum: Object.keys(REASON) } }),
);
export const kernelDrops = named(
  'KernelDrops',
  z
    .object({
      rawSocket: count.exactOptional(),
      udpSocket: count.exactOptional(),
      xdpRingFull: count.exactOptional(),
      xdpNoFrame: count.exactOptional(),
      xdpInvalid: count.exactOptional(),
    })
    .describe('What the kernel dropped before the router had it.'),
);
export const mode = z.enum(MODE_NAMES);
export const state = z.enum(['up', 'down']);

/** What a tunnel and one of several peers have alike. */
const peerFields = {
  remote: z.string(),
  remoteAddress: z.string().exactOptional(),
  downReason: z.string().exactOptional(),
  rx: traffic,
  tx: traffic,
  drops,
  lastReceivedMs: timeMs.nullable(),
};
const peer = named('Peer', z.object(peerFields)) satisfies z.ZodType<PeerStatus>;
const liveness = z.object({
  means: z.enum(['keepalive', 'probe']),
  state,
  unanswered: count,
  changes: count,
}) satisfies z.ZodType<PeerLiveness>;
const tunnel = named(
  'Tunnel',
  z.object({
    ...peerFields,
    ...{ name: z.string(), mode, local: z.string(), state, mtu: count },
    pathMtu: count.exactOptional(),
    localPackets: count,
    lastHeardMs: timeMs.nullable(),
    liveness: z.array(liveness).exactOptional(),
    queueDrops: count.exactOptional(),
    peers: z.array(peer).exactOptional(),
  }),
) satisfies z.ZodType<TunnelStatus>;

const gone = named(
  'Gone',
  z
    .object({ rx: traffic, tx: traffic, localPackets: count, drops })
    .describe('What tunnels and peers had that were removed while the router ran.'),
) satisfies z.ZodType<GoneStatus>;

export const statusSchema = named(
  'Status',
  z.object({
    schema: z.literal('grebe.status/1'),
    codec: z.string(),
    underlay: z.string(),
    lanes: count,
    uptimeSeconds: z.number(),
    received: z.object({ device: count, underlay: count }),
    generated: count,
    icmp: z.object({ answers: count, answersLimited: count, errors: count, errorsLimited: count }),
    tunnels: z.array(tunnel),
    drops,
    gone: gone.exactOptional(),
    kernelDrops,
  }),
) satisfies z.ZodType<StatusMessage>;

const build = z.object({
  name: z.string(),
  file: z.string().nullable(),
  size: count.nullable(),
  abi: count.nullable(),
  live: z.boolean(),
  fault: z.string().nullable(),
});

export const codecsSchema = named(
  'Codecs',
  z.object({
    schema: z.literal('grebe.codecs/1'),
    live: z.string().nullable(),
    builds: z.array(build),
  }),
) satisfies z.ZodType<CodecsMessage>;

export const codecSchema = named(
  'Codec',
  z.object({ schema: z.literal('grebe.codec/1'), codec: z.string() }),
) satisfies z.ZodType<CodecMessage>;

export const errorSchema = named(
  'Error',
  z.object({
    error: z.string().describe('What is wrong, in a line.'),
    hint: z.string().nullable().describe('What to do next.'),
    exitCode: z.literal(Object.values(EXIT)).describe('What the command line ends with.'),
  }),
) satisfies z.ZodType<ErrorMessage>;
