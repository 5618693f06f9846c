// The command line's side of reloads.
import { ask } from './client.js';
import {
  type DiffMessage,
  isDiffMessage,
  isReloadMessage,
  type ReloadMessage,
} from './reload-message.js';
import {
  isTunnelMessage,
  isTunnelsMessage,
  type TunnelMessage,
  type TunnelsMessage,
} from './tunnel-message.js';

/** Host names are asked for, devices made, and reloads before this one waited for. */
const RELOAD_TIMEOUT_MS = 120_000;

/** What a reload of the router at `path` would do: with its own file, or a config's `text`. */
export function fetchDiff(
  path: string,
  given: { readonly file?: string; readonly text?: string } = {},
): Promise<DiffMessage> {
  return ask(path, 'POST', '/v1/diff', RELOAD_TIMEOUT_MS, isDiffMessage, given);
}

/** Lets the router read its file again; `confirmMs`: on trial. */
export function reload(path: string, confirmMs?: number): Promise<ReloadMessage> {
  const body = confirmMs === undefined ? {} : { confirmMs };
  return ask(path, 'POST', '/v1/reload', RELOAD_TIMEOUT_MS, isReloadMessage, body);
}

/** Keeps what is on trial; `dryRun`: says only whether something is. */
export function confirm(path: string, dryRun = false): Promise<ReloadMessage> {
  return ask(path, 'POST', '/v1/confirm', RELOAD_TIMEOUT_MS, isReloadMessage, { dryRun });
}

/** Brings back the config before the last reload; `dryRun`: says only what that would do. */
export function undo(path: string, dryRun = false): Promise<ReloadMessage> {
  return ask(path, 'POST', '/v1/undo', RELOAD_TIMEOUT_MS, isReloadMessage, { dryRun });
}

export function fetchTunnels(path: string): Promise<TunnelsMessage> {
  return ask(path, 'GET', '/v1/tunnels', RELOAD_TIMEOUT_MS, isTunnelsMessage);
}

export interface TunnelWish {
  readonly verb: 'add' | 'change' | 'replace' | 'del';
  readonly name: string;
  readonly words: readonly string[];
  readonly dryRun: boolean;
  /** Into the config file, too. */
  readonly save: boolean;
}

/** Lets the router at `path` add, change or remove one tunnel. */
export function changeTunnel(path: string, wish: TunnelWish): Promise<TunnelMessage> {
  return ask(path, 'POST', '/v1/tunnels', RELOAD_TIMEOUT_MS, isTunnelMessage, wish);
}
