// grebe codec: list, verify and swap the builds of the packet codec.

import { basename, resolve } from 'node:path';
import { listBuilds, loadBuild } from '../../codec/builds.js';
import { verifyBuild } from '../../codec/verify.js';
import { fetchCodecs, useCodec } from '../../control/client.js';
import type { CodecsMessage } from '../../control/message.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import { findAction } from '../action.js';
import type { Call } from '../command.js';
import { formatTable } from '../output.js';
import { askRouter } from '../socket-path.js';

const ACTIONS = ['list', 'use', 'verify'] as const;

export async function runCodec(call: Call): Promise<ExitCode> {
  const [word = 'list', build] = call.words;
  const action = findAction('codec', word, ACTIONS);
  if (action === 'list') return list(call);
  if (build === undefined) {
    throw new Failure(
      EXIT.usage,
      `codec ${action}: which build?`,
      action === 'use' ? 'grebe codec use scalar' : 'grebe codec verify ./mine.wasm',
    );
  }
  return action === 'use' ? use(call, build) : verify(call, build);
}

/** The builds of the running router; without one, those of this installation. */
async function list(call: Call): Promise<ExitCode> {
  const { output, json, socket, config } = call;
  const message = await askRouter(call, fetchCodecs).catch((error: unknown): CodecsMessage => {
    // Whoever names a router wants that one's answer.
    const isNamed = socket !== undefined || config !== undefined;
    const isAway = error instanceof Failure && error.exitCode === EXIT.unreachable;
    if (isNamed || !isAway) throw error;
    output.say('no router is running: these are the builds of this installation');
    return { schema: 'grebe.codecs/1', live: null, builds: listBuilds() };
  });
  if (json) {
    output.print(JSON.stringify(message));
    return EXIT.ok;
  }
  const rows = message.builds.map(({ name, live, abi, size, file, fault }) => [
    live ? '*' : '',
    name,
    abi === null ? '-' : String(abi),
    size === null ? '-' : `${size} B`,
    fault ?? (file === null ? 'the reference, in JavaScript' : file),
  ]);
  output.print(formatTable([['', 'NAME', 'ABI', 'SIZE', 'FROM'], ...rows]));
  return EXIT.ok;
}

async function use(call: Call, build: string): Promise<ExitCode> {
  // The router may run in another folder than this command.
  const name = isPath(build) ? resolve(build) : build;
  if (call.options.dryRun === true) return verify(call, build);
  const message = await askRouter(call, (socket) => useCodec(socket, name));
  if (call.json) call.output.print(JSON.stringify(message));
  else call.output.print(`codec ${message.codec} is live`);
  return EXIT.ok;
}

async function verify({ output, json }: Call, build: string): Promise<ExitCode> {
  const name = isPath(build) ? resolve(build) : build;
  try {
    await verifyBuild(loadBuild(name));
  } catch (error) {
    if (json && error instanceof Failure) {
      const fault = { name, ok: false, error: error.message };
      output.print(JSON.stringify({ schema: 'grebe.codec-verify/1', ...fault }));
    }
    throw error;
  }
  if (json) output.print(JSON.stringify({ schema: 'grebe.codec-verify/1', name, ok: true }));
  else
    output.print(
      `${isPath(build) ? basename(build) : build}: ${output.paint('green', 'ok')}, it may go live`,
    );
  return EXIT.ok;
}

/** `verify` and `use` also take a path without `./` in front, when it ends like one. */
function isPath(build: string): boolean {
  return /^[./]/.test(build) || build.includes('/') || build.endsWith('.wasm');
}
