import type { z } from 'zod';
import { CODE, type Report, show } from './diagnostic.js';
import { exampleHint, unknownKeyHint, valueHint } from './hint.js';
import { didYouMean } from './nearest.js';
import { isTable, type Path, type Places, type Table } from './parse.js';
import { KEY_NOTES } from './schema.js';

/** A table read key by key. */
export interface ReadTable<T> {
  /** The keys that are present and right. */
  readonly values: T;
  /** Keys that are present but wrong: already reported, not to be taken for missing. */
  readonly wrong: ReadonlySet<string>;
}

/** Which table is read, and where it stands. */
export interface TablePlace {
  readonly path: Path;
  /** How messages name it: `[tunnel.gre1]`. */
  readonly title: string;
  readonly places: Places;
  readonly report: Report;
}

/** A zod schema of a table whose keys may all be absent. */
interface TableSchema<T> {
  readonly shape: { readonly [key: string]: z.ZodType };
  parse(value: unknown): T;
}

/** Judges each key of `table` on its own, so that one wrong value hides no other. */
export function readTable<T>(
  schema: TableSchema<T>,
  table: Table,
  where: TablePlace,
): ReadTable<T> {
  const right: Table = {};
  const wrong = new Set<string>();
  for (const [key, value] of Object.entries(table)) {
    const field = Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
    if (field === undefined) {
      reportUnknownKey(key, where, Object.keys(schema.shape));
      continue;
    }
    const judge = (isTable(value) ? KEY_NOTES[key]?.table : undefined) ?? field;
    const result = judge.safeParse(value);
    if (result.success) {
      right[key] = value;
      continue;
    }
    wrong.add(key);
    const reported = new Set<string>(); // one rule of a value may fail in several ways
    for (const issue of result.error.issues) {
      const at = issue.path.join('.');
      if (!reported.has(at)) reportIssue(issue, key, value, where);
      reported.add(at);
    }
  }
  return { values: schema.parse(right), wrong };
}

/** Says that `key` is none of `known`, with the nearest one that is. */
export function reportUnknownKey(key: string, where: TablePlace, known: readonly string[]): void {
  const { path, places, report, title } = where;
  const near = didYouMean(key, known);
  const message = `unknown key ${show(key)} in ${title}${near}`;
  const hint = unknownKeyHint(key) ?? (near === '' ? 'all keys: grebe schema' : undefined);
  report.add(CODE.unknownKey, places.key([...path, key]), message, hint);
}

/** One thing that zod found in the value of `key`. */
function reportIssue(
  issue: z.core.$ZodIssue,
  key: string,
  value: unknown,
  where: TablePlace,
): void {
  const inner = issue.path.filter((step) => typeof step !== 'symbol');
  const path = [...where.path, key, ...inner];
  const name = inner.reduce<string>(
    (text, step) => text + (typeof step === 'number' ? `[${step}]` : `.${step}`),
    key,
  );
  const note = KEY_NOTES[name] ?? KEY_NOTES[key];
  if (issue.code === 'unrecognized_keys') {
    const inside = { ...where, path, title: `${name} of ${where.title}` };
    const known = Object.keys((note?.table ?? note?.element)?.shape ?? {});
    for (const unknown of issue.keys) reportUnknownKey(unknown, inside, known);
    return;
  }
  const found = valueAt(value, inner);
  if (found === undefined) {
    const message = `${name} is missing: it must be ${issue.message}`;
    const hint = note?.example ?? exampleHint(name, issue.message);
    where.report.add(CODE.missing, where.places.key(path), message, hint);
    return;
  }
  const near = typeof found === 'string' ? didYouMean(found, note?.words ?? []) : '';
  where.report.add(
    note?.code ?? CODE.type,
    where.places.value(path),
    `${name} must be ${issue.message}, not ${show(found)}${near}`,
    near === ''
      ? (note?.hint?.(found) ?? valueHint(issue.message, found, note?.words) ?? note?.example)
      : note?.hint?.(found),
  );
}

function valueAt(value: unknown, path: Path): unknown {
  let found = value;
  for (const step of path) {
    if (Array.isArray(found)) found = found[Number(step)];
    else if (isTable(found)) found = found[step];
    else return undefined;
  }
  return found;
}
