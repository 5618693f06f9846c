// docs/api.md, made from the routes that are served.
import { LiveFeed } from '../../src/control/live-feed.js';
import type { Access } from '../../src/control/route.js';
import { createRoutes } from '../../src/control/routes.js';
import { generatedFrom, table } from './markdown.js';

const ACCESS: Readonly<Record<Access, string>> = {
  open: 'anyone',
  token: 'with the token',
  socket: 'nobody',
};

export function apiPage(): string {
  const routes = createRoutes({ builds: () => [], feed: new LiveFeed(), pageUrl: () => null });
  const rows = routes.map(({ method, path, summary, access }) => {
    return [`\`${method} ${path}\``, summary, ACCESS[access]];
  });
  return `# The control API

${generatedFrom('src/control/routes.ts and test/docs/api-page.ts')}

A running router answers HTTP with JSON on its unix socket. The command line is a client of it, and so can any program be:

    curl --unix-socket /run/grebe/grebe.sock http://localhost/v1/status

The socket has mode 0660 and the group \`grebe\`, where the machine has one: whoever may open it may ask everything. With

    [router]
    api = "127.0.0.1:9477"

the same is on a TCP port, and with it the web page. There what changes something, and contents of packets, need the token
that lies beside the socket (\`/run/grebe/grebe.token\`, readable by the router's own user; another one with each start):

    curl http://127.0.0.1:9477/v1/status
    curl -H "Authorization: Bearer $(sudo cat /run/grebe/grebe.token)" -X PUT -d '{"name":"scalar"}' http://127.0.0.1:9477/v1/codec

An address that other machines reach is taken with a warning: nothing is encrypted. From elsewhere, forward the socket:

    ssh -L 9477:/run/grebe/grebe.sock router.example    # then open http://127.0.0.1:9477/

## Requests

${table(['Request', 'What it is for', 'Over TCP'], rows)}

\`/v1/openapi.json\` describes each in full (OpenAPI 3.1), made from the schemas that judge requests. Answers have a \`schema\`
such as \`grebe.status/1\`; fields are added within a number, never taken away. Whatever fails answers with a status from 400 on and

    {"error":"there is no tunnel \\"gre9\\"","hint":"tunnels: gre1","exitCode":66}

## Events

    curl -N --unix-socket /run/grebe/grebe.sock 'http://localhost/v1/events?packets=1'

are server-sent events. The first is \`status\`; then each second comes \`traffic\`, what passed since the event before it, and
\`drops\` and \`state\` where there is something to tell. Counts are exact: rx, tx, drops and states of the status and all that
follow add up to those of the last moment. A new \`status\` comes when tunnels come, go or become others. With
\`packets=1\` also \`packet\`: one that was dropped, with every check that it passed, why it was dropped, and what to do.

Of a tunnel with several peers \`traffic\` and \`drops\` have, under \`peers\`, those that differ, each with its place among
the peers of the last status: they are in the counts of their tunnel, too. A \`peers\` event says what the host name of a peer
stands for from now on, or why nothing can be sent to it.

A client that stops reading is cut off; it connects again, and begins with a status.

## The web page

    grebe web

prints its address, with the token behind \`#\`. Without the token it shows all but contents of packets. It asks nobody but
the router for anything, and no page of another origin gets anything from it.

![the page](images/page-light.png)
`;
}
