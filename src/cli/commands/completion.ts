// grebe completion: a script for the user's shell.

import { didYouMean } from '../../config/nearest.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';
import { bashCompletion, fishCompletion, zshCompletion } from '../completion.js';

const SHELLS: { readonly [shell: string]: () => string } = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

export async function runCompletion({ words, output }: Call): Promise<ExitCode> {
  const [shell] = words;
  const known = Object.keys(SHELLS);
  const hint = `shells: ${known.join(', ')}`;
  if (shell === undefined) throw new Failure(EXIT.usage, 'completion: for which shell?', hint);
  const script = known.includes(shell) ? SHELLS[shell] : undefined;
  if (script === undefined) {
    const message = `completion: no shell ${JSON.stringify(shell)}${didYouMean(shell, known)}`;
    throw new Failure(EXIT.usage, message, hint);
  }
  output.print(script().trimEnd());
  return EXIT.ok;
}
