// What an RFC asks of a tunnel router, and how it stands with grebe.

export interface Rfc {
  readonly number: number;
  readonly title: string;
  readonly requirements: readonly Requirement[];
}

export interface Requirement {
  readonly section: string;
  readonly level: 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT' | 'MAY' | '–';
  readonly text: string;
  readonly state: State;
}

export type State =
  | { readonly done: readonly Evidence[] }
  /** Why not. */
  | { readonly not: string }
  /** Being built: the part of grebe that it belongs to. */
  | { readonly open: string }
  /** Whoever runs grebe decides it, or the host's IP stack does it. */
  | { readonly other: string };

/** Where a requirement is tested. */
export type Evidence =
  /** A test by file and name; `name` is the test's own, or for one made in a loop the part that stays. */
  | { readonly file: string; readonly name: string }
  /** A row of test/reference/strictness-rows.ts. */
  | { readonly row: string }
  /** An answer of src/codec/known-*.ts. */
  | { readonly answer: string }
  /** A packet of test/cases/hostile-packets.jsonl. */
  | { readonly packet: string };

export function done(...evidence: Evidence[]): State {
  return { done: evidence };
}

export function test(file: string, name: string): Evidence {
  return { file: `test/${file}.test.ts`, name };
}

export function row(packet: string): Evidence {
  return { row: packet };
}

export function answer(name: string): Evidence {
  return { answer: name };
}

export function packet(id: string): Evidence {
  return { packet: id };
}

/** One line of a table. */
export function requirement(
  section: string,
  level: Requirement['level'],
  text: string,
  state: State,
): Requirement {
  return { section, level, text, state };
}
