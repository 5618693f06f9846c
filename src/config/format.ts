// A config -> TOML: what `readRouter` and `checkTunnel` make of it is the same config again. Keys with their default
// value are left out, so two tables are alike exactly when their values are.

import { formatPrefix, network } from '../packet/address.js';
import { carries, type Prefix } from '../packet/tunnel.js';
import type { Config, Keepalive, Probe, RouterConfig, TunnelConfig } from './config.js';
import { formatListenAddress } from './listen-address.js';

/** Keys of one table as they are written in the file, with their values in TOML. */
export type TableValues = ReadonlyMap<string, string>;

/** All of a config, without the defaults and without comments. */
export function formatConfig({ router, tunnels }: Config): string {
  const own = tunnels.map((tunnel) => formatTable(tunnelTitle(tunnel.name), tunnelValues(tunnel)));
  return [formatTable('router', routerValues(router)), ...own].join('\n');
}

/** `[NAME]` and its lines. */
export function formatTable(name: string, values: TableValues): string {
  const lines = [...values].map(([key, value]) => `${key} = ${value}\n`);
  return `[${name}]\n${lines.join('')}`;
}

/** What stands in the heading of a tunnel's table. */
export function tunnelTitle(name: string): string {
  return `tunnel.${keyText(name)}`;
}

/** A name as a key is written: bare, or in quotes. */
export function keyText(name: string): string {
  return /^[\w-]+$/.test(name) ? name : text(name);
}

/** What the `[tunnel.NAME]` of a tunnel says. */
export function tunnelValues(config: TunnelConfig): TableValues {
  const values = new Map<string, string>();
  const set = (key: string, value: string | undefined): void => {
    if (value !== undefined) values.set(key, value);
  };
  set('mode', text(config.mode));
  set('local', unless(config.local, 'any', text));
  set('remote', text(config.remote));
  set('key', pair(numberText(config.keyIn), numberText(config.keyOut)));
  set('csum', pair(flagText(config.checksumIn), flagText(config.checksumOut)));
  set('seq', pair(flagText(config.sequenceIn), flagText(config.sequenceOut)));
  set('reorder', config.reorder && reorderText(config.reorder));
  set('ttl', arrival(unless(config.ttl, 64, wordOrNumber), config.ttlIn));
  set('tos', arrival(unless(config.tos, 'inherit', tosText), config.tosIn));
  set('ecn', unless(config.ecn, 'normal', text));
  set('pmtudisc', unless(config.pmtudisc, true, String));
  set('ignore-df', flagText(config.ignoreDf));
  set('encaplimit', numberText(config.encapLimit));
  set('flowlabel', unless(config.flowLabel, 0, wordOrNumber));
  set('sport', config.sourcePort === undefined ? undefined : wordOrNumber(config.sourcePort));
  set('mtu', numberText(config.mtu));
  set('mss', unless(config.mss, 'auto', wordOrNumber));
  set('dev', config.dev === undefined ? undefined : text(config.dev));
  set('address', prefixes(config.address));
  set('routes', prefixes(config.routes));
  set('allow', allowText(config));
  set('profile', unless(config.profile, 'rfc', text));
  set('keepalive', config.keepalive && `{ ${questionText(config.keepalive)} }`);
  set('probe', config.probe && probeText(config.probe));
  set('reflect', flagText(config.reflect));
  set('peers', peersText(config));
  return values;
}

/** What `[router]` says. */
export function routerValues(router: RouterConfig): TableValues {
  const { offload, log, metrics, api } = router;
  const values = new Map<string, string>();
  values.set('codec', text(router.codec));
  values.set('underlay', text(router.underlay));
  values.set('lanes', wordOrNumber(router.lanes));
  values.set('offload', table(offload));
  values.set('busypoll', String(router.busypoll));
  values.set('recorder', table(router.recorder));
  values.set('socket', text(router.socket));
  if (metrics !== undefined) values.set('metrics', text(formatListenAddress(metrics)));
  if (api !== undefined) values.set('api', text(formatListenAddress(api)));
  values.set('log', table(log));
  return values;
}

/** A basic string of TOML; JSON escapes the same way. */
function text(value: string): string {
  return JSON.stringify(value);
}

function unless<T>(value: T, usual: T, show: (value: T) => string): string | undefined {
  return value === usual ? undefined : show(value);
}

function wordOrNumber(value: string | number): string {
  return typeof value === 'number' ? String(value) : text(value);
}

function tosText(tos: TunnelConfig['tos']): string {
  return typeof tos === 'number' ? `0x${tos.toString(16).padStart(2, '0')}` : text(tos);
}

function numberText(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

function flagText(isOn: boolean): string | undefined {
  return isOn ? 'true' : undefined;
}

/** One value where both ways have the same. */
function pair(into: string | undefined, out: string | undefined): string | undefined {
  if (into === out) return into;
  const parts = [into === undefined ? '' : `in = ${into}`, out === undefined ? '' : `out = ${out}`];
  return `{ ${parts.filter((part) => part !== '').join(', ')} }`;
}

function arrival(out: string | undefined, into: TunnelConfig['ttlIn']): string | undefined {
  return into === 'keep' ? out : pair(text(into), out);
}

function reorderText({ packets, timeMs }: NonNullable<TunnelConfig['reorder']>): string {
  return `{ packets = ${packets}, time = ${time(timeMs)} }`;
}

function questionText({ intervalMs, count }: Keepalive): string {
  return `interval = ${time(intervalMs)}, count = ${count}`;
}

function probeText({ target, size, ...question }: Probe): string {
  const length = size === undefined ? '' : `, size = ${size}`;
  return `{ target = ${text(target)}, ${questionText(question)}${length} }`;
}

/** In the largest unit that has it whole. */
function time(ms: number): string {
  if (ms % 3_600_000 === 0) return text(`${ms / 3_600_000}h`);
  if (ms % 60_000 === 0) return text(`${ms / 60_000}m`);
  return text(ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);
}

function prefixes(list: readonly Prefix[]): string | undefined {
  return list.length === 0 ? undefined : prefixList(list);
}

function prefixList(list: readonly Prefix[]): string {
  return `[${list.map((prefix) => text(formatPrefix(prefix))).join(', ')}]`;
}

/** Left out where it is what follows from the other keys. */
function allowText(config: TunnelConfig): string | undefined {
  const { allow, mode, address, routes } = config;
  if (carries(mode) === 'ethernet' && allow === 'any') return undefined;
  if (allow === 'any') return '["any"]';
  const networks = [...routes, ...address].map((prefix) => network(prefix) ?? prefix);
  const usual = [...new Set(networks.map(formatPrefix))];
  const own = allow.map(formatPrefix);
  const isUsual = own.length === usual.length && own.every((one, index) => one === usual[index]);
  return isUsual && carries(mode) !== 'ethernet' ? undefined : prefixList(allow);
}

function peersText({ peers }: TunnelConfig): string | undefined {
  if (peers.length === 0) return undefined;
  const one = ({ remote, routes }: TunnelConfig['peers'][number]): string =>
    `{ remote = ${text(remote)}, routes = ${prefixList(routes)} }`;
  return `[${peers.map(one).join(', ')}]`;
}

function table(fields: object): string {
  const parts = Object.entries(fields).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return `{ ${parts.join(', ')} }`;
}
