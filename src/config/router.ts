import { resolve } from 'node:path';
import type { OffloadConfig, RouterConfig } from './config.js';
import { CODE, show } from './diagnostic.js';
import {
  formatListenAddress,
  isLoopback,
  type ListenAddress,
  parseListenAddress,
} from './listen-address.js';
import { isTable, type Table } from './parse.js';
import { readTable, type TablePlace } from './read.js';
import { readRecorder } from './recorder.js';
import { logSchema, offloadSchema, routerSchema } from './schema.js';

export const DEFAULT_SOCKET = '/run/grebe/grebe.sock';
/** Bytes of a unix socket's path without its final zero: sizeof sun_path - 1. */
const SOCKET_PATH_MAX = 107;

/** Reads `[router]`. Relative paths in it begin at `folder`, that of the config. */
export function readRouter(table: Table, folder: string, place: TablePlace): RouterConfig {
  const { places, report, path } = place;
  const { values } = readTable(routerSchema, table, place);
  const { codec = 'auto', underlay = 'auto', lanes = 1 } = values;
  const metrics = parseListenAddress(values.metrics ?? '');
  const api = readApi(values, place);

  const socket = resolve(folder, values.socket ?? DEFAULT_SOCKET);
  const size = Buffer.byteLength(socket);
  if (size > SOCKET_PATH_MAX) {
    const message = `the path of the socket is ${size} bytes long, at most ${SOCKET_PATH_MAX} fit: ${show(socket)}`;
    report.add(
      CODE.range,
      places.value([...path, 'socket']),
      message,
      `for instance ${DEFAULT_SOCKET}`,
    );
  }
  return {
    codec: /^[./]/.test(codec) ? resolve(folder, codec) : codec,
    underlay,
    lanes,
    offload: readOffload(values.offload, place),
    busypoll: values.busypoll ?? 0,
    recorder: readRecorder(values.recorder, folder, place),
    socket,
    ...(metrics === null ? {} : { metrics }),
    ...(api === null ? {} : { api }),
    log: readLog(values.log, place),
  };
}

/** Where the API listens. Says what an address that others reach means, and that a port has one listener. */
function readApi(
  {
    api: text = '',
    metrics,
  }: { readonly api?: string | undefined; readonly metrics?: string | undefined },
  { places, report, path }: TablePlace,
): ListenAddress | null {
  const api = parseListenAddress(text);
  if (api === null) return null;
  const at = places.value([...path, 'api']);
  const other = parseListenAddress(metrics ?? '');
  if (other !== null && formatListenAddress(other) === formatListenAddress(api)) {
    const message = `api and metrics are both ${show(text)}`;
    report.add(CODE.contradiction, at, message, 'api has /metrics, too: leave metrics out');
  }
  if (!isLoopback(api)) {
    const message = `api on ${show(text)}: whoever reaches it sees all tunnels, and the token passes in clear text`;
    report.add(
      CODE.apiAddress,
      at,
      message,
      `on this machine alone: api = "127.0.0.1:${api.port}"`,
    );
  }
  return api;
}

/** Everything is on; `ugro` and `gso` follow the underlay. */
const DEFAULT_OFFLOAD: OffloadConfig = {
  csum: true,
  tso4: true,
  tso6: true,
  uso4: true,
  uso6: true,
  gro: true,
};

function readOffload(value: unknown, place: TablePlace): OffloadConfig {
  const path = [...place.path, 'offload'];
  if (value !== undefined && !isTable(value)) {
    const message = `offload must be a table such as { gro = false }, not ${show(value)}`;
    place.report.add(
      CODE.type,
      place.places.value(path),
      message,
      'a switch for each offload: offload = { gro = false }',
    );
  }
  const given = isTable(value) ? value : {};
  const where = { ...place, path, title: 'offload of [router]' };
  const { values } = readTable(offloadSchema, given, where);
  const offload: OffloadConfig = {
    csum: values.csum ?? DEFAULT_OFFLOAD.csum,
    tso4: values.tso4 ?? DEFAULT_OFFLOAD.tso4,
    tso6: values.tso6 ?? DEFAULT_OFFLOAD.tso6,
    uso4: values.uso4 ?? DEFAULT_OFFLOAD.uso4,
    uso6: values.uso6 ?? DEFAULT_OFFLOAD.uso6,
    gro: values.gro ?? DEFAULT_OFFLOAD.gro,
    ...(values.ugro === undefined ? {} : { ugro: values.ugro }),
    ...(values.gso === undefined ? {} : { gso: values.gso }),
  };
  if (offload.uso4 !== offload.uso6) {
    const message = 'uso4 and uso6 must be the same: the kernel has both or neither';
    const hint = 'offload = { uso4 = false, uso6 = false } turns both off';
    place.report.add(CODE.contradiction, place.places.value(path), message, hint);
  }
  return offload;
}

function readLog(value: unknown, place: TablePlace): RouterConfig['log'] {
  const path = [...place.path, 'log'];
  const given = isTable(value) ? value : {};
  if (value !== undefined && !isTable(value)) {
    const message = `log must be a table such as { level = "info", format = "auto" }, not ${show(value)}`;
    const hint = typeof value === 'string' ? `log = { level = ${show(value)} }` : undefined;
    place.report.add(CODE.type, place.places.value(path), message, hint);
  }
  const { values } = readTable(logSchema, given, { ...place, path, title: 'log of [router]' });
  return { level: values.level ?? 'info', format: values.format ?? 'auto' };
}
