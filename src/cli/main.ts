#!/usr/bin/env node
// The command line.
//
//   1. findCommand   the command's word, whole or shortened, wherever the options stand
//   2. status        runs at once: nothing but node: modules and our own small files is loaded
//   3. the others    go through commander (program.ts), which also writes all help and usage errors

import type { ExitCode } from '../sys/failure.js';
import { reportFailure } from './failure-report.js';
import { endOnUnwritableOutput } from './output.js';
import { completeWords, parseStatus } from './words.js';

endOnUnwritableOutput();
main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.exitCode = reportFailure(error);
  },
);

async function main(typed: readonly string[]): Promise<ExitCode> {
  const words = completeWords(typed);
  const status = parseStatus(words);
  // A hangup before the router is up is no end of it: the config is read later than this.
  if (words[0] === 'run') process.on('SIGHUP', () => {});
  if (status !== undefined) return (await import('./commands/status.js')).runStatus(status);
  const { runProgram } = await import('./program.js');
  return runProgram(words);
}
