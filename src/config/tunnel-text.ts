// Where the text of a config says something of one tunnel. TOML has three forms for it:
//
//   table     [tunnel.gre1] with its keys below, one a line; some of them may be [tunnel.gre1.key]
//   dotted    tunnel.gre1.mode = "gre"; or below [tunnel]: gre1.mode = "gre"
//   inline    gre1 = { mode = "gre", ... }, in an inline table around it, too
import { type AST, parseTOML } from 'toml-eslint-parser';
import type { Path } from './parse.js';

/** A line, or an item of an inline table, that says something of a key of the tunnel. */
export interface Entry {
  readonly node: AST.TOMLKeyValue;
  readonly key: string;
  /** Which of the names in front of the equals sign is the key's: those before it lead to the tunnel. */
  readonly index: number;
}

/** What the text has of one tunnel. */
export interface TunnelText {
  readonly comments: readonly AST.Comment[];
  readonly entries: readonly Entry[];
  /** Keys that have a heading of their own. */
  readonly headed: readonly { readonly key: string; readonly table: AST.TOMLTable }[];
  /** What goes when the tunnel goes. */
  readonly all: readonly (AST.TOMLTable | AST.TOMLKeyValue)[];
  /** The table that has nothing but this tunnel in it. */
  readonly own?: AST.TOMLTable | AST.TOMLInlineTable;
  /** The table of all tunnels, where that is an inline one: no heading can add to it. */
  readonly around?: AST.TOMLInlineTable;
}

/** Finds tunnel `name` in `text`, which must be TOML. */
export function findTunnel(text: string, name: string): TunnelText {
  const { body, comments } = parseTOML(text, { tomlVersion: '1.0' });
  const found: Writable<TunnelText> = { comments, entries: [], headed: [], all: [] };
  for (const node of body[0].body) {
    if (node.type === 'TOMLKeyValue') visit(node, [], name, found);
    else visitTable(node, name, found);
  }
  return found;
}

type Writable<T> = {
  -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K];
};

function visitTable(table: AST.TOMLTable, name: string, found: Writable<TunnelText>): void {
  const [top, tunnel, key] = table.resolvedKey;
  if (top !== 'tunnel' || (tunnel !== undefined && tunnel !== name)) return;
  if (tunnel !== undefined) found.all.push(table);
  if (key !== undefined) {
    found.headed.push({ key: String(key), table });
    return;
  }
  if (tunnel !== undefined) found.own = table;
  for (const node of table.body) visit(node, table.resolvedKey, name, found);
}

/** `at`: where the names of the node's key begin. */
function visit(node: AST.TOMLKeyValue, at: Path, name: string, found: Writable<TunnelText>): void {
  const names = node.key.keys.map((one) => (one.type === 'TOMLBare' ? one.name : one.value));
  const path = [...at, ...names];
  const [top, tunnel, key] = path;
  if (top !== 'tunnel' || (tunnel !== undefined && tunnel !== name)) return;
  if (tunnel !== undefined && at.length < 2) found.all.push(node);
  if (key !== undefined) {
    found.entries.push({ node, key: String(key), index: 2 - at.length });
  } else if (node.value.type === 'TOMLInlineTable') {
    if (tunnel === undefined) found.around = node.value;
    else found.own = node.value;
    for (const one of node.value.body) visit(one, path, name, found);
  }
}
