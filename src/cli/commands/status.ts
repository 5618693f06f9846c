// grebe status: asks the router, prints JSON or a table, and ends with 3 when a tunnel is down.

import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus } from '../../control/client.js';
import type { StatusMessage } from '../../control/message.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';
import { askRouter } from '../socket-path.js';
import { formatStatus } from '../status-table.js';

const WATCH_INTERVAL_MS = 1000;

export async function runStatus(call: Call): Promise<ExitCode> {
  if (call.options.watch === true) return watch(call);
  const status = await ask(call);
  show(call, status);
  return exitCodeOf(status);
}

/** Prints again and again until a signal ends the process. */
async function watch(call: Call): Promise<ExitCode> {
  let before: StatusMessage | undefined;
  for (;;) {
    const status = await ask(call);
    if (process.stdout.isTTY && !call.json) showInPlace(call, status, before);
    else show(call, status, before);
    before = status;
    await sleep(WATCH_INTERVAL_MS);
  }
}

async function ask(call: Call): Promise<StatusMessage> {
  const [name] = call.words;
  const status = await askRouter(call, fetchStatus);
  if (name === undefined) return status;
  const tunnels = status.tunnels.filter((tunnel) => tunnel.name === name);
  if (tunnels.length > 0) return { ...status, tunnels };
  const names = status.tunnels.map((tunnel) => tunnel.name);
  throw new Failure(
    EXIT.noInput,
    `there is no tunnel ${JSON.stringify(name)}`,
    names.length === 0 ? 'the router has none' : `tunnels: ${names.join(', ')}`,
  );
}

/** Shows a status where the one before was; terminals that know how show the frame at once, without a flicker. */
function showInPlace({ output }: Call, status: StatusMessage, before?: StatusMessage): void {
  const text = formatStatus(status, output.paint, before);
  output.print(`\x1b[?2026h\x1b[H\x1b[J${text}\x1b[?2026l`);
}

function show(call: Call, status: StatusMessage, before?: StatusMessage): void {
  const { output, json } = call;
  output.print(json ? JSON.stringify(status) : formatStatus(status, output.paint, before));
}

function exitCodeOf({ tunnels }: StatusMessage): ExitCode {
  return tunnels.every((tunnel) => tunnel.state === 'up') ? EXIT.ok : EXIT.down;
}
