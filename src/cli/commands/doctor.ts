// grebe doctor: what is wrong with config, router and machine, and what to do about it
//
//   1. gatherSubject   the config, the router's own word, the kernel's
//   2. probeRemotes    with --probe: ICMP echo to the remotes
//   3. examine         every check
//   4. print           JSON, or lines for people; exit code 3 when something is to be repaired

import { fetchStatus, isAbsent } from '../../control/client.js';
import { examine, exitCodeOf } from '../../doctor/examine.js';
import { formatFindings } from '../../doctor/format.js';
import { probeRemotes } from '../../doctor/probe.js';
import { gatherSubject, type RouterState } from '../../doctor/subject.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';
import { askRouter } from '../socket-path.js';

export async function runDoctor(call: Call): Promise<ExitCode> {
  const { words, socket, config, output, json, verbosity, options } = call;
  const [name] = words;
  const router = await findRouter(call);
  const subject = await gatherSubject(router, {
    given: {
      ...(socket === undefined ? {} : { socket }),
      ...(config === undefined ? {} : { config }),
    },
    ...(name === undefined ? {} : { name }),
  });
  const echoes = options.probe === true ? await probeRemotes(subject) : undefined;
  const message = await examine({ ...subject, echoes });
  const isVerbose = verbosity === 'verbose';
  output.print(json ? JSON.stringify(message) : formatFindings(message, output.paint, isVerbose));
  return exitCodeOf(message);
}

/** The router that the command line means. One that does not answer is a finding, not a failure. */
async function findRouter(call: Call): Promise<RouterState> {
  try {
    return await askRouter(call, async (socket): Promise<RouterState> => {
      return { kind: 'running', socket, status: await fetchStatus(socket) };
    });
  } catch (error) {
    if (!(error instanceof Failure) || error.exitCode === EXIT.usage) throw error;
    const { message, hint } = error;
    if (isAbsent(error)) return { kind: 'absent', fault: message };
    if (error.exitCode === EXIT.unreachable) return { kind: 'unknown', fault: message, hint };
    // The config was to name its socket, and cannot be used: that is a finding of its own.
    const fault = 'the config does not tell which router to ask';
    return { kind: 'unknown', fault, hint: 'grebe doctor --socket PATH' };
  }
}
