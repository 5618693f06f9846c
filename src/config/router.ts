import { resolve } from 'node:path';
import type { RouterConfig } from './config.js';
import { CODE, show } from './diagnostic.js';
import { isTable, type Table } from './parse.js';
import { readTable, type TablePlace } from './read.js';
import { logSchema, routerSchema } from './schema.js';

export const DEFAULT_SOCKET = '/run/grebe/grebe.sock';
/** Bytes of a unix socket's path without its final zero: sizeof sun_path - 1. */
const SOCKET_PATH_MAX = 107;

/** Reads `[router]`. Relative paths in it begin at `folder`, that of the config. */
export function readRouter(table: Table, folder: string, place: TablePlace): RouterConfig {
  const { places, report, path } = place;
  const { values } = readTable(routerSchema, table, place);
  const { codec = 'auto', underlay = 'auto', lanes = 1, metrics } = values;
  const ignored = (key: string, what: string): void => {
    const message = `${what} has no effect: this version does not act on it`;
    report.add(CODE.noEffect, places.key([...path, key]), message);
  };
  if (typeof lanes === 'number' && lanes > 1) ignored('lanes', `lanes = ${lanes}`);
  if (metrics !== undefined) ignored('metrics', 'metrics');

  const socket = resolve(folder, values.socket ?? DEFAULT_SOCKET);
  const size = Buffer.byteLength(socket);
  if (size > SOCKET_PATH_MAX) {
    const message = `the path of the socket is ${size} bytes long, at most ${SOCKET_PATH_MAX} fit: ${show(socket)}`;
    report.add(CODE.range, places.value([...path, 'socket']), message);
  }
  return {
    codec: /^[./]/.test(codec) ? resolve(folder, codec) : codec,
    underlay,
    lanes,
    socket,
    ...(metrics === undefined ? {} : { metrics }),
    log: readLog(values.log, place),
  };
}

function readLog(value: unknown, place: TablePlace): RouterConfig['log'] {
  const path = [...place.path, 'log'];
  const given = isTable(value) ? value : {};
  if (value !== undefined && !isTable(value)) {
    const message = `log must be a table such as { level = "info", format = "auto" }, not ${show(value)}`;
    place.report.add(CODE.type, place.places.value(path), message);
  }
  const { values } = readTable(logSchema, given, { ...place, path, title: 'log of [router]' });
  return { level: values.level ?? 'info', format: values.format ?? 'auto' };
}
