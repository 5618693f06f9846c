// grebe web: prints the address of the router's page, with the token that opens all of it.

import { fetchWeb } from '../../control/client.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';
import { askRouter } from '../socket-path.js';

export async function runWeb({ output, json, ...call }: Call): Promise<ExitCode> {
  const message = await askRouter({ output, json, ...call }, fetchWeb);
  if (json) {
    output.print(JSON.stringify(message));
    return EXIT.ok;
  }
  if (message.url === null) {
    throw new Failure(
      EXIT.failed,
      'the router serves no page: it has no address to listen on',
      'in [router]: api = "127.0.0.1:9477"; or from another machine: ssh -L 9477:/run/grebe/grebe.sock HOST',
    );
  }
  output.print(message.url);
  output.say('whoever has this address may change the router and see contents of packets');
  return EXIT.ok;
}
