import type { Mode } from '../packet/tunnel.js';
import type { Place } from './diagnostic.js';
import type { Path } from './parse.js';
import type { TablePlace } from './read.js';
import type { TunnelTable } from './schema.js';

/** The table of one tunnel under check. */
export interface Subject extends TablePlace {
  readonly values: TunnelTable;
  /** Keys that are present but wrong, already reported. */
  readonly wrong: ReadonlySet<string>;
  /** Absent when the table has none that is right. */
  readonly mode: Mode | undefined;
  /** Lines of the file are left out, so a missing key is no error. */
  readonly partial: boolean;
}

/** Whether `key` is neither there nor in what could not be read. */
export function isMissing({ values, wrong, partial }: Subject, key: keyof TunnelTable): boolean {
  return values[key] === undefined && !wrong.has(key) && !partial;
}

/** Where the value at `steps` of the table stands. */
export function valuePlace({ places, path }: Subject, ...steps: Path): Place {
  return places.value([...path, ...steps]);
}

/** Where the last key of `steps` stands. */
export function keyPlace({ places, path }: Subject, ...steps: Path): Place {
  return places.key([...path, ...steps]);
}
