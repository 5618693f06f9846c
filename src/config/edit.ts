// One tunnel's table in the text of a config, changed where it stands: everything else stays as it is, comments and all.
//
//   1. parse    where tables and keys begin and end
//   2. splice   from the end of the file on, so that places stay right
//   3. judge    the result must be the config that was wanted, or the file is not touched
import { type AST, parseTOML } from 'toml-eslint-parser';
import { EXIT, Failure } from '../sys/failure.js';
import type { Config } from './config.js';
import { formatTable, type TableValues, tunnelTitle, tunnelValues } from './format.js';
import { parseConfig } from './load.js';

export interface TableEdit {
  readonly name: string;
  /** Keys with their values in TOML, undefined: to be dropped; null: the whole table goes. */
  readonly keys: ReadonlyMap<string, string | undefined> | null;
  /** All of the table, where the file has none. */
  readonly whole: TableValues;
}

interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Throws a Failure when the file is written in a way that this cannot change. */
export function editTable(text: string, file: string, edit: TableEdit): string {
  const before = parseConfig(Buffer.from(text), file);
  if (before.config === undefined) throw cannot(edit.name, file, 'the file has errors');
  const isThere = before.config.tunnels.some(({ name }) => name === edit.name);
  const edited = isThere
    ? splice(text, splicesOf(text, file, edit))
    : edit.keys === null
      ? text
      : append(text, edit);
  const after = parseConfig(Buffer.from(edited), file).config;
  if (after === undefined || !isWanted(before.config, after, edit)) {
    throw cannot(edit.name, file, 'its table is written in a way that is not understood here');
  }
  return edited;
}

function cannot(name: string, file: string, why: string): Failure {
  const hint = `write it there yourself: see grebe diff, and grebe tunnel show ${name}`;
  return new Failure(EXIT.failed, `tunnel ${name} cannot be saved in ${file}: ${why}`, hint);
}

/** Whether the edit did what it was to do, and nothing else. */
function isWanted(before: Config, after: Config, { name, keys, whole }: TableEdit): boolean {
  const others = ({ tunnels, router }: Config): string =>
    JSON.stringify([router, tunnels.filter((tunnel) => tunnel.name !== name)]);
  if (others(before) !== others(after)) return false;
  const found = after.tunnels.find((tunnel) => tunnel.name === name);
  if (keys === null || found === undefined) return keys === null && found === undefined;
  const values = tunnelValues(found);
  const wanted = parseConfig(Buffer.from(formatTable(tunnelTitle(name), whole)), '').config;
  const [running] = wanted?.tunnels ?? [];
  if (running === undefined) return false;
  const said = tunnelValues(running);
  return [...keys.keys()].every((key) => values.get(key) === said.get(key));
}

function append(text: string, { name, whole }: TableEdit): string {
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  const table = `${end}\n${formatTable(tunnelTitle(name), whole)}`;
  return text + (text.includes('\r\n') ? table.replaceAll('\n', '\r\n') : table);
}

function splice(text: string, splices: readonly Splice[]): string {
  const sorted = [...splices].sort((a, b) => b.from - a.from || b.to - a.to);
  return sorted.reduce(
    (edited, { from, to, text: put }) => edited.slice(0, from) + put + edited.slice(to),
    text,
  );
}

function splicesOf(text: string, file: string, edit: TableEdit): Splice[] {
  const mark = text.startsWith('\ufeff') ? 1 : 0;
  const [top] = parseTOML(text.slice(mark), { tomlVersion: '1.0' }).body;
  const tables = top.body.filter(
    (node): node is AST.TOMLTable => node.type === 'TOMLTable' && isOf(edit.name, node.resolvedKey),
  );
  const shift = (found: Splice): Splice => {
    return { ...found, from: found.from + mark, to: found.to + mark };
  };
  const source = text.slice(mark);
  if (edit.keys === null) return tables.map((table) => shift(wholeLines(source, table)));
  const main = tables.find((table) => table.resolvedKey.length === 2);
  if (main === undefined) throw cannot(edit.name, file, `it has no [${tunnelTitle(edit.name)}]`);
  const changed = [...edit.keys].flatMap(([key, value]) => keySplices(source, main, key, value));
  const added = [...edit.keys].flatMap(([key, value]) => {
    const isThere = main.body.some((node) => keyOf(node) === key);
    return value === undefined || isThere ? [] : `${key} = ${value}`;
  });
  return [...changed, ...(added.length === 0 ? [] : [insertion(source, main, added)])].map(shift);
}

function isOf(name: string, path: readonly (string | number)[]): boolean {
  return path[0] === 'tunnel' && path[1] === name;
}

/** The first name of a key: of `key.in` that is `key`. */
function keyOf({ key }: AST.TOMLKeyValue): string | undefined {
  const [first] = key.keys;
  return first?.type === 'TOMLBare' ? first.name : first?.value;
}

/** Another value in the place of a key's; where it is written in parts, in the place of the first of them. */
function keySplices(
  text: string,
  table: AST.TOMLTable,
  key: string,
  value: string | undefined,
): Splice[] {
  return table.body
    .filter((node) => keyOf(node) === key)
    .map((node, index): Splice => {
      if (value === undefined || index > 0) return wholeLines(text, node);
      const [from, to] = node.key.keys.length > 1 ? node.range : node.value.range;
      return { from, to, text: node.key.keys.length > 1 ? `${key} = ${value}` : value };
    });
}

function insertion(text: string, table: AST.TOMLTable, lines: readonly string[]): Splice {
  const last = table.body.at(-1) ?? table;
  const end = lineEnd(text, last.range[1]);
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  const isOpen = end === text.length && !text.endsWith('\n');
  const put = lines.map((line) => line + newline).join('');
  return { from: end, to: end, text: isOpen ? newline + put : put };
}

/** All lines that a node takes, with what stands behind it. */
function wholeLines(text: string, { range }: AST.TOMLNode): Splice {
  const from = text.lastIndexOf('\n', range[0] - 1) + 1;
  return { from, to: lineEnd(text, range[1]), text: '' };
}

/** Behind the line that `at` is in. */
function lineEnd(text: string, at: number): number {
  const newline = text.indexOf('\n', at);
  return newline < 0 ? text.length : newline + 1;
}
