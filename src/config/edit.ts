// One tunnel in the text of a config, changed where it stands: everything else stays as it is, comments and all.
//
//   1. find     where the tunnel stands, in whatever form
//   2. splice   from the end of the file on, so that places stay right
//   3. judge    the result must be the config that was wanted, or the file is not touched
import { EXIT, Failure } from '../sys/failure.js';
import type { Config, TunnelConfig } from './config.js';
import { formatTable, type TableValues, tunnelTitle, tunnelValues } from './format.js';
import { parseConfig } from './load.js';
import {
  addSplices,
  changeSplices,
  type KeyEdits,
  removeSplices,
  type Splice,
  splice,
} from './splices.js';
import { findTunnel, type TunnelText } from './tunnel-text.js';

/** What the file is to say of a tunnel. */
export type TextEdit = { readonly name: string } & (
  | { readonly kind: 'remove' }
  /** Just these, whatever the file had. */
  | { readonly kind: 'set'; readonly values: TableValues }
  /** Some keys; `values`: all of them, where the file does not have the tunnel. */
  | { readonly kind: 'change'; readonly keys: KeyEdits; readonly values: TableValues }
);

/** Throws a Failure when the file is written in a way that this cannot change. */
export function editTunnel(text: string, file: string, edit: TextEdit): string {
  const before = parseConfig(Buffer.from(text), file).config;
  if (before === undefined) {
    throw cannot(edit.name, file, 'the file has errors', `see them: grebe check ${file}`);
  }
  const was = before.tunnels.find(({ name }) => name === edit.name);
  const wanted = wantedValues(edit, was);
  // Keys that are written with their default value may have another one beside other keys: then they go, too.
  for (const isStrict of [false, true]) {
    const edited = inLines(text, (lines) => {
      const found = findTunnel(lines, edit.name);
      return splice(lines, splicesOf(lines, found, { name: edit.name, was, wanted, isStrict }));
    });
    const after = parseConfig(Buffer.from(edited), file).config;
    if (after !== undefined && isWanted(before, after, edit.name, wanted)) return edited;
  }
  const hint = `write it there yourself: see grebe diff, and grebe tunnel show ${edit.name}`;
  throw cannot(edit.name, file, 'it is written there in a way that is not understood here', hint);
}

function cannot(name: string, file: string, why: string, hint: string): Failure {
  return new Failure(EXIT.failed, `tunnel ${name} cannot be saved in ${file}: ${why}`, hint);
}

/** What the file is to say of the tunnel in the end; undefined: nothing. */
function wantedValues(edit: TextEdit, was: TunnelConfig | undefined): TableValues | undefined {
  if (edit.kind === 'remove') return undefined;
  if (edit.kind === 'set' || was === undefined) return edit.values;
  const values = new Map(tunnelValues(was));
  for (const [key, value] of edit.keys) {
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }
  return values;
}

/** Edits the text between a byte order mark and an end of the last line that may be missing. */
function inLines(text: string, edit: (lines: string) => string): string {
  const mark = text.startsWith('\ufeff') ? '\ufeff' : '';
  const lines = text.slice(mark.length);
  if (lines === '' || lines.endsWith('\n')) return mark + edit(lines);
  const newline = lines.includes('\r\n') ? '\r\n' : '\n';
  const edited = edit(lines + newline);
  return mark + (edited.endsWith(newline) ? edited.slice(0, -newline.length) : edited);
}

interface Wish {
  readonly name: string;
  readonly was: TunnelConfig | undefined;
  readonly wanted: TableValues | undefined;
  readonly isStrict: boolean;
}

function splicesOf(
  text: string,
  found: TunnelText,
  { name, was, wanted, isStrict }: Wish,
): Splice[] {
  if (wanted === undefined) return was === undefined ? [] : removeSplices(text, found);
  if (was === undefined) return addSplices(text, found, name, wanted);
  const old = tunnelValues(was);
  const written = isStrict ? [...found.entries, ...found.headed].map(({ key }) => key) : [];
  const keys = [...new Set([...old.keys(), ...wanted.keys(), ...written])]
    .filter((key) => old.get(key) !== wanted.get(key) || !wanted.has(key))
    .map((key) => [key, wanted.get(key)] as const);
  return changeSplices(text, found, new Map(keys));
}

/** Whether the edit did what it was to do, and nothing else. */
function isWanted(
  before: Config,
  after: Config,
  name: string,
  wanted: TableValues | undefined,
): boolean {
  const others = ({ tunnels, router }: Config): string =>
    JSON.stringify([router, tunnels.filter((tunnel) => tunnel.name !== name)]);
  if (others(before) !== others(after)) return false;
  const found = after.tunnels.find((tunnel) => tunnel.name === name);
  if (found === undefined || wanted === undefined) return found === wanted;
  const table = formatTable(tunnelTitle(name), wanted);
  const tunnel = parseConfig(Buffer.from(table), '').config?.tunnels[0];
  return tunnel !== undefined && textOf(tunnelValues(found)) === textOf(tunnelValues(tunnel));
}

/** Alike tunnels have the same. */
function textOf(values: TableValues): string {
  return JSON.stringify([...values]);
}
