import { didYouMean } from '../config/nearest.js';
import { EXIT, Failure } from '../sys/failure.js';

/**
 * The one of a command's `actions` that `word` is, or is the beginning of and of no other's. `spellings`: other words for
 * some of them. Throws a Failure for another word.
 */
export function findAction<Action extends string>(
  command: string,
  word: string,
  actions: readonly Action[],
  spellings: Readonly<Record<string, Action>> = {},
): Action {
  const all = [...actions.map((one) => [one, one] as const), ...Object.entries(spellings)];
  const matches = all.filter(([spelling]) => word !== '' && spelling.startsWith(word));
  const [action, ...others] = new Set(matches.map(([, meant]) => meant));
  if (action !== undefined && others.length === 0) return action;
  throw new Failure(
    EXIT.usage,
    `${command} has no action ${JSON.stringify(word)}${didYouMean(word, actions)}`,
    `actions: ${actions.join(', ')}`,
  );
}
