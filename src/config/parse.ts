// TOML text -> plain values, and for every key and value the place where it stands.
//
//   1. parseTOML   toml-eslint-parser; a line it refuses is reported and blanked, then the rest is tried again
//   2. addTable    walks the tree once: values into tables, places into two maps

import { type AST, ParseError, parseTOML } from 'toml-eslint-parser';
import { CODE, FILE_START, type Place, type Report } from './diagnostic.js';
import { syntaxHint } from './hint.js';

export type Path = readonly (string | number)[];

/** A TOML table. Has no prototype: `__proto__` is a key like any other. */
export type Table = { [key: string]: unknown };

/** A key of a parsed file, the nodes that it and its value stand in, and what is below it. */
interface Mention {
  key?: AST.HasLocs;
  value?: AST.HasLocs;
  below?: Map<string | number, Mention>;
}

/** Where keys and values of a parsed file stand. */
export class Places {
  readonly #file: Mention = {};

  /** Notes a key's node, and its value's; the first mention of a key counts. */
  note(path: Path, key: AST.HasLocs, value: AST.HasLocs): void {
    let at = this.#file;
    for (const step of path) {
      at.below ??= new Map();
      const next = at.below.get(step) ?? {};
      at.below.set(step, next);
      at = next;
    }
    at.key ??= key;
    at.value ??= value;
  }

  /** Place of the last key of `path`, or of the nearest one around it. */
  key(path: Path): Place {
    return this.#place(path, 'key');
  }

  /** Place of the value at `path`, or of the nearest one around it. */
  value(path: Path): Place {
    return this.#place(path, 'value');
  }

  #place(path: Path, part: 'key' | 'value'): Place {
    let at: Mention | undefined = this.#file;
    let nearest: AST.HasLocs | undefined;
    for (const step of path) {
      at = at?.below?.get(step);
      nearest = at?.[part] ?? nearest;
    }
    return nearest === undefined ? FILE_START : placeOf(nearest);
  }
}

export interface Parsed {
  readonly root: Table;
  readonly places: Places;
  /** Lines were left out: what is missing may have stood there. */
  readonly partial: boolean;
}

/** Lines with syntax errors that are reported before giving up. */
const MAX_SYNTAX_ERRORS = 20;
/** Values nested deeper than any config needs; keeps the walk off the end of the stack. */
const MAX_DEPTH = 32;

/** A line that ends where a value should stand. */
const LACKS_VALUE = /^[^#]*=\s*$/;

/** Parses TOML 1.0. Syntax errors go to `report`. */
export function parse(text: string, report: Report): Parsed {
  const places = new Places();
  const root = newTable();
  const { program, partial } = parseLines(text, report);
  if (program === undefined) return { root, places, partial: true };

  for (const node of program.body[0].body) {
    if (node.type === 'TOMLKeyValue') addKeyValue(root, [], node, places, report);
    else addTable(root, node, places, report);
  }
  return { root, places, partial };
}

/** Parses `text`; a line with an error in it is blanked and the rest parsed again, so that all show at once. */
function parseLines(
  text: string,
  report: Report,
): { readonly program?: AST.TOMLProgram; readonly partial: boolean } {
  const lines = text.split('\n');
  for (let errors = 0; errors < MAX_SYNTAX_ERRORS; errors++) {
    try {
      return {
        program: parseTOML(lines.join('\n'), { tomlVersion: '1.0' }),
        partial: errors > 0,
      };
    } catch (error) {
      const place = syntaxErrorPlace(error, lines);
      report.add(CODE.syntax, place, ...syntaxMessage(error, lines, place));
      if (!leaveOut(lines, place.line - 1)) break;
    }
  }
  return { partial: true };
}

/**
 * Blanks the line with an error, or the whole table of a wrong heading. Returns false for a line that is part
 * of something longer: without it, the rest would show errors of its own.
 */
function leaveOut(lines: string[], index: number): boolean {
  const line = lines[index] ?? '';
  const isHeading = /^\s*\[/.test(line);
  if (!isHeading && !/^\s*([\w.'"-]+\s*=\s*[^[{]*|[\w-]+)\s*$/.test(line)) return false;
  lines[index] = '';
  for (let at = index + 1; isHeading && at < lines.length; at++) {
    if (/^\s*\[/.test(lines[at] ?? '')) break;
    lines[at] = '';
  }
  return true;
}

function syntaxErrorPlace(error: unknown, lines: readonly string[]): Place {
  if (!(error instanceof ParseError)) return FILE_START;
  let line = error.lineNumber;
  let column = error.column + 1;
  // What is missing at the end of a line is noticed at the start of the next one.
  if (/Expected equal|same line/.test(error.message) || isBehindEquals(line, column, lines)) {
    while (column === 1 && line > 1) {
      line--;
      column = (lines[line - 1] ?? '').trimEnd().length + 1;
    }
  }
  return { line, column, endLine: line, endColumn: column + 1 };
}

/** Whether the line before this place, but for empty ones, ends where a value should stand. */
function isBehindEquals(line: number, column: number, lines: readonly string[]): boolean {
  const before = lines.slice(0, line - 1).findLast((one) => one.trim() !== '') ?? '';
  return column === 1 && LACKS_VALUE.test(before);
}

function syntaxMessage(
  error: unknown,
  lines: readonly string[],
  place: Place,
): [message: string, hint?: string] {
  if (!(error instanceof ParseError)) return ['not TOML: a value is too long or nested too deep'];
  if (error.message.startsWith('Defining a key multiple times')) {
    return ['defined a second time', 'TOML allows each key and each table once'];
  }
  const message = `not TOML: ${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}`;
  const line = lines[place.line - 1] ?? '';
  if (LACKS_VALUE.test(line)) return ['not TOML: a value is missing', 'key = "value"'];
  const hint = syntaxHint(message, line.slice(0, place.column - 1), line);
  return hint === undefined ? [message] : [message, hint];
}

function newTable(): Table {
  return Object.create(null);
}

/** Whether a parsed value is a table. */
export function isTable(value: unknown): value is Table {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

/** `[a.b]` or `[[a.b]]` and what stands below it. */
function addTable(root: Table, node: AST.TOMLTable, places: Places, report: Report): void {
  let table = root;
  const names = keyNames(node.key);
  for (const [depth, step] of node.resolvedKey.entries()) {
    const path = node.resolvedKey.slice(0, depth + 1);
    places.note(path, names[Math.min(depth, names.length - 1)]?.node ?? node, node.key);
    if (typeof step === 'string') table = enter(table, step, node.resolvedKey[depth + 1]);
    else table = enterElement(table, node.resolvedKey[depth - 1], step);
  }
  for (const one of node.body) addKeyValue(table, node.resolvedKey, one, places, report);
}

/** The table at `key`; where an array of tables begins, the table that holds it. */
function enter(table: Table, key: string, next: string | number | undefined): Table {
  if (typeof next === 'number') return table;
  const found = table[key];
  if (isTable(found)) return found;
  const made = newTable();
  table[key] = made;
  return made;
}

function enterElement(holder: Table, key: string | number | undefined, index: number): Table {
  const name = String(key);
  const array: unknown[] = Array.isArray(holder[name]) ? holder[name] : [];
  holder[name] = array;
  const found: unknown = array[index];
  if (isTable(found)) return found;
  const made = newTable();
  array[index] = made;
  return made;
}

/** `a.b = value`, in a table that stands at `at`. */
function addKeyValue(
  table: Table,
  at: Path,
  node: AST.TOMLKeyValue,
  places: Places,
  report: Report,
): void {
  const names = keyNames(node.key);
  const last = names.pop();
  if (last === undefined) return;
  let path = at;
  let inner = table;
  for (const name of names) {
    path = [...path, name.text];
    places.note(path, name.node, node.key);
    inner = enter(inner, name.text, undefined);
  }
  path = [...path, last.text];
  places.note(path, last.node, node.value);
  inner[last.text] = readValue(node.value, path, places, report);
}

function readValue(node: AST.TOMLContentNode, path: Path, places: Places, report: Report): unknown {
  if (path.length > MAX_DEPTH) {
    report.add(CODE.type, placeOf(node), `values are nested deeper than ${MAX_DEPTH} levels`);
    return undefined;
  }
  switch (node.type) {
    case 'TOMLValue':
      return node.value;
    case 'TOMLArray':
      return node.elements.map((element, index) => {
        const inner = [...path, index];
        places.note(inner, element, element);
        return readValue(element, inner, places, report);
      });
    case 'TOMLInlineTable': {
      const table = newTable();
      for (const one of node.body) addKeyValue(table, path, one, places, report);
      return table;
    }
  }
}

function keyNames(key: AST.TOMLKey): { text: string; node: AST.TOMLBare | AST.TOMLQuoted }[] {
  return key.keys.map((node) => ({
    text: node.type === 'TOMLBare' ? node.name : node.value,
    node,
  }));
}

function placeOf(node: AST.HasLocs): Place {
  const { start, end } = node.loc;
  return {
    line: start.line,
    column: start.column + 1,
    endLine: end.line,
    endColumn: end.column + 1,
  };
}
