// What to put where in the text of a config, so that it says something else of one tunnel, and all the rest stays.
//
// A comment in the lines of a tunnel goes with the tunnel. Beside a key it stays, also when the key is dropped: on a line
// of its own then.
import type { AST } from 'toml-eslint-parser';
import { keyText, type TableValues } from './format.js';
import type { Entry, TunnelText } from './tunnel-text.js';

/** Other text in the place of what stands between `from` and `to`. */
export interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Keys with their values in TOML; undefined: to be dropped. */
export type KeyEdits = ReadonlyMap<string, string | undefined>;

/** Nodes with what is put into them; undefined: they go. */
type NodeEdits = ReadonlyMap<AST.TOMLKeyValue, Splice | undefined>;

/** Carries out `splices`, none of which touches another. */
export function splice(text: string, splices: readonly Splice[]): string {
  // From the end on, so that places stay right; what is put in at a place comes before what is taken away there.
  const sorted = [...splices].sort((a, b) => b.from - a.from || b.to - a.to);
  return sorted.reduce(
    (edited, { from, to, text: put }) => edited.slice(0, from) + put + edited.slice(to),
    text,
  );
}

/** Another tunnel behind those of `text`, whose last line has an end. */
export function addSplices(
  text: string,
  { around }: TunnelText,
  name: string,
  values: TableValues,
): Splice[] {
  const lines = [...values].map(([key, value]) => `${key} = ${value}`);
  if (around !== undefined) {
    return [itemSplice(text, around, new Map(), [`${keyText(name)} = { ${lines.join(', ')} }`])];
  }
  const end = text.length;
  const newline = newlineBefore(text, end);
  const table = [`[tunnel.${keyText(name)}]`, ...lines].map((line) => line + newline).join('');
  return [{ from: end, to: end, text: end === 0 ? table : newline + table }];
}

/** All that `text` says of the tunnel goes. */
export function removeSplices(text: string, { all, around }: TunnelText): Splice[] {
  const items = all.filter((node) => node.type === 'TOMLKeyValue');
  if (around !== undefined) {
    return [itemSplice(text, around, new Map(items.map((item) => [item, undefined])), [])];
  }
  return all.map((node) => ({ ...linesOf(text, node), text: '' }));
}

/** Other values of some keys. */
export function changeSplices(text: string, found: TunnelText, keys: KeyEdits): Splice[] {
  const { entries, headed, own } = found;
  const edits = new Map<AST.TOMLKeyValue, Splice | undefined>();
  const added = new Map<string, string>();
  for (const [key, value] of keys) {
    const [first, ...more] = entries.filter((entry) => entry.key === key);
    if (first !== undefined)
      edits.set(first.node, value === undefined ? undefined : put(first, value));
    else if (value !== undefined) added.set(key, value);
    for (const { node } of more) edits.set(node, undefined);
  }
  const last = entries.at(-1);
  const holder = last?.node.parent ?? own;
  if (holder?.type === 'TOMLInlineTable') {
    const items = [...added].map(([key, value]) => `${leadOf(text, last)}${key} = ${value}`);
    return [itemSplice(text, holder, edits, items), ...rescued(text, found, edits)];
  }
  const gone = headed.filter(({ key }) => keys.has(key)).map(({ table }) => table);
  const splices = [...edits].map(([node, edit]) => edit ?? commentsOf(text, found, node));
  return [
    ...gone.map((table) => commentsOf(text, found, table)),
    ...splices,
    ...rescued(text, found, edits),
    ...lineSplices(text, last, own, added),
  ];
}

/** Where it is written in parts, as `key.in`, one value comes in the place of this one. */
function put({ node, index }: Entry, value: string): Splice {
  const { keys } = node.key;
  const [from, to] = node.value.range;
  if (keys.length === index + 1) return { from, to, text: value };
  return { from: keys[index]?.range[1] ?? from, to, text: ` = ${value}` };
}

/** New keys, on lines behind the last one of the tunnel and written as that is. */
function lineSplices(
  text: string,
  last: Entry | undefined,
  own: AST.TOMLNode | undefined,
  added: TableValues,
): Splice[] {
  const node = last?.node ?? own;
  if (node === undefined || added.size === 0) return [];
  const end = lineEnd(text, node.range[1]);
  const start = lineStart(text, node.range[0]);
  const lead = last === undefined ? '' : text.slice(start, node.range[0]) + leadOf(text, last);
  const newline = newlineBefore(text, end);
  const lines = [...added].map(([key, value]) => `${lead}${key} = ${value}${newline}`);
  return [{ from: end, to: end, text: lines.join('') }];
}

/** What stands before the key, and leads to the tunnel: `tunnel.gre1.` of a dotted key. */
function leadOf(text: string, entry: Entry | undefined): string {
  if (entry === undefined) return '';
  const { node, index } = entry;
  return text.slice(node.range[0], node.key.keys[index]?.range[0] ?? node.range[0]);
}

/** An inline table with some items changed, and others behind them: all of it stays on its line (TOML 1.0). */
function itemSplice(
  text: string,
  { body, range: [from, to] }: AST.TOMLInlineTable,
  edits: NodeEdits,
  added: readonly string[],
): Splice {
  let items = '';
  for (const [index, node] of body.entries()) {
    const [start, end] = node.range;
    const edit = edits.get(node);
    if (edit === undefined && edits.has(node)) continue;
    if (items !== '') items += text.slice(body[index - 1]?.range[1], start);
    items += edit
      ? text.slice(start, edit.from) + edit.text + text.slice(edit.to, end)
      : text.slice(start, end);
  }
  for (const item of added) items += items === '' ? item : `, ${item}`;
  if (items === '') return { from, to, text: '{}' };
  const [open, close] = [body[0]?.range[0], body.at(-1)?.range[1]];
  const braces = [
    open === undefined ? '{ ' : text.slice(from, open),
    close === undefined ? ' }' : text.slice(close, to),
  ];
  return { from, to, text: braces.join(items) };
}

/** Comments inside of values that go: on lines above the one that they stood in. */
function rescued(text: string, found: TunnelText, edits: NodeEdits): Splice[] {
  return [...edits].flatMap(([node, edit]) => {
    if (edit === undefined && node.parent.type !== 'TOMLInlineTable') return [];
    const [from, to] = edit === undefined ? node.range : [edit.from, edit.to];
    const at = lineStart(text, statementOf(node).range[0]);
    const lines = commentLines(text, found, { from, to }, at);
    return lines === '' ? [] : { from: at, to: at, text: lines };
  });
}

/** What takes a line of its own, however deep `node` is in it. */
function statementOf(node: AST.TOMLKeyValue): AST.TOMLNode {
  let outermost: AST.TOMLNode = node;
  for (let at: AST.TOMLNode | null = node; at !== null; at = at.parent) {
    if (at.type === 'TOMLKeyValue') outermost = at;
  }
  return outermost;
}

/** Nothing but the comments in the place of a node's lines. */
function commentsOf(text: string, found: TunnelText, node: AST.TOMLNode): Splice {
  const lines = linesOf(text, node);
  return { ...lines, text: commentLines(text, found, lines, lines.from) };
}

/** The comments between two places, each on a line, which begins as that at `start`. */
function commentLines(
  text: string,
  { comments }: TunnelText,
  { from, to }: Pick<Splice, 'from' | 'to'>,
  start: number,
): string {
  const indent = /^[ \t]*/.exec(text.slice(start))?.[0] ?? '';
  const newline = newlineBefore(text, lineEnd(text, start));
  return comments
    .filter(({ range }) => range[0] >= from && range[1] <= to)
    .map(({ range }) => indent + text.slice(range[0], range[1]) + newline)
    .join('');
}

/** All lines that a node takes, with what stands behind it. */
function linesOf(text: string, { range }: AST.TOMLNode): Pick<Splice, 'from' | 'to'> {
  return { from: lineStart(text, range[0]), to: lineEnd(text, range[1]) };
}

function lineStart(text: string, at: number): number {
  return at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1;
}

/** Behind the line that `at` is in. */
function lineEnd(text: string, at: number): number {
  const newline = text.indexOf('\n', at);
  return newline < 0 ? text.length : newline + 1;
}

/** How the line that ends at `end` ends. */
function newlineBefore(text: string, end: number): string {
  return text.slice(0, end).endsWith('\r\n') ? '\r\n' : '\n';
}
