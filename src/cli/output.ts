import type { Paint, Style } from '../config/diagnostic.js';
import { EXIT } from '../sys/failure.js';

export type ColorChoice = 'auto' | 'always' | 'never';

/** Where a command writes: data to stdout, messages to stderr. */
export interface Output {
  /** Data. */
  print(text: string): void;
  /** A message for the person in front of the screen; silent with `-q`. */
  say(text: string): void;
  /** A message that matters even with `-q`. */
  warn(text: string): void;
  /** Styles text for stdout. */
  readonly paint: Paint;
  /** Styles text for stderr. */
  readonly paintMessage: Paint;
}

const STYLES: { readonly [style in Style]: string } = {
  red: '31',
  yellow: '33',
  green: '32',
  dim: '2',
  bold: '1',
};

/** Output to the process's own streams. */
export function openOutput(color: ColorChoice, isQuiet: boolean): Output {
  return {
    print: (text) => void process.stdout.write(`${text}\n`),
    say: (text) => void (isQuiet || process.stderr.write(`${text}\n`)),
    warn: (text) => void process.stderr.write(`${text}\n`),
    paint: painter(isColored(color, process.stdout)),
    paintMessage: painter(isColored(color, process.stderr)),
  };
}

/**
 * Ends the process when stdout cannot be written: quietly when its reader went away, as in
 * `grebe decode F | head`, with a message for everything else (a full disk).
 */
export function endOnUnwritableOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.ok);
    process.stderr.write(`grebe: cannot write the output: ${error.message}\n`);
    process.exit(EXIT.failed);
  });
  // Nobody reads the messages: that is no reason to stop.
  process.stderr.on('error', () => undefined);
}

function isColored(color: ColorChoice, stream: NodeJS.WriteStream): boolean {
  if (color !== 'auto') return color === 'always';
  // no-color.org: any value but the empty one turns it off.
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

function painter(isOn: boolean): Paint {
  if (!isOn) return (_style, text) => text;
  return (style, text) => `\x1b[${STYLES[style]}m${text}\x1b[0m`;
}

/** Rows as aligned columns, two spaces apart; the first row is the heading. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
