// What the router tells of itself, and the swap of its codec.

import { z } from 'zod';
import type { BuildListing } from '../codec/builds.js';
import { type CodecMessage, type CodecsMessage, statusMessage } from './message.js';
import { CONTENT_TYPES, chooseFormat } from './metrics-format.js';
import { MetricsPage } from './metrics-page.js';
import { NOTHING, type Route, route } from './route.js';
import { codecSchema, codecsSchema, statusSchema } from './schemas.js';

/** Tells which codec builds there are; `live` is the one that runs. */
export type BuildLister = (live: string) => readonly BuildListing[];

export const statusRoute = route({
  method: 'GET',
  path: '/v1/status',
  summary: 'Tunnels, their traffic and their drops since the start',
  access: 'open',
  takes: NOTHING,
  answer: { description: 'The status', schema: statusSchema },
  handle: async ({ router }) => statusMessage(await router().status()),
});

/** The routes about codec builds, which `builds` lists. */
export function codecRoutes(builds: BuildLister): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/codecs',
      summary: 'Builds of the codec, and which one runs',
      access: 'open',
      takes: NOTHING,
      answer: { description: 'The builds', schema: codecsSchema },
      async handle({ router }): Promise<CodecsMessage> {
        const { codec: live } = await router().status();
        return { schema: 'grebe.codecs/1', live, builds: builds(live) };
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/codec',
      summary: 'Swap the live codec at a batch border',
      description: 'A build that is refused changes nothing.',
      access: 'token',
      takes: z.object({ body: z.object({ name: z.string().min(1) }) }),
      answer: { description: 'The build that every lane runs', schema: codecSchema },
      async handle({ router, input }): Promise<CodecMessage> {
        return { schema: 'grebe.codec/1', codec: await router().useCodec(input.body.name) };
      },
    }),
  ];
}

/** `/metrics`, as on the listener for it alone. */
export function metricsRoute(): Route {
  const page = new MetricsPage();
  return route({
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics for Prometheus, in the format that the Accept header asks for',
    access: 'open',
    takes: NOTHING,
    answer: { description: 'Samples', types: Object.values(CONTENT_TYPES) },
    async handle({ router, accept }) {
      const format = chooseFormat(accept);
      const text = await page.text(router(), format);
      return new Response(text, {
        headers: { 'Content-Type': CONTENT_TYPES[format], Vary: 'Accept' },
      });
    },
  });
}
