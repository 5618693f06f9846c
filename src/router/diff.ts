// Two configs -> what a reload has to do, tunnel by tunnel.
//
//   change    the device stays, and no packet is lost
//   move      the same with another far end: a packet that is under way may be lost
//   rebuild   the device is made anew, and with it its addresses and routes
import type { Config, RouterConfig, TunnelConfig } from '../config/config.js';
import { routerValues, type TableValues, tunnelValues } from '../config/format.js';
import type { Absent } from './absent.js';
import { addressWord, prefixWords, routeWord } from './network.js';

/** A key of the config with its values in TOML; null: the default. */
export interface KeyChange {
  readonly key: string;
  readonly before: string | null;
  readonly after: string | null;
}

export type TunnelChange =
  | { readonly kind: 'add' | 'remove'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | {
      readonly kind: 'change' | 'move' | 'rebuild';
      readonly name: string;
      readonly keys: readonly KeyChange[];
      /** Why, where no key tells. */
      readonly why?: string;
    };

/** What a reload does, or would do. */
export interface ConfigDiff {
  readonly tunnels: readonly TunnelChange[];
  /** Keys of [router] that take effect at once, and those that a restart is needed for. */
  readonly router: readonly KeyChange[];
  readonly restart: readonly KeyChange[];
}

export interface DiffOptions {
  /** Lanes that run. */
  readonly laneCount: number;
  /** Tunnels whose devices are gone. */
  readonly lost: ReadonlySet<string>;
  /** What devices lack of what the config before gives them. */
  readonly absent?: Absent | undefined;
}

/** Keys of [router] that a running router takes over. */
const LIVE_KEYS = new Set(['codec', 'log.level']);
/** Keys that say who is at the other end. */
const MOVING_KEYS = ['remote', 'local', 'dev', 'peers'];

export function diffConfigs(before: Config, after: Config, options: DiffOptions): ConfigDiff {
  const router = keyChanges(splitLog(before.router), splitLog(after.router));
  return {
    tunnels: diffTunnels(before.tunnels, after.tunnels, options),
    router: router.filter(({ key }) => LIVE_KEYS.has(key)),
    restart: router.filter(({ key }) => !LIVE_KEYS.has(key)),
  };
}

/** Whether a reload would do nothing at all. */
export function isNothing({ tunnels, router, restart }: ConfigDiff): boolean {
  return tunnels.length + router.length + restart.length === 0;
}

/** `running` with what a reload takes over of `wanted`: the rest waits for a restart. */
export function takeLive(running: RouterConfig, wanted: RouterConfig): RouterConfig {
  return { ...running, codec: wanted.codec, log: { ...running.log, level: wanted.log.level } };
}

function diffTunnels(
  before: readonly TunnelConfig[],
  after: readonly TunnelConfig[],
  options: DiffOptions,
): TunnelChange[] {
  const old = new Map(before.map((config) => [config.name, config]));
  const names = new Set(after.map(({ name }) => name));
  const removed = before.filter(({ name }) => !names.has(name));
  const renamed = new Map<string, string>();
  const byValues = new Map(removed.map((config) => [valuesId(config), config.name]));
  const changes = after.flatMap((config): TunnelChange[] => {
    const was = old.get(config.name);
    if (was !== undefined) return changeOf(was, config, options);
    const from = byValues.get(valuesId(config));
    if (from === undefined || renamed.has(from)) return [{ kind: 'add', name: config.name }];
    renamed.set(from, config.name);
    return [];
  });
  const gone = removed.map(({ name }): TunnelChange => {
    const to = renamed.get(name);
    return to === undefined ? { kind: 'remove', name } : { kind: 'rename', name, to };
  });
  return [...gone, ...changes];
}

function changeOf(before: TunnelConfig, after: TunnelConfig, options: DiffOptions): TunnelChange[] {
  const { name } = after;
  const keys = before === after ? [] : keyChanges(tunnelValues(before), tunnelValues(after));
  if (options.lost.has(name)) {
    return [{ kind: 'rebuild', name, keys, why: 'its device was removed from under the router' }];
  }
  const lacks = stillLacking(after, options);
  if (keys.length === 0 && lacks.length === 0) return [];
  // One lane alone sends numbered packets, and then the device has one queue instead of one for each.
  const isRequeued = options.laneCount > 1 && before.sequenceOut !== after.sequenceOut;
  if (before.mode !== after.mode || isRequeued) return [{ kind: 'rebuild', name, keys }];
  const isMoved = keys.some(({ key }) => MOVING_KEYS.includes(key)) && hasMoved(before, after);
  const why = lacks.length === 0 ? {} : { why: `its device lacks ${lacks.join(', ')}` };
  return [{ kind: isMoved ? 'move' : 'change', name, keys, ...why }];
}

/** What the device lacks, and is to have from now on, too. */
function stillLacking(after: TunnelConfig, { absent }: DiffOptions): string[] {
  const lacks = absent?.get(after.name) ?? [];
  if (lacks.length === 0) return [];
  const { addresses, routes } = prefixWords(after);
  const wanted = new Set([...addresses.map(addressWord), ...routes.map(routeWord)]);
  return lacks.filter((one) => wanted.has(one));
}

/** Peers may have other routes and stay where they are. */
function hasMoved(before: TunnelConfig, after: TunnelConfig): boolean {
  const ends = ({ local, remote, dev, peers }: TunnelConfig): string =>
    JSON.stringify([local, remote, dev, peers.map((peer) => peer.remote)]);
  return ends(before) !== ends(after);
}

function valuesId(config: TunnelConfig): string {
  return JSON.stringify([...tunnelValues(config)]);
}

function keyChanges(before: TableValues, after: TableValues): KeyChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const [was, is] = [before.get(key) ?? null, after.get(key) ?? null];
    return was === is ? [] : [{ key, before: was, after: is }];
  });
}

/** The level of the log can change while it is open, its format cannot. */
function splitLog(router: RouterConfig): TableValues {
  const values = new Map(routerValues(router));
  values.delete('log');
  for (const [key, value] of Object.entries(router.log)) {
    values.set(`log.${key}`, JSON.stringify(value));
  }
  return values;
}
