// The command line's side of reloads.
import { ask } from './client.js';
import {
  type DiffMessage,
  isDiffMessage,
  isReloadMessage,
  type ReloadMessage,
} from './reload-message.js';

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

export function confirm(path: string): Promise<ReloadMessage> {
  return ask(path, 'POST', '/v1/confirm', RELOAD_TIMEOUT_MS, isReloadMessage);
}

export function undo(path: string): Promise<ReloadMessage> {
  return ask(path, 'POST', '/v1/undo', RELOAD_TIMEOUT_MS, isReloadMessage);
}
