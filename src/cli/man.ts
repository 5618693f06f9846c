// The man page, written from the command table when grebe is built.

import type { OptionSpec } from './command.js';
import { COMMANDS } from './commands.js';
import { EXIT_CODES } from './exit-codes.js';
import { GLOBAL_OPTIONS } from './global-options.js';

/** grebe(1) in man(7). */
export function manPage(version: string): string {
  const commands = COMMANDS.map(({ name, summary, arguments: specs, options, examples }) => {
    const words = specs.map(({ name: word, isMany }) => `[\\fI${word}\\fR${isMany ? ' ...' : ''}]`);
    const flags = options.map((option) => `[${flag(option)}]`);
    return [
      '.TP',
      `\\fBgrebe ${name}\\fR ${[...words, ...flags].join(' ')}`.trimEnd(),
      `${roff(summary)}.`,
      ...specs.map((spec) => `\\fI${spec.name}\\fR: ${roff(spec.description)}.`),
      ...options.map((option) => `${flag(option)}: ${roff(option.description)}.`),
      ...examples.flatMap(([line, what]) => [
        '.br',
        `\\fB${roff(line)}\\fR`,
        `\\(en ${roff(what)}`,
      ]),
    ].join('\n');
  });
  const everywhere = [
    ...GLOBAL_OPTIONS,
    { name: 'help', short: 'h', description: 'print help' },
    { name: 'version', description: 'print the version' },
  ].map((option) => `.TP\n${flag(option)}\n${roff(option.description)}`);
  const codes = EXIT_CODES.map(([code, meaning]) => `.TP\n.B ${code}\n${roff(meaning)}`);
  return `.\\" Made from the command table of grebe ${version}.
.TH GREBE 1 "" "grebe ${version}" "User Commands"
.SH NAME
grebe \\- a tunnel router for GRE, IPIP, SIT and their relatives
.SH SYNOPSIS
.B grebe
[\\fICOMMAND\\fR] [\\fIARGUMENT\\fR ...] [\\fIOPTION\\fR ...]
.SH DESCRIPTION
Tunnels packets of one network across another, as one ordinary process that needs no kernel module, and says why it
dropped a packet.
Without a command it shows the status of the running router.
A command may be shortened while it is unique.
.SH COMMANDS
${commands.join('\n')}
.SH OPTIONS
These are taken by every command.
${everywhere.join('\n')}
.SH EXIT STATUS
${codes.join('\n')}
.SH FILES
.TP
.I /etc/grebe/grebe.toml
the config;
.B grebe schema
prints what it may hold
.TP
.I /run/grebe/grebe.sock
the control socket
.SH SEE ALSO
.BR ip\\-tunnel (8),
.BR ip\\-link (8),
.BR pcap (3PCAP)
`;
}

function flag({ name, short, value, choices }: OptionSpec): string {
  const names = short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`];
  const shown = names.map((one) => `\\fB${roff(one)}\\fR`).join(', ');
  if (value === undefined) return shown;
  return `${shown} \\fI${roff(choices === undefined ? value : choices.join('|'))}\\fR`;
}

/** Text that roff prints as it is. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('~', '\\(ti')
    .replace(/^\./gm, '\\&.');
}
