// What is wrong with a config file, and where.
//
//   parse, schema, check, conflict  ->  Report  ->  diagnostics  ->  format (a person) or JSON (an editor)
//
// Codes are stable: E1xx keeps the config from being used, W2xx does not.

export const CODE = {
  file: 'E100',
  syntax: 'E101',
  unknownKey: 'E102',
  type: 'E103',
  missing: 'E104',
  word: 'E105',
  unsupported: 'E106',
  range: 'E107',
  address: 'E108',
  prefix: 'E109',
  hostBits: 'E110',
  deviceName: 'E111',
  duplicateTunnel: 'E112',
  sameEndpoints: 'E113',
  endpoint: 'E114',
  greOnly: 'E115',
  family: 'E116',
  duplicateAddress: 'E117',
  wildcardConflict: 'E118',
  contradiction: 'E119',
  tooMany: 'E120',
  endpointFamily: 'E121',
  ttlWithoutDf: 'E122',
  ignoreDf: 'E123',
  multicastLocal: 'E124',
  ethernetRemote: 'E125',
  ipv6UnderlayOnly: 'E126',
  ipv4UnderlayOnly: 'E127',
  keepalive: 'E128',
  peersRemote: 'E129',
  reorder: 'E130',
  duplicatePeerRoute: 'E131',
  linkLocalDev: 'E132',
  hostName: 'E133',
  duplicateRoute: 'E134',
  ipv6UnderlayMtu: 'E135',
  udpOnly: 'E138',
  noEffect: 'W201',
  anyRemote: 'W202',
  overlap: 'W203',
  smallMtu: 'W204',
  noTunnels: 'W205',
  ownEndpoint: 'W206',
  routeLoop: 'W207',
  nothingAccepted: 'W208',
  redundant: 'W209',
  multicastDev: 'W210',
  probe: 'W211',
  apiAddress: 'W212',
} as const;

export type Code = (typeof CODE)[keyof typeof CODE];

/** A stretch of the file. Lines and columns begin at 1, columns count UTF-16 units, the end is exclusive. */
export interface Place {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** A place and what a diagnostic shows of it. */
export interface Spot extends Place {
  /** As the user wrote it. */
  readonly file: string;
  /** Text of `line`, for the code frame. */
  readonly source: string;
}

/** What is wrong with a config, and where. */
export interface Diagnostic extends Spot {
  readonly code: Code;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly hint?: string;
}

/** What is wrong with a value, before it has a place. */
export interface Fault {
  readonly code: Code;
  readonly message: string;
  readonly hint?: string;
}

/** Where a diagnostic about the whole file points. */
export const FILE_START: Place = { line: 1, column: 1, endLine: 1, endColumn: 1 };

/** Collects diagnostics of one file. */
export class Report {
  readonly #file: string;
  readonly #lines: readonly string[];
  readonly #found: Diagnostic[] = [];

  constructor(file: string, text: string) {
    this.#file = file;
    this.#lines = text.split(/\r?\n/);
  }

  /** Adds one; its code says whether it is an error or a warning. */
  add(code: Code, place: Place, message: string, hint?: string): void {
    this.#found.push({
      code,
      severity: code.startsWith('E') ? 'error' : 'warning',
      ...this.spot(place),
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  /** Adds one about a value. */
  addFault({ code, message, hint }: Fault, place: Place): void {
    this.add(code, place, message, hint);
  }

  /** A place with what a diagnostic needs, for one that comes after the report. */
  spot(place: Place): Spot {
    return { file: this.#file, ...place, source: this.#lines[place.line - 1] ?? '' };
  }

  get hasErrors(): boolean {
    return this.#found.some((one) => one.severity === 'error');
  }

  /** All of them in the order of the file. */
  sorted(): Diagnostic[] {
    return inFileOrder(this.#found);
  }
}

export function inFileOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...diagnostics].sort((a, b) => a.line - b.line || a.column - b.column);
}

export type Style = 'red' | 'yellow' | 'green' | 'dim' | 'bold';
export type Paint = (style: Style, text: string) => string;

const plain: Paint = (_style, text) => text;

/** Longest piece of a source line that a frame shows. */
const FRAME_WIDTH = 100;

/** One diagnostic as a person reads it: place, code, message, then the source line with a mark under the place. */
export function formatDiagnostic(diagnostic: Diagnostic, paint: Paint = plain): string {
  const { file, line, column, code, severity, message } = diagnostic;
  const word = severity === 'error' ? paint('red', 'error ') : paint('yellow', 'warn  ');
  return `${paint('bold', `${file}:${line}:${column}`)}  ${word} [${code}] ${message}\n${frame(diagnostic, paint)}`;
}

function frame(diagnostic: Diagnostic, paint: Paint): string {
  const { source, line, column, endLine, endColumn, hint, severity } = diagnostic;
  if (source.trim() === '') return hint === undefined ? '' : `     ${paint('dim', '=')} ${hint}\n`;
  // A long line is shown around the place. Tabs and control characters become one space each, so that
  // the mark stays under its place.
  const from = column > FRAME_WIDTH - 20 ? column - 20 : 0;
  const shown = source.slice(from, from + FRAME_WIDTH).replace(/\p{Cc}/gu, ' ');
  const start = column - 1 - from;
  const end = endLine > line ? source.length : endColumn - 1;
  const width = Math.max(1, Math.min(end - from, shown.length) - start);
  const mark = paint(severity === 'error' ? 'red' : 'yellow', '^'.repeat(width));
  const number = String(line).padStart(4);
  const bar = paint('dim', '│');
  const tail = hint === undefined ? '' : ` ${hint}`;
  return `${number} ${bar} ${shown}\n     ${bar} ${' '.repeat(start)}${mark}${tail}\n`;
}

/** `2 errors, 1 warning`. */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((one) => one.severity === 'error').length;
  const plural = (count: number, word: string): string =>
    `${count} ${word}${count === 1 ? '' : 's'}`;
  return `${plural(errors, 'error')}, ${plural(diagnostics.length - errors, 'warning')}`;
}

/** A value as a message shows it: short, quoted, without control characters. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'object' && value !== null) return 'a table';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}..."` : text;
}
