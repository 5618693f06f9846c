// What a session looks like: lines of colored text, and when each appears.
import type { Step } from './session.js';

/** Text in one style. */
export interface Run {
  readonly text: string;
  /** Names of classes of the picture: colors, `bold`, `dim`. */
  readonly style: readonly string[];
}

export interface Line {
  readonly runs: readonly Run[];
  /** When it appears, in ms since the beginning. */
  readonly ms: number;
  /** How long it is being typed; 0 for what a command prints. */
  readonly typingMs: number;
}

const PROMPT = '$ ';
const TYPING_MS = 38;
/** Between the end of a command and the next one, so that it can be read. */
const READING_MS = 1400;
/** Nothing happens for no longer than that. */
const LONGEST_PAUSE_MS = 900;

/** Escape sequences that set a style, and others that a picture has no use for. */
const ESCAPE = '\u001b';
const SGR = new RegExp(`${ESCAPE}\\[([0-9;]*)m`, 'g');
const CONTROL = new RegExp(
  `${ESCAPE}\\[[0-9;?]*[A-LN-Za-ln-z]|${ESCAPE}[()][A-Z0-9]|\r|\u0007`,
  'g',
);
const STYLES: Readonly<Record<string, string>> = {
  1: 'bold',
  2: 'dim',
  31: 'red',
  32: 'green',
  33: 'yellow',
  34: 'blue',
  35: 'magenta',
  36: 'cyan',
  90: 'dim',
};

/** Lays the steps out in time; what took long is shortened, what is typed takes its time. */
export function linesOf(steps: readonly Step[]): {
  readonly lines: Line[];
  readonly endMs: number;
} {
  const lines: Line[] = [];
  let ms = 600;
  for (const { command, output } of steps) {
    const isRemark = command.startsWith('#');
    const typingMs = command.length * TYPING_MS;
    const runs = isRemark
      ? [{ text: command, style: ['dim'] }]
      : [
          { text: PROMPT, style: ['green'] },
          { text: command, style: ['bold'] },
        ];
    lines.push({ runs, ms, typingMs });
    ms += typingMs;
    let before = 0;
    let rest = '';
    for (const { ms: at, text } of output) {
      ms += Math.min(at - before, LONGEST_PAUSE_MS);
      before = at;
      const parts = (rest + text).replaceAll(CONTROL, '').split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) lines.push({ runs: runsOf(part), ms, typingMs: 0 });
    }
    if (rest !== '') lines.push({ runs: runsOf(rest), ms, typingMs: 0 });
    ms += READING_MS;
  }
  return { lines, endMs: ms };
}

/** A line of a terminal, cut where its style changes. A style lasts to the end of its line. */
function runsOf(line: string): Run[] {
  const runs: Run[] = [];
  let style: string[] = [];
  let from = 0;
  const take = (to: number): void => {
    if (to > from) runs.push({ text: line.slice(from, to), style });
  };
  for (const match of line.matchAll(SGR)) {
    take(match.index);
    from = match.index + match[0].length;
    style = styleAfter(style, match[1] ?? '');
  }
  take(line.length);
  return runs;
}

function styleAfter(style: readonly string[], codes: string): string[] {
  let after = [...style];
  for (const code of codes === '' ? ['0'] : codes.split(';')) {
    const name = STYLES[code];
    if (code === '0') after = [];
    else if (code === '22') after = after.filter((one) => one !== 'bold' && one !== 'dim');
    else if (code === '39') after = after.filter((one) => one === 'bold' || one === 'dim');
    else if (name !== undefined && !after.includes(name)) after = [...after, name];
  }
  return after;
}
