// A terminal that a command has for itself: the alternate screen, keys one by one, and everything as it was afterwards,
// whatever ends the process.

import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { EXIT, Failure } from '../sys/failure.js';

/** Alternate screen, no cursor, no wrapping; and back. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
/** Terminals that know it show a frame at once. */
const FRAME_BEGIN = '\x1b[?2026h\x1b[H';
const FRAME_END = '\x1b[J\x1b[?2026l';

const CTRL_C = '\x03';
const CTRL_L = '\x0c';
const CTRL_Z = '\x1a';

export type Key =
  | 'up'
  | 'down'
  | 'page-up'
  | 'page-down'
  | 'home'
  | 'end'
  | 'enter'
  | 'escape'
  | (string & {});

const KEYS: Readonly<Record<string, Key>> = {
  '\x1b[A': 'up',
  '\x1bOA': 'up',
  '\x1b[B': 'down',
  '\x1bOB': 'down',
  '\x1b[D': 'escape',
  '\x1bOD': 'escape',
  '\x1b[C': 'enter',
  '\x1bOC': 'enter',
  '\x1b[5~': 'page-up',
  '\x1b[6~': 'page-down',
  '\x1b[H': 'home',
  '\x1b[1~': 'home',
  '\x1b[F': 'end',
  '\x1b[4~': 'end',
  '\r': 'enter',
  '\n': 'enter',
  '\x1b': 'escape',
  '\x7f': 'escape',
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: keys are control characters
const SEQUENCE = /\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|[\s\S]/gu;

/** The keys in what a terminal sent at once. */
export function parseKeys(text: string): Key[] {
  return (text.match(SEQUENCE) ?? []).map((one) => KEYS[one] ?? one);
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Screen {
  readonly size: () => Size;
  /** Shows lines from the top; each fits the width, and there are no more than rows. */
  readonly show: (lines: readonly string[]) => void;
}

export interface ScreenUse {
  readonly onKey: (key: Key) => void;
  /** All is to be shown again: the size is another, or the terminal was somebody else's meanwhile. */
  readonly onRedraw: () => void;
  /** Somebody wants the end: ^C, or a signal. */
  readonly onEnd: () => void;
}

/** Throws a Failure where nobody can see the screen or press a key; `instead` is what to do there. */
export function requireTerminal(what: string, instead: string): void {
  if (isatty(0) && isatty(1) && process.env.TERM !== 'dumb') return;
  throw new Failure(EXIT.usage, `${what} needs a terminal`, instead);
}

/** Lets `use` have the terminal; gives it back when the promise that it returns settles. */
export async function withScreen(
  use: ScreenUse,
  run: (screen: Screen) => Promise<void>,
): Promise<void> {
  const { stdin, stdout } = process;
  const leave = (): void => {
    stdin.setRawMode(false);
    writeAll(LEAVE);
  };
  const enter = (): void => {
    stdin.setRawMode(true);
    writeAll(ENTER);
    use.onRedraw();
  };
  const onData = (text: string): void => {
    for (const key of parseKeys(text)) {
      if (key === CTRL_C) use.onEnd();
      else if (key === CTRL_Z) suspend(leave, enter);
      else if (key === CTRL_L) enter();
      else use.onKey(key);
    }
  };
  stdin.setEncoding('utf8').on('data', onData).on('end', use.onEnd).resume();
  stdout.on('resize', use.onRedraw);
  for (const signal of SIGNALS) process.on(signal, use.onEnd);
  process.once('exit', leave);
  enter();
  try {
    await run({
      size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
      show: (lines) =>
        stdout.write(FRAME_BEGIN + lines.map((line) => `\x1b[2K${line}`).join('\r\n') + FRAME_END),
    });
  } finally {
    process.off('exit', leave).off('SIGCONT', enter);
    leave();
    for (const signal of SIGNALS) process.off(signal, use.onEnd);
    stdout.off('resize', use.onRedraw);
    stdin.off('data', onData).off('end', use.onEnd).pause();
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** ^Z: the shell has the terminal until fg. */
function suspend(leave: () => void, enter: () => void): void {
  leave();
  process.once('SIGCONT', enter);
  process.kill(process.pid, 'SIGTSTP');
}

/** At once, since the process may end with it. A terminal that is gone takes nothing. */
function writeAll(text: string): void {
  try {
    writeSync(1, text);
  } catch {
    // EIO: it hung up
  }
}
