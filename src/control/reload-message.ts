// What the control socket answers about the config of the router, and what `-j` prints of it.
//
//   POST /v1/diff {"file", "text"}   DiffMessage: what a reload with that config would do; without them with its own file
//   POST /v1/reload {"confirmMs"}    ReloadMessage
//   POST /v1/confirm {"dryRun"}      ReloadMessage
//   POST /v1/undo {"dryRun"}         ReloadMessage
import type { ReloadResult } from '../router/contract.js';
import type { ConfigDiff } from '../router/diff.js';
import { isFields } from './message.js';

export interface DiffMessage extends ConfigDiff {
  readonly schema: 'grebe.diff/1';
  /** The config that it is about. */
  readonly file: string;
}

export interface ReloadMessage extends ConfigDiff {
  readonly schema: 'grebe.reload/1';
  /** When the config before comes back, unless it is confirmed: ms since 1970; null: never. */
  readonly confirmUntilMs: number | null;
}

export function diffMessage(file: string, diff: ConfigDiff): DiffMessage {
  const { tunnels, router, restart } = diff;
  return { schema: 'grebe.diff/1', file, tunnels, router, restart };
}

export function reloadMessage({ diff, confirmUntilMs }: ReloadResult): ReloadMessage {
  const { tunnels, router, restart } = diff;
  return {
    schema: 'grebe.reload/1',
    ...{ tunnels, router, restart },
    confirmUntilMs: confirmUntilMs ?? null,
  };
}

export function isDiffMessage(value: unknown): value is DiffMessage {
  return (
    isFields(value) &&
    value.schema === 'grebe.diff/1' &&
    typeof value.file === 'string' &&
    isDiff(value)
  );
}

export function isReloadMessage(value: unknown): value is ReloadMessage {
  return (
    isFields(value) &&
    value.schema === 'grebe.reload/1' &&
    (value.confirmUntilMs === null || typeof value.confirmUntilMs === 'number') &&
    isDiff(value)
  );
}

/** Whether the fields of an answer are those of a ConfigDiff. */
export function isDiff({ tunnels, router, restart }: { readonly [key: string]: unknown }): boolean {
  return (
    Array.isArray(tunnels) &&
    tunnels.every(isTunnelChange) &&
    [router, restart].every((keys) => Array.isArray(keys) && keys.every(isKeyChange))
  );
}

function isTunnelChange(value: unknown): boolean {
  if (!isFields(value) || typeof value.name !== 'string') return false;
  switch (value.kind) {
    case 'add':
    case 'remove':
      return true;
    case 'rename':
      return typeof value.to === 'string';
    case 'change':
    case 'move':
    case 'rebuild':
      return Array.isArray(value.keys) && value.keys.every(isKeyChange);
    default:
      return false;
  }
}

function isKeyChange(value: unknown): boolean {
  const isText = (one: unknown): boolean => one === null || typeof one === 'string';
  return (
    isFields(value) && typeof value.key === 'string' && isText(value.before) && isText(value.after)
  );
}
