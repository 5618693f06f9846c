// grebe diff: what a reload would change. Nothing is changed.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fetchDiff } from '../../control/reload-client.js';
import type { DiffMessage } from '../../control/reload-message.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';
import { formatDiff } from '../diff-text.js';
import { askRouter } from '../socket-path.js';

export async function runDiff(call: Call): Promise<ExitCode> {
  const [word] = call.words;
  const given = word === undefined ? {} : readGiven(resolve(word));
  showDiff(call, await askRouter(call, (socket) => fetchDiff(socket, given)));
  return EXIT.ok;
}

/** The router may be in another place of the file system, or without the right to read it. */
function readGiven(file: string): { readonly file: string; readonly text: string } {
  try {
    return { file, text: readFileSync(file, 'utf8') };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Failure(EXIT.noInput, `cannot read the config: ${cause}`);
  }
}

/** Prints what a reload would do. */
export function showDiff({ output, json }: Call, message: DiffMessage): void {
  if (json) {
    output.print(JSON.stringify(message));
    return;
  }
  const lines = formatDiff(message, output.paint);
  if (lines.length === 0) output.say(`${message.file}: the router has just that`);
  else output.print(lines.join('\n'));
}
