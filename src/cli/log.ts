// The router's log: pino's JSON lines on stderr, or the same made readable for a terminal.

import { fstatSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import type { RouterConfig } from '../config/config.js';
import { isFields } from '../control/message.js';
import { LogWriter } from './log-writer.js';

const STDERR = 2;

/** sd-daemon(3) priorities: the severities of RFC 5424. */
const PRIORITY: { readonly [level: string]: number } = {
  fatal: 2,
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
  trace: 7,
};

/** From the quietest to the loudest. */
const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
type Log = RouterConfig['log'];

/** What `-q` and `-v` make of the config's log: `-q` never louder than that, `-v` never quieter. */
export function logSettings(log: Log, verbosity: 'quiet' | 'normal' | 'verbose'): Log {
  const rank = (level: Log['level']): number => LEVELS.indexOf(level);
  switch (verbosity) {
    case 'quiet':
      return { ...log, level: rank(log.level) < rank('warn') ? log.level : 'warn' };
    case 'verbose':
      return { ...log, level: rank(log.level) > rank('debug') ? log.level : 'debug' };
    case 'normal':
      return log;
  }
}

/** Opens the log of `[router]` on stderr. */
export function openLog({ level, format }: RouterConfig['log']): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY === true);
  const toJournal = isJournal();
  const isColored = isPretty && process.stderr.isTTY === true && !process.env.NO_COLOR;
  const writer = new LogWriter();
  const write = (line: string): void => {
    const lost = writer.takeLost();
    for (const one of lost === 0 ? [line] : [lostLine(lost), line]) {
      const text = isPretty ? formatLine(one, isColored) : one;
      writer.write(toJournal ? `<${PRIORITY[levelOf(one)] ?? 6}>${text}` : text);
    }
  };
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
}

/** Says, in front of the next line that may get through, how many did not. */
function lostLine(count: number): string {
  const msg = `${count} lines of the log could not be written`;
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: 'warn', time, event: 'log-lost', count, msg })}\n`;
}

/** Whether stderr is the journal's stream: then it wants a priority in front of each line. */
function isJournal(): boolean {
  const stream = process.env.JOURNAL_STREAM;
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(STDERR, { bigint: true });
  return stream === `${dev}:${ino}`;
}

function levelOf(line: string): string {
  return /^\{"level":"(\w+)"/.exec(line)?.[1] ?? 'info';
}

const COLORS: { readonly [level: string]: string } = {
  fatal: '31',
  error: '31',
  warn: '33',
  debug: '2',
  trace: '2',
};

/** `12:03:04.123 INFO  message  key=value ...` */
export function formatLine(line: string, isColored: boolean): string {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    return line;
  }
  if (!isFields(fields)) return line;
  // The event is for programs: the message says the same.
  const { level, time, msg, event: _event, ...rest } = fields;
  const name = String(level);
  const label = name.toUpperCase().padEnd(5);
  const color = COLORS[name];
  const shown = isColored && color !== undefined ? `\x1b[${color}m${label}\x1b[0m` : label;
  const clock = new Date(String(time)).toTimeString().slice(0, 8);
  const details = Object.entries(rest).map(([key, value]) => `  ${key}=${formatField(value)}`);
  return `${clock} ${shown} ${String(msg ?? '')}${details.join('')}\n`;
}

function formatField(value: unknown): string {
  if (isFields(value) && typeof value.message === 'string') return value.message;
  const isPlain = typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
  return isPlain ? value : JSON.stringify(value);
}
