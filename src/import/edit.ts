// `grebe tunnel add|change|replace|del`: the running config with one tunnel more, less, or different.
//
//   1. readWords   words on top of what is there
//   2. patch       the keys that they change, and no other: what words cannot say stays as it is
//   3. judge       the whole config again, by its own checks
import type { Config, TunnelConfig } from '../config/config.js';
import { formatTable, type TableValues, tunnelTitle, tunnelValues } from '../config/format.js';
import { parseConfig } from '../config/load.js';
import { EXIT, Failure } from '../sys/failure.js';
import { type Draft, type Note, Refusal } from './draft.js';
import { toTable } from './table.js';
import { draftOf, readWords } from './words.js';

export const VERBS = ['add', 'change', 'replace', 'del'] as const;
export type Verb = (typeof VERBS)[number];

export interface TunnelRequest {
  readonly verb: Verb;
  readonly name: string;
  readonly words: readonly string[];
}

/** What becomes of the table of a tunnel; a key without a value is dropped. */
export type TunnelPatch =
  | { readonly kind: 'add'; readonly values: TableValues }
  | { readonly kind: 'change'; readonly keys: ReadonlyMap<string, string | undefined> }
  | { readonly kind: 'remove' };

export interface TunnelEdit {
  readonly config: Config;
  readonly patch: TunnelPatch;
  /** Words that are not carried over. */
  readonly notes: readonly Note[];
}

/** Throws a Failure: words that are none, a tunnel that is not there or there already, a config that cannot be. */
export function editTunnels(running: Config, request: TunnelRequest): TunnelEdit {
  const { verb, name, words } = request;
  const old = running.tunnels.find((tunnel) => tunnel.name === name);
  if (old === undefined && (verb === 'change' || verb === 'del')) throw unknown(running, name);
  if (old !== undefined && verb === 'add') {
    const hint = `grebe tunnel change ${name} ..., or see it: grebe tunnel show ${name}`;
    throw new Failure(EXIT.failed, `tunnel ${name} is there already: EEXIST`, hint);
  }
  const notes: Note[] = [];
  const patch: TunnelPatch = verb === 'del' ? { kind: 'remove' } : patchOf(name, words, old, notes);
  return { config: applied(running, name, patch), patch, notes };
}

function unknown({ tunnels }: Config, name: string): Failure {
  const names = tunnels.map((tunnel) => tunnel.name);
  return new Failure(
    EXIT.noInput,
    `there is no tunnel ${JSON.stringify(name)}`,
    names.length === 0 ? 'the router has none' : `tunnels: ${names.join(', ')}`,
  );
}

function patchOf(
  name: string,
  words: readonly string[],
  old: TunnelConfig | undefined,
  notes: Note[],
): TunnelPatch {
  try {
    const draft = old && draftOf(old);
    const after = valuesOf(readWords(name, words, draft, notes), notes);
    if (draft === undefined) return { kind: 'add', values: after };
    const before = valuesOf(draft, []);
    const keys = [...new Set([...before.keys(), ...after.keys()])];
    const changed = keys.filter((key) => before.get(key) !== after.get(key));
    return { kind: 'change', keys: new Map(changed.map((key) => [key, after.get(key)])) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Failure(EXIT.usage, `tunnel ${name}: ${error.message}`, 'grebe tunnel --help');
  }
}

function valuesOf(draft: Draft, notes: Note[]): Map<string, string> {
  const table = toTable(draft, notes);
  if (!('values' in table)) throw new Refusal(`${table.words}: ${table.why}`);
  const values = new Map(
    [...table.values].map(([key, value]) => [
      key,
      typeof value === 'string' ? value : `[${value.join(', ')}]`,
    ]),
  );
  // The kernel makes a key of a group; here there is one where somebody says so.
  if (draft.keyIn === undefined && draft.keyOut === undefined) values.delete('key');
  return values;
}

/** The config with a patch of tunnel `name`. Throws a Failure with all that is wrong with it. */
function applied(running: Config, name: string, patch: TunnelPatch): Config {
  const tables = running.tunnels.map((tunnel) => [tunnel.name, tunnelValues(tunnel)] as const);
  const text = patchTables(tables, name, patch)
    .map(([title, values]) => formatTable(tunnelTitle(title), values))
    .join('\n');
  const { config, diagnostics } = parseConfig(Buffer.from(text), running.file);
  if (config !== undefined) return { ...running, tunnels: config.tunnels };
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  throw new Failure(
    EXIT.config,
    errors.map(({ code, message }) => `[${code}] ${message}`).join('; '),
    first?.hint,
  );
}

function patchTables(
  tables: readonly (readonly [string, TableValues])[],
  name: string,
  patch: TunnelPatch,
): (readonly [string, TableValues])[] {
  switch (patch.kind) {
    case 'add':
      return [...tables, [name, patch.values]];
    case 'remove':
      return tables.filter(([title]) => title !== name);
    case 'change':
      return tables.map(([title, values]) => {
        return title === name ? [title, patched(values, patch.keys)] : [title, values];
      });
  }
}

/** `values` with what `keys` say instead. */
function patched(values: TableValues, keys: ReadonlyMap<string, string | undefined>): TableValues {
  const after = new Map(values);
  for (const [key, value] of keys) {
    if (value === undefined) after.delete(key);
    else after.set(key, value);
  }
  return after;
}
