// Completions of three shells, all of them written from the command table.

import type { ArgumentSpec, CommandSpec, OptionSpec } from './command.js';
import { COMMANDS } from './commands.js';
import { GLOBAL_OPTIONS } from './global-options.js';

const HELP: OptionSpec = { name: 'help', short: 'h', description: 'print help' };
const VERSION: OptionSpec = { name: 'version', description: 'print the version' };
/** Where no command is there yet. */
const TOP: readonly OptionSpec[] = [...GLOBAL_OPTIONS, HELP, VERSION];

function optionsOf({ options }: CommandSpec): readonly OptionSpec[] {
  return [...options, ...GLOBAL_OPTIONS, HELP];
}

/** Options by whatever `what` says of each, every name once. */
function withValues(): OptionSpec[] {
  const all = [...GLOBAL_OPTIONS, ...COMMANDS.flatMap(({ options }) => options)];
  const byName = new Map(
    all.filter(({ value }) => value !== undefined).map((one) => [one.name, one]),
  );
  return [...byName.values()];
}

function isFile({ value }: OptionSpec): boolean {
  return value === 'FILE' || value === 'PATH';
}

/** Names as the shell takes them: `--json`, and `-j` where there is one. */
function flags({ name, short }: OptionSpec): string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}

/** What completes the arguments of a command, as branches of a `case COMMAND:COUNT`. */
function argumentCases(
  indent: string,
  files: string,
  words: (list: readonly string[]) => string,
): string {
  const lines = COMMANDS.flatMap(({ name, arguments: specs }) =>
    specs.flatMap(({ complete, isMany }: ArgumentSpec, index) => {
      if (complete === undefined) return [];
      const action = complete === 'file' ? files : words(complete);
      return [`${indent}${name}:${isMany ? '*' : index}) ${action} ;;`];
    }),
  );
  return lines.join('\n');
}

export function bashCompletion(): string {
  const valued = withValues();
  const words = (list: readonly string[]): string =>
    `mapfile -t COMPREPLY < <(compgen -W '${list.join(' ')}' -- "$cur")`;
  const files = 'mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null';
  const values = valued.map((option) => {
    const action = option.choices ? words(option.choices) : isFile(option) ? files : ':';
    return `    ${flags(option).join('|')}) ${action}; return ;;`;
  });
  const options = COMMANDS.map(
    (command) => `      ${command.name}) ${words(optionsOf(command).flatMap(flags))} ;;`,
  );
  return `# bash completion for grebe: source <(grebe completion bash)
_grebe() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command='' count=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${valued.flatMap(flags).join('|')}) ((i++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=\${COMP_WORDS[i]}; else ((count++)); fi ;;
    esac
  done
  case $prev in
${values.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    case $command in
${options.join('\n')}
      *) ${words(TOP.flatMap(flags))} ;;
    esac
  elif [[ -z $command ]]; then
    ${words(COMMANDS.map(({ name }) => name))}
  else
    case $command:$count in
${argumentCases('      ', files, words)}
    esac
  fi
}
complete -F _grebe grebe
`;
}

export function zshCompletion(): string {
  const valued = withValues();
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  /** `name:description` for _describe, which splits at the first colon that has no backslash. */
  const pair = (name: string, description: string): string =>
    quote(`${name}:${description.replaceAll(':', '\\:')}`);
  const described = (options: readonly OptionSpec[]): string =>
    options
      .flatMap((option) => flags(option).map((flag) => pair(flag, option.description)))
      .join(' ');
  const words = (list: readonly string[]): string => `compadd -- ${list.map(quote).join(' ')}`;
  const values = valued.map((option) => {
    const action = option.choices ? words(option.choices) : isFile(option) ? '_files' : ':';
    return `    (${flags(option).join('|')}) ${action}; return ;;`;
  });
  const options = COMMANDS.map(
    (command) => `      (${command.name}) list=(${described(optionsOf(command))}) ;;`,
  );
  const commands = COMMANDS.map(({ name, summary }) => pair(name, summary)).join(' ');
  const cases = argumentCases('      ', '_files', words);
  return `#compdef grebe
# zsh completion for grebe: grebe completion zsh > DIRECTORY/_grebe, of a directory in fpath
_grebe() {
  local command='' count=0 i
  local -a list
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      (${valued.flatMap(flags).join('|')}) ((i++)) ;;
      (-*) ;;
      (*) if [[ -z $command ]]; then command=$words[i]; else ((count++)); fi ;;
    esac
  done
  case $words[CURRENT-1] in
${values.join('\n')}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    case $command in
${options.join('\n')}
      (*) list=(${described(TOP)}) ;;
    esac
    _describe -o option list
  elif [[ -z $command ]]; then
    list=(${commands})
    _describe command list
  else
    case $command:$count in
${cases.replace(/^ {6}/gm, '      (')}
    esac
  fi
}
if [[ $funcstack[1] == _grebe ]]; then _grebe "$@"; else compdef _grebe grebe; fi
`;
}

export function fishCompletion(): string {
  const quote = (text: string): string =>
    `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const names = COMMANDS.map(({ name }) => name).join(' ');
  const option = (one: OptionSpec, condition: string): string => {
    const { name, short, description, choices } = one;
    const value = choices
      ? ` -x -a ${quote(choices.join(' '))}`
      : isFile(one)
        ? ' -r -F'
        : one.value === undefined
          ? ''
          : ' -x';
    const letter = short === undefined ? '' : ` -s ${short}`;
    return `complete -c grebe${condition} -l ${name}${letter}${value} -d ${quote(description)}`;
  };
  const lines = COMMANDS.flatMap(({ name, summary, options, arguments: specs }) => {
    const condition = ` -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c grebe -n $none -a ${name} -d ${quote(summary)}`,
      ...options.map((one) => option(one, condition)),
      ...specs.flatMap(({ complete }) => {
        if (complete === undefined) return [];
        const what = complete === 'file' ? '-F' : `-a ${quote(complete.join(' '))}`;
        return [`complete -c grebe${condition} ${what}`];
      }),
    ];
  });
  return `# fish completion for grebe: grebe completion fish > ~/.config/fish/completions/grebe.fish
set -l none 'not __fish_seen_subcommand_from ${names}'
complete -c grebe -f
${[...GLOBAL_OPTIONS, HELP].map((one) => option(one, '')).join('\n')}
${option(VERSION, ' -n $none')}
${lines.join('\n')}
`;
}
