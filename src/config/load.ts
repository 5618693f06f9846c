// A config file -> Config, or everything that is wrong with it.
//
//   1. readBytes      the file, which must be UTF-8
//   2. parse          TOML with places
//   3. readRouter     [router]
//   4. checkTunnel    each [tunnel.NAME]
//   5. checkConflicts all tunnels together

import { isUtf8 } from 'node:buffer';
import { closeSync, openSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { TUNNEL_CAPACITY } from '../../asm/layout.js';
import { EXIT, Failure } from '../sys/failure.js';
import { checkTunnel, type TunnelDraft } from './check.js';
import type { Config } from './config.js';
import { checkConflicts } from './conflict.js';
import {
  CODE,
  countDiagnostics,
  type Diagnostic,
  FILE_START,
  formatDiagnostic,
  Report,
} from './diagnostic.js';
import type { PlacedName } from './names.js';
import { isTable, type Parsed, parse } from './parse.js';
import { reportUnknownKey } from './read.js';
import { readRouter } from './router.js';

export const DEFAULT_CONFIG_FILE = '/etc/grebe/grebe.toml';

/** A config that was read, and what is wrong with it. */
export interface LoadedConfig {
  /** Absent when there is an error. */
  readonly config?: Config;
  readonly diagnostics: readonly Diagnostic[];
  /** Remotes that are host names: whether they stand for something, `checkNames` finds out. */
  readonly names: readonly PlacedName[];
  /** Whether its last line has a line end: while somebody writes it, it rarely has. */
  readonly hasLineEnd: boolean;
  /** Nothing is in it but comments. */
  readonly isEmpty: boolean;
}

/** Largest config: ten thousand tunnels with every key fit several times. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Reads and judges `file`. Throws a Failure when it cannot be read; what is wrong inside is a diagnostic. */
export function loadConfig(file: string): LoadedConfig {
  const bytes = readBytes(file);
  return parseConfig(bytes, file);
}

/** Like `loadConfig`; a config with errors throws a Failure that holds all of them. */
export function loadConfigOrFail(file: string): Config {
  return configOrFail(loadConfig(file), file);
}

/** The config of `file` that was read; without one a Failure that holds all errors. */
export function configOrFail({ config, diagnostics }: LoadedConfig, file: string): Config {
  if (config !== undefined) return config;
  const shown = diagnostics.map((one) => formatDiagnostic(one)).join('');
  throw new Failure(
    EXIT.config,
    `${shown}${file}: ${countDiagnostics(diagnostics)}`,
    `after a change: grebe check ${file}`,
  );
}

/** Judges the bytes of a config. `file` is the name that diagnostics show; relative paths begin at its folder. */
export function parseConfig(bytes: Uint8Array, file: string): LoadedConfig {
  const text = Buffer.from(bytes)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  const report = new Report(file, text);
  const hasLineEnd = text.endsWith('\n');
  if (bytes.length > MAX_BYTES) {
    report.add(CODE.file, FILE_START, `larger than ${MAX_BYTES >> 20} MiB`);
    return { diagnostics: report.sorted(), names: [], hasLineEnd, isEmpty: false };
  }
  if (!isUtf8(bytes)) {
    reportEncoding(bytes, report);
    return { diagnostics: report.sorted(), names: [], hasLineEnd, isEmpty: false };
  }
  const parsed = parse(text, report);
  const { config, names } = readConfig(parsed, file, report);
  const diagnostics = report.sorted();
  const isEmpty = !parsed.partial && Object.keys(parsed.root).length === 0;
  const loaded = { diagnostics, names, hasLineEnd, isEmpty };
  return report.hasErrors ? loaded : { config, ...loaded };
}

function readBytes(file: string): Uint8Array {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    const chunks: Buffer[] = [];
    // One byte past the limit tells a file that is too large, also where nobody knows its size (a pipe).
    for (let left = MAX_BYTES + 1; left > 0; ) {
      const chunk = Buffer.allocUnsafe(Math.min(left, 1 << 20));
      const length = readSync(fd, chunk, 0, chunk.length, null);
      if (length === 0) break;
      chunks.push(chunk.subarray(0, length));
      left -= length;
    }
    return Buffer.concat(chunks);
  } catch (error) {
    throw new Failure(
      EXIT.noInput,
      `cannot read the config ${file}: ${cause(error)}`,
      hintFor(file),
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function cause(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EISDIR':
      return 'it is a directory';
    case 'EACCES':
    case 'EPERM':
      return 'reading it is not permitted';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function hintFor(file: string): string {
  return file === DEFAULT_CONFIG_FILE
    ? 'name another with --config FILE'
    : `see what is there: ls -l ${dirname(file)}`;
}

/** Points at the first byte that is no UTF-8. */
function reportEncoding(bytes: Uint8Array, report: Report): void {
  let start = 0;
  for (let line = 1; start <= bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    const content = bytes.subarray(start, end);
    if (!isUtf8(content)) {
      const column = validColumns(content) + 1;
      const place = { line, column, endLine: line, endColumn: column + 1 };
      report.add(CODE.file, place, 'not UTF-8 from here on', 'save the file as UTF-8');
      return;
    }
    start = end + 1;
  }
}

/** UTF-16 units before the first byte of `line` that is no UTF-8. */
function validColumns(line: Uint8Array): number {
  const text = Buffer.from(line).toString('utf8');
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', at + 1)) {
    const before = Buffer.byteLength(text.slice(0, at));
    const isWritten = Buffer.from(line.subarray(before, before + 3)).toString('hex') === 'efbfbd';
    if (!isWritten) return at;
  }
  return text.length;
}

function readConfig(
  { root, places, partial }: Parsed,
  file: string,
  report: Report,
): { readonly config: Config; readonly names: readonly PlacedName[] } {
  const top = { path: [], title: 'the file', places, report };
  for (const [key, value] of Object.entries(root)) {
    if (key !== 'router' && key !== 'tunnel') reportUnknownKey(key, top, ['router', 'tunnel']);
    else if (!isTable(value)) {
      const form = key === 'router' ? '[router]' : '[tunnel.NAME]';
      const hint = Array.isArray(value)
        ? `in single brackets: ${form}`
        : 'a heading on a line of its own, its keys below it';
      report.add(CODE.type, places.key([key]), `${key} must be a table: ${form}`, hint);
    }
  }
  const router = readRouter(isTable(root.router) ? root.router : {}, resolve(dirname(file)), {
    ...top,
    path: ['router'],
    title: '[router]',
  });
  const drafts: TunnelDraft[] = [];
  for (const [name, table] of Object.entries(isTable(root.tunnel) ? root.tunnel : {})) {
    const path = ['tunnel', name];
    const title = `[tunnel.${/^[\w-]+$/.test(name) ? name : JSON.stringify(name)}]`;
    if (isTable(table)) drafts.push(checkTunnel(name, table, { ...top, path, title }, partial));
    else {
      const message = `tunnel.${name} must be a table: ${title}`;
      const hint = 'a heading on a line of its own, its keys below it';
      report.add(CODE.type, places.key(path), message, hint);
    }
  }
  checkCount(drafts, partial, report);
  checkConflicts(drafts, report);
  return {
    config: { file, router, tunnels: drafts.map((draft) => draft.config) },
    names: drafts.flatMap((draft) => draft.names),
  };
}

function checkCount(drafts: readonly TunnelDraft[], partial: boolean, report: Report): void {
  const most = TUNNEL_CAPACITY - 1; // record 0 stands for no tunnel
  const excess = drafts[most];
  if (excess !== undefined) {
    report.add(CODE.tooMany, excess.place, `${drafts.length} tunnels: at most ${most} fit`);
  }
  if (drafts.length === 0 && !partial && !report.hasErrors) {
    report.add(CODE.noTunnels, FILE_START, 'no tunnels in this file', 'add one: [tunnel.gre1]');
  }
}
