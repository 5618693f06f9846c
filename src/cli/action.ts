import { didYouMean } from '../config/nearest.js';
import { EXIT, Failure } from '../sys/failure.js';

/** The one of a command's `actions` that `word` is, or is the unique beginning of. Throws a Failure for another. */
export function findAction<Action extends string>(
  command: string,
  word: string,
  actions: readonly Action[],
): Action {
  const matches = actions.filter((action) => word !== '' && action.startsWith(word));
  const [action] = matches;
  if (action !== undefined && matches.length === 1) return action;
  throw new Failure(
    EXIT.usage,
    `${command} has no action ${JSON.stringify(word)}${didYouMean(word, actions)}`,
    `actions: ${actions.join(', ')}`,
  );
}
