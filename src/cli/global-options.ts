import type { OptionSpec } from './command.js';

/** Options that every command takes, anywhere on the line. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: 'json', short: 'j', description: 'print JSON, for programs' },
  { name: 'socket', value: 'PATH', description: 'control socket (default /run/grebe/grebe.sock)' },
  { name: 'config', value: 'FILE', description: 'config (default /etc/grebe/grebe.toml)' },
  { name: 'quiet', short: 'q', description: 'say less' },
  { name: 'verbose', short: 'v', description: 'say more' },
  {
    name: 'color',
    value: 'WHEN',
    choices: ['auto', 'always', 'never'],
    description: 'colored output; NO_COLOR is honoured',
  },
];
