// What the control socket answers about tunnels one by one.
//
//   GET /v1/tunnels                                        TunnelsMessage
//   POST /v1/tunnels {verb, name, words, dryRun, save}     TunnelMessage
import type { ConfigDiff } from '../router/diff.js';
import { isFields } from './message.js';
import { isDiff } from './reload-message.js';

export interface TunnelsMessage {
  readonly schema: 'grebe.tunnels/1';
  /** Each as `grebe tunnel add` takes it: the name, then words. */
  readonly tunnels: readonly { readonly name: string; readonly words: readonly string[] }[];
}

export interface TunnelMessage extends ConfigDiff {
  readonly schema: 'grebe.tunnel/1';
  /** Words that are not carried over, and why. */
  readonly notes: readonly string[];
  /** The file that has the change, too; null: none has. */
  readonly saved: string | null;
}

export function isTunnelsMessage(value: unknown): value is TunnelsMessage {
  return (
    isFields(value) &&
    value.schema === 'grebe.tunnels/1' &&
    Array.isArray(value.tunnels) &&
    value.tunnels.every(
      (one) => isFields(one) && typeof one.name === 'string' && Array.isArray(one.words),
    )
  );
}

export function isTunnelMessage(value: unknown): value is TunnelMessage {
  return (
    isFields(value) &&
    value.schema === 'grebe.tunnel/1' &&
    Array.isArray(value.notes) &&
    (value.saved === null || typeof value.saved === 'string') &&
    isDiff(value)
  );
}
