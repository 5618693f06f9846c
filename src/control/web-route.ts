// Where the web page is. Whoever may use the control socket may use the page: the address has the token in it.

import { z } from 'zod';
import type { WebMessage } from './message.js';
import { NOTHING, type Route, route } from './route.js';
import { named } from './schemas.js';

const webSchema = named(
  'Web',
  z.object({
    schema: z.literal('grebe.web/1'),
    url: z.string().nullable().describe('With the token; null without a TCP listener.'),
  }),
) satisfies z.ZodType<WebMessage>;

/** `/v1/web`, with the address that `pageUrl` gives. */
export function webRoute(pageUrl: () => string | null): Route {
  return route({
    method: 'GET',
    path: '/v1/web',
    summary: 'The address of the web page',
    access: 'socket',
    takes: NOTHING,
    answer: { description: 'The address', schema: webSchema },
    handle: (): WebMessage => ({ schema: 'grebe.web/1', url: pageUrl() }),
  });
}
