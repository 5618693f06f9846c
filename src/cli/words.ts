// The words of a command line, before any of them is acted on.

import { parseArgs } from 'node:util';
import { didYouMean } from '../config/nearest.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Call, CommandSpec, OptionSpec } from './command.js';
import { COMMANDS } from './commands.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import { type ColorChoice, openOutput } from './output.js';

type ParseOptions = {
  [name: string]: { type: 'string' | 'boolean'; short?: string };
};

function parseOptions(specs: readonly OptionSpec[]): ParseOptions {
  return Object.fromEntries(
    specs.map(({ name, short, value }) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
}

/**
 * Puts the command of `typed` in front, written out in full: nothing becomes `status`, a unique beginning
 * the command it begins, `help X` becomes `X --help`. Throws a usage Failure for a word that is no command.
 */
export function completeWords(typed: readonly string[]): string[] {
  const { tokens } = parseArgs({
    args: [...typed],
    options: parseOptions([...GLOBAL_OPTIONS, ...COMMANDS.flatMap(({ options }) => options)]),
    strict: false,
    tokens: true,
  });
  const [first, second] = tokens.filter((token) => token.kind === 'positional');
  const without = (...indexes: readonly number[]): string[] =>
    typed.filter((_, index) => !indexes.includes(index));
  if (first === undefined) {
    const asks = tokens.some(
      (token) => token.kind === 'option' && ['h', 'help', 'version'].includes(token.name),
    );
    return asks ? [...typed] : ['status', ...typed];
  }
  if (first.value !== 'help') return [findCommand(first.value).name, ...without(first.index)];
  if (second === undefined) return ['--help'];
  return [findCommand(second.value).name, '--help', ...without(first.index, second.index)];
}

/** The command that `word` names or is the unique beginning of. */
export function findCommand(word: string): CommandSpec {
  const exact = COMMANDS.find((command) => command.name === word);
  if (exact !== undefined) return exact;
  const matches = COMMANDS.filter((command) => word !== '' && command.name.startsWith(word));
  const [match] = matches;
  if (match !== undefined && matches.length === 1) return match;
  const names = COMMANDS.map((command) => command.name);
  const meant =
    matches.length > 1
      ? `; it could be ${matches.map((command) => command.name).join(' or ')}`
      : didYouMean(word, names);
  throw new Failure(
    EXIT.usage,
    `unknown command ${JSON.stringify(word)}${meant}`,
    `commands: ${names.join(', ')}; more: grebe --help`,
  );
}

/**
 * Reads a `status` command line. Undefined for every other command, and for whatever has to be explained
 * to the user (help, a usage error).
 */
export function parseStatus(words: readonly string[]): Call | undefined {
  const spec = COMMANDS.find((command) => command.name === 'status');
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: parseOptions([...GLOBAL_OPTIONS, ...(spec?.options ?? [])]),
      allowPositionals: true,
    });
    const [command, ...rest] = positionals;
    if (command !== 'status' || rest.length > (spec?.arguments.length ?? 0)) return undefined;
    return toCall(values, rest);
  } catch {
    return undefined;
  }
}

/** The call that parsed options and arguments stand for; undefined when an option has no such value. */
export function toCall(
  options: { readonly [name: string]: unknown },
  words: readonly string[],
): Call | undefined {
  const color = colorChoice(options.color);
  if (color === undefined) return undefined;
  const isQuiet = options.quiet === true;
  const own: { [name: string]: string | boolean | undefined } = {};
  for (const [name, value] of Object.entries(options)) {
    if (typeof value === 'string' || typeof value === 'boolean') own[name] = value;
  }
  const { socket, config } = options;
  return {
    words,
    options: own,
    json: options.json === true,
    verbosity: isQuiet ? 'quiet' : options.verbose === true ? 'verbose' : 'normal',
    color,
    ...(typeof socket === 'string' ? { socket } : {}),
    ...(typeof config === 'string' ? { config } : {}),
    output: openOutput(color, isQuiet),
  };
}

function colorChoice(value: unknown): ColorChoice | undefined {
  if (value === undefined) return 'auto';
  return value === 'auto' || value === 'always' || value === 'never' ? value : undefined;
}
