// grebe reload, confirm and undo: the config of the running router.

import { confirm, fetchDiff, reload, undo } from '../../control/reload-client.js';
import type { ReloadMessage } from '../../control/reload-message.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';
import { formatDiff } from '../diff-text.js';
import { askRouter } from '../socket-path.js';
import { showDiff } from './diff.js';

export async function runReload(call: Call): Promise<ExitCode> {
  const confirmMs = confirmTime(call.options.confirm);
  if (call.options.dryRun === true) {
    showDiff(call, await askRouter(call, (socket) => fetchDiff(socket)));
    return EXIT.ok;
  }
  const message = await askRouter(call, (socket) => reload(socket, confirmMs));
  showReload(call, message, 'nothing differs');
  return EXIT.ok;
}

export async function runConfirm(call: Call): Promise<ExitCode> {
  const isDry = call.options.dryRun === true;
  const message = await askRouter(call, (socket) => confirm(socket, isDry));
  if (call.json) call.output.print(JSON.stringify(message));
  else if (!isDry) call.output.print('confirmed');
  sayTrial(call, message);
  return EXIT.ok;
}

export async function runUndo(call: Call): Promise<ExitCode> {
  const isDry = call.options.dryRun === true;
  showReload(call, await askRouter(call, (socket) => undo(socket, isDry)), 'nothing differs');
  if (!isDry) call.output.say('the config file stays as it is: a reload would take it again');
  return EXIT.ok;
}

/** Prints what was done. */
export function showReload(call: Call, message: ReloadMessage, none: string): void {
  const { output, json } = call;
  if (json) {
    output.print(JSON.stringify(message));
    return;
  }
  const lines = formatDiff(message, output.paint);
  output.print(lines.length === 0 ? none : lines.join('\n'));
  sayTrial(call, message);
}

function sayTrial({ output, json }: Call, { confirmUntilMs }: ReloadMessage): void {
  if (confirmUntilMs === null || json) return;
  const seconds = Math.max(0, Math.round((confirmUntilMs - Date.now()) / 1000));
  output.say(`on trial: without grebe confirm within ${seconds} s the config before comes back`);
}

/** A trial that is longer is none. */
const CONFIRM_MAX_MS = 24 * 3_600_000;
const UNITS_MS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function confirmTime(given: string | boolean | undefined): number | undefined {
  if (typeof given !== 'string') return undefined;
  const [, digits = '', unit = 's'] = /^([0-9]{1,6})(ms|s|m|h)?$/.exec(given) ?? [];
  const ms = Number(digits) * (UNITS_MS[unit] ?? 0);
  if (digits !== '' && ms > 0 && ms <= CONFIRM_MAX_MS) return ms;
  throw new Failure(
    EXIT.usage,
    `--confirm must be a time such as 60s, not ${JSON.stringify(given)}`,
    'grebe reload --confirm 60s; at most 24h',
  );
}
