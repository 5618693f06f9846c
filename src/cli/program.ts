import { Command, CommanderError, Option } from 'commander';
import { EXIT, type ExitCode } from '../sys/failure.js';
import { packageVersion } from '../sys/version.js';
import type { CommandSpec, OptionSpec } from './command.js';
import { COMMANDS } from './commands.js';
import { EXIT_CODES } from './exit-codes.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import { toCall } from './words.js';

/** Runs the command that `words` name. Help, version and usage errors are written here too. */
export async function runProgram(words: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

function createProgram(onExit: (code: ExitCode) => void): Command {
  const program = new Command('grebe')
    .description('A tunnel router for GRE, IPIP and SIT. Without a command: status.')
    .version(`grebe ${packageVersion()}`, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(usageError(text, 'grebe')) })
    .addHelpText(
      'after',
      '\nA command may be shortened while it is unique: grebe st. Help on one: grebe COMMAND --help\n' +
        `Exit codes: ${EXIT_CODES.map(([code, meaning]) => `${code} ${meaning}`).join(', ')}`,
    )
    .exitOverride();
  for (const option of GLOBAL_OPTIONS) program.addOption(toOption(option));
  for (const spec of COMMANDS) addCommand(program, spec, onExit);
  return program;
}

function addCommand(program: Command, spec: CommandSpec, onExit: (code: ExitCode) => void): void {
  const command = program
    .command(spec.name)
    .summary(spec.summary)
    .description(`${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}.`)
    .helpOption('-h, --help', 'print this help')
    .configureOutput({
      outputError: (text, write) => write(usageError(text, `grebe ${spec.name}`)),
    });
  for (const { name, description, isMany } of spec.arguments) {
    command.argument(isMany ? `[${name}...]` : `[${name}]`, description);
  }
  for (const option of spec.options) command.addOption(toOption(option));
  const width = Math.max(...spec.examples.map(([line]) => line.length));
  const examples = spec.examples.map(([line, what]) => `  ${line.padEnd(width)}  ${what}`);
  const more = spec.more === undefined ? '' : `\n\n${spec.more.join('\n')}`;
  command.addHelpText('after', `\nExamples:\n${examples.join('\n')}${more}`);
  command.action(async () => {
    const call = toCall(command.optsWithGlobals(), command.args);
    if (call === undefined) return onExit(EXIT.usage);
    const run = await spec.load();
    onExit(await run(call));
  });
}

function toOption({ name, short, value, choices, description }: OptionSpec): Option {
  const flags = `${short === undefined ? '' : `-${short}, `}--${name}`;
  const option = new Option(value === undefined ? flags : `${flags} <${value}>`, description);
  return choices === undefined ? option : option.choices([...choices]);
}

/** commander's `error: ...` with its `(Did you mean ...?)`, in the form of all our messages. */
function usageError(text: string, command: string): string {
  const message = text.trim().replace(/^error: /, '');
  return `grebe: ${message}\n  see: ${command} --help\n`;
}
