import type { ExitCode } from '../sys/failure.js';
import type { ColorChoice, Output } from './output.js';

/** An option of one command or, in GLOBAL_OPTIONS, of all. */
export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** Placeholder of its value; absent for a flag. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly description: string;
}

export interface ArgumentSpec {
  readonly name: string;
  readonly description: string;
  /** The last argument may come several times. */
  readonly isMany?: true;
  /** What a shell completes it with; words are those of a closed list. */
  readonly complete?: 'file' | readonly string[];
}

/** What was typed behind the command's name. */
export interface Call {
  /** Arguments in their order. */
  readonly words: readonly string[];
  /** Options of this command by their name. */
  readonly options: { readonly [name: string]: string | boolean | undefined };
  readonly json: boolean;
  readonly verbosity: 'quiet' | 'normal' | 'verbose';
  readonly color: ColorChoice;
  readonly socket?: string;
  readonly config?: string;
  readonly output: Output;
}

export type RunCommand = (call: Call) => Promise<ExitCode>;

/** One row of the command table: parser and help both come from it. */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly arguments: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  /** Lines behind the examples: what the options alone do not tell. */
  readonly more?: readonly string[];
  /** Command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** Loads the command's code: nothing of the others is read from disk. */
  readonly load: () => Promise<RunCommand>;
}
