import { EXIT, type ExitCode } from '../sys/failure.js';

/** What a command ends with. */
export const EXIT_CODES: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.ok, 'ok'],
  [EXIT.failed, 'failed'],
  [EXIT.kernelRefused, 'the kernel refused'],
  [EXIT.down, 'something is down'],
  [EXIT.usage, 'usage'],
  [EXIT.noInput, 'no such file or tunnel'],
  [EXIT.unreachable, 'router not reachable'],
  [EXIT.bug, 'our bug'],
  [EXIT.noPermission, 'capability missing'],
  [EXIT.config, 'config error'],
];
