// Lines that fit a terminal: made of parts, cut to its width before they are painted.

import type { Paint, Style } from '../../config/diagnostic.js';

/** Text, and how it is painted. */
export type Part = string | readonly [Style, string];
export type Line = readonly Part[];

/** A line cut to `columns`; an ellipsis shows that something is missing. */
export function fitLine(line: Line, columns: number, paint: Paint): string {
  const length = line.reduce((sum, part) => sum + textOf(part).length, 0);
  let left = length > columns ? Math.max(0, columns - 1) : columns;
  const parts = line.map((part) => {
    const text = textOf(part).slice(0, left);
    left -= text.length;
    return typeof part === 'string' ? text : paint(part[0], text);
  });
  return parts.join('') + (length > columns && columns > 0 ? '…' : '');
}

function textOf(part: Part): string {
  return typeof part === 'string' ? part : part[1];
}

const BLOCKS = '▁▂▃▄▅▆▇█';
const LETTERS = '_.,-=+*#';

/** `▁▂▅█▃`: values as bars, the largest as a full one. */
export function sparkline(values: readonly number[], isUnicode = hasUnicode()): string {
  const bars = isUnicode ? BLOCKS : LETTERS;
  const most = Math.max(...values, 1);
  return values
    .map((value) => bars[Math.min(bars.length - 1, Math.ceil((value / most) * (bars.length - 1)))])
    .join('');
}

/** Whether the locale says that the terminal shows more than ASCII. */
function hasUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || 'utf8');
}
