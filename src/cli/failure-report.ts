import { EXIT, type ExitCode, Failure } from '../sys/failure.js';

/** Tells the operator on stderr why a command ended, and returns the exit code for it. */
export function reportFailure(error: unknown): ExitCode {
  if (error instanceof Failure) {
    const hint = error.hint === undefined ? '' : `  ${error.hint}\n`;
    // What is wrong with a config begins with its place, as compilers write it.
    const who = error.exitCode === EXIT.config ? '' : 'grebe: ';
    process.stderr.write(`${who}${error.message}\n${hint}`);
    return error.exitCode;
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `grebe: internal error: ${trace}\n` +
      '  this is a bug in grebe: please report it with these lines, the command line and grebe --version\n',
  );
  return EXIT.bug;
}
