// All routes of the control API. A new group of them is a list in a file of its own and a line here.

import { pcapRoute, recorderRoute } from './capture-stream.js';
import { eventsRoute } from './event-stream.js';
import type { LiveFeed } from './live-feed.js';
import { openApiRoute } from './openapi.js';
import { reloadRoutes } from './reload-routes.js';
import type { Route } from './route.js';
import { type BuildLister, codecRoutes, metricsRoute, statusRoute } from './router-routes.js';
import { traceRoute } from './trace-stream.js';
import { tunnelRoutes } from './tunnel-routes.js';
import { webRoute } from './web-route.js';

/** What routes need beside the router. */
export interface Sources {
  readonly builds: BuildLister;
  readonly feed: LiveFeed;
  /** Where the web page is, with the token; null without a TCP listener. */
  readonly pageUrl: () => string | null;
}

export function createRoutes({ builds, feed, pageUrl }: Sources): readonly Route[] {
  const routes = [
    statusRoute,
    ...codecRoutes(builds),
    ...reloadRoutes,
    ...tunnelRoutes,
    traceRoute,
    pcapRoute,
    recorderRoute,
    eventsRoute(feed),
    webRoute(pageUrl),
    metricsRoute(),
  ];
  return [...routes, openApiRoute(routes)];
}
