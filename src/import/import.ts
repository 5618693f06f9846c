// Lines of ip(8) -> a config that grebe takes, with a comment for whatever it does not hold.
//
//   1. readInput     words to drafts
//   2. toTable       drafts to tables
//   3. judge         the config's own checks: what they refuse leaves the tables, with their words as the reason
//   4. format        tables and notes as TOML

import type { Diagnostic } from '../config/diagnostic.js';
import { parseConfig } from '../config/load.js';
import { tunnelOf } from '../config/tunnel.js';
import type { Note } from './draft.js';
import { type RefusedLine, readInput } from './input.js';
import { type TunnelTable, text, toTable } from './table.js';

export interface ImportResult {
  /** A config; empty when something was refused. */
  readonly toml: string;
  /** Names of its tunnels. */
  readonly tunnels: readonly string[];
  /** What did not become part of it. */
  readonly notes: readonly Note[];
  /** Tunnels that are not in it at all. */
  readonly lost: readonly Note[];
  readonly refused: readonly RefusedLine[];
}

export interface ImportOptions {
  /** An MTU that is what the config's default is for Ethernet was not chosen by anybody: it is left out. */
  readonly isMeasured?: boolean;
}

export function importLines(input: string, options: ImportOptions = {}): ImportResult {
  const { drafts, notes: read, refused } = readInput(input);
  if (refused.length > 0) return { toml: '', tunnels: [], notes: read, lost: [], refused };
  const notes = [...read];
  const lost: Note[] = [];
  const tables: TunnelTable[] = [];
  for (const draft of drafts) {
    const table = toTable(draft, notes);
    if ('values' in table) tables.push(table);
    else lost.push({ line: draft.line, tunnel: draft.name, ...table });
  }
  judge(tables, notes, lost);
  if (options.isMeasured) dropDefaultMtus(tables);
  notes.sort((a, b) => a.line - b.line);
  return {
    toml: format(tables, notes, lost),
    tunnels: tables.map(({ name }) => name),
    notes,
    lost,
    refused,
  };
}

/** Keys without which a table is no tunnel. */
const VITAL = ['mode', 'local', 'remote'];

/** Takes out of the tables what the config's checks refuse, until nothing is refused. */
function judge(tables: TunnelTable[], notes: Note[], lost: Note[]): void {
  for (;;) {
    const { lines, toml } = layOut(tables);
    const { diagnostics } = parseConfig(Buffer.from(toml), 'import');
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    if (errors.length === 0) return;
    // From the last one on, so that places in lists stay right.
    for (const error of errors.reverse()) {
      const spot = lines[error.line - 1];
      if (spot === undefined) throw new Error(`import made a wrong config: ${error.message}`);
      takeOut(spot, error, { tables, notes, lost });
    }
  }
}

/** What a line of the laid out config holds. */
interface Spot {
  readonly table: TunnelTable;
  /** Absent: its heading. */
  readonly key?: string;
  /** First columns of a list's elements. */
  readonly columns?: readonly number[];
}

function takeOut(
  { table, key, columns }: Spot,
  { message, column }: Diagnostic,
  { tables, notes, lost }: { tables: TunnelTable[]; notes: Note[]; lost: Note[] },
): void {
  const { name: tunnel, line, values, origins } = table;
  if (!tables.includes(table)) return;
  if (key === undefined || VITAL.includes(key)) {
    tables.splice(tables.indexOf(table), 1);
    lost.push({
      line,
      words: key === undefined ? tunnel : `${key} ${values.get(key)}`,
      why: message,
      tunnel,
    });
    return;
  }
  const value = values.get(key);
  if (value === undefined) return;
  if (typeof value === 'string') {
    const words = `${key} = ${value}`;
    notes.push({ line: origins.get(key) ?? line, words, why: message, tunnel });
    values.delete(key);
    return;
  }
  const index = Math.max(0, columns?.findLastIndex((start) => start <= column) ?? 0);
  const [element = ''] = value.splice(index, 1);
  if (value.length === 0) values.delete(key);
  const from = origins.get(element.slice(1, -1)) ?? line;
  notes.push({ line: from, words: `${key} ${element}`, why: message, tunnel });
}

/** The tables as a config without comments, and what each of its lines holds. */
function layOut(tables: readonly TunnelTable[]): { toml: string; lines: readonly Spot[] } {
  const lines: Spot[] = [];
  let toml = '';
  for (const table of tables) {
    toml += `${heading(table)}\n`;
    lines.push({ table });
    for (const [key, value] of table.values) {
      toml += `${key} = ${written(value)}\n`;
      lines.push({
        table,
        key,
        ...(typeof value === 'string' ? {} : { columns: columns(key, value) }),
      });
    }
  }
  return { toml, lines };
}

function columns(key: string, elements: readonly string[]): number[] {
  let next = key.length + ' = ['.length + 1;
  return elements.map((element) => {
    const start = next;
    next += element.length + ', '.length;
    return start;
  });
}

function dropDefaultMtus(tables: readonly TunnelTable[]): void {
  const { config } = parseConfig(Buffer.from(layOut(tables).toml), 'import');
  for (const { mtu, ...rest } of config?.tunnels ?? []) {
    if (mtu !== tunnelOf(rest).mtu) continue;
    tables.find(({ name }) => name === rest.name)?.values.delete('mtu');
  }
}

const PREFACE = `# From lines of ip(8), by grebe import. What the kernel does by default and grebe does not is written out:
#   ttl, tos    the kernel copies the TTL and sends TOS 0, or hop limit 64 and class 0 over IPv6
#   encaplimit  the kernel sends an encapsulation limit of 4 over IPv6
#   allow       the kernel takes every inner sender; without this line grebe takes those of routes and address
`;

function format(
  tables: readonly TunnelTable[],
  notes: readonly Note[],
  lost: readonly Note[],
): string {
  const names = new Set(tables.map(({ name }) => name));
  let toml = PREFACE;
  for (const table of tables) {
    toml += `\n${heading(table)}\n`;
    for (const one of notes.filter(({ tunnel }) => tunnel === table.name))
      toml += comment(formatNote(one));
    for (const [key, value] of table.values) toml += `${key} = ${written(value)}\n`;
  }
  const others = notes.filter(({ tunnel }) => tunnel === undefined || !names.has(tunnel));
  if (lost.length + others.length > 0) toml += '\n';
  for (const one of lost) toml += comment(formatLost(one));
  for (const one of others) toml += comment(formatNote(one));
  return toml;
}

/** A note for a person. */
export function formatNote({ line, words, why }: Note): string {
  return `${place(line)}${words}: ${why}`;
}

export function formatLost({ line, words, why, tunnel }: Note): string {
  return `${place(line)}${tunnel} is not carried over: ${words}: ${why}`;
}

function place(line: number): string {
  return line === 0 ? '' : `line ${line}: `;
}

/** One line of a comment, whatever is in it. */
function comment(line: string): string {
  return `# ${line.replace(/\p{Cc}+/gu, ' ')}\n`;
}

function heading({ name }: TunnelTable): string {
  return `[tunnel.${/^[\w-]+$/.test(name) ? name : text(name)}]`;
}

function written(value: string | readonly string[]): string {
  return typeof value === 'string' ? value : `[${value.join(', ')}]`;
}
