// grebe tunnel add|change|replace|del|show: tunnels of the running router, in the words of ip tunnel.

import { changeTunnel, fetchTunnels } from '../../control/reload-client.js';
import { takeName } from '../../import/words.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import { findAction } from '../action.js';
import type { Call } from '../command.js';
import { formatDiff } from '../diff-text.js';
import { askRouter } from '../socket-path.js';

const ACTIONS = ['add', 'change', 'replace', 'del', 'show'] as const;
type Action = (typeof ACTIONS)[number];
/** As ip(8) has them, too. */
const SPELLINGS = {
  chg: 'change',
  delete: 'del',
  list: 'show',
  lst: 'show',
  ls: 'show',
} as const;
const EXAMPLE = 'grebe tunnel add gre1 mode gre local 192.0.2.1 remote 192.0.2.2';

export async function runTunnel(call: Call): Promise<ExitCode> {
  const [word = 'show', ...words] = call.words;
  const action = findAction('tunnel', word, ACTIONS, SPELLINGS);
  const named = takeName(words);
  if (action === 'show') return show(call, named?.name, named?.rest);
  if (named === undefined) {
    throw new Failure(EXIT.usage, `tunnel ${action}: which tunnel?`, EXAMPLE);
  }
  return change(call, action, named.name, named.rest);
}

async function show(
  call: Call,
  name: string | undefined,
  [excess]: readonly string[] = [],
): Promise<ExitCode> {
  if (excess !== undefined) {
    const fault = `tunnel show: one tunnel, or all; not ${JSON.stringify(excess)}, too`;
    throw new Failure(EXIT.usage, fault, 'grebe tunnel show');
  }
  const { output, json } = call;
  const message = await askRouter(call, fetchTunnels);
  const tunnels = message.tunnels.filter((tunnel) => name === undefined || tunnel.name === name);
  if (name !== undefined && tunnels.length === 0) {
    const names = message.tunnels.map((tunnel) => tunnel.name);
    throw new Failure(
      EXIT.noInput,
      `there is no tunnel ${JSON.stringify(name)}`,
      names.length === 0 ? 'the router has none' : `tunnels: ${names.join(', ')}`,
    );
  }
  if (json) output.print(JSON.stringify({ ...message, tunnels }));
  else if (tunnels.length > 0) output.print(tunnels.map(({ words }) => words.join(' ')).join('\n'));
  return EXIT.ok;
}

async function change(
  call: Call,
  verb: Exclude<Action, 'show'>,
  name: string,
  words: readonly string[],
): Promise<ExitCode> {
  const { output, json, options } = call;
  const wish = { dryRun: options.dryRun === true, save: options.save === true };
  const message = await askRouter(call, (socket) =>
    changeTunnel(socket, { verb, name, words, ...wish }),
  );
  for (const note of message.notes) {
    output.warn(`${output.paintMessage('yellow', 'note')}  ${note}`);
  }
  if (json) {
    output.print(JSON.stringify(message));
    return EXIT.ok;
  }
  const lines = formatDiff(message, output.paint);
  output.print(lines.length === 0 ? `${name} is just that already` : lines.join('\n'));
  if (message.saved !== null) output.say(`saved in ${message.saved}`);
  else if (lines.length > 0 && !wish.dryRun)
    output.say('not in the config file: --save writes it there');
  return EXIT.ok;
}
