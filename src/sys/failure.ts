/** Exit codes of the command line, as in sysexits(3); 2 and 3 as in ip(8) and systemctl. */
export const EXIT = {
  ok: 0,
  failed: 1,
  kernelRefused: 2,
  down: 3,
  usage: 64,
  noInput: 66,
  unreachable: 69,
  bug: 70,
  noPermission: 77,
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * Something an operator can act on. `message` names the object and the cause in one line; `hint` is the
 * next thing to do, a command where there is one.
 */
export class Failure extends Error {
  override readonly name = 'Failure';

  constructor(
    readonly exitCode: ExitCode,
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}
